//! Wraps the bridge from `tracing` to OpenTelemetry, so that every span that starts inside a run carries the business
//! context of the run. The spans of a database driver or an HTTP client can then be found by the keys of the run.
//!
//! A span belongs to the run that its thread is in when the span is created. The bridge builds the OpenTelemetry span
//! later and also closes it later, possibly inside another run or outside of any run. The context is therefore stored
//! with the `tracing` span when that span is created. It is added to the OpenTelemetry span when the span ends, within
//! the bridge's `on_close`. A span that is created through OpenTelemetry's own API receives the context when it
//! starts.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::time::Duration;

use opentelemetry::trace::{Span as _, SpanBuilder, Status, Tracer};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value as Exported};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::diagnostics;
use crate::observe::span::{OUTCOME, TARGET};
use crate::run::context::{Value, Values};
use crate::run::frame;

thread_local! {
    /// The inherited context of the span that this thread is closing.
    static CLOSING: RefCell<Option<Values>> = const { RefCell::new(None) };
    /// Whether the bridge is building a span on this thread.
    static BRIDGING: Cell<bool> = const { Cell::new(false) };
}

/// The tracer that the bridge uses. It sets [`BRIDGING`] while the bridge builds a span.
#[derive(Debug)]
pub(super) struct BridgeTracer<T>(pub(super) T);

impl<T: Tracer> Tracer for BridgeTracer<T> {
    type Span = T::Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> T::Span {
        // If the thread is ending, its thread-local value is gone, and the mark is not set. Such a thread is not in a
        // run.
        let _ = BRIDGING.try_with(|bridging| bridging.set(true));
        let span = self.0.build_with_context(builder, parent);
        let _ = BRIDGING.try_with(|bridging| bridging.set(false));
        span
    }
}

/// The context that a span inherited from the run that it was created in.
struct Inherited(Values);

/// The layer around the bridge, which stores the inherited context of each span. It also filters events itself,
/// because a filter of `tracing-subscriber` would make each span a fifth more expensive.
pub(super) struct Bridge<L> {
    bridge: L,
}

impl<L> Bridge<L> {
    pub(super) fn new(bridge: L) -> Bridge<L> {
        Bridge { bridge }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>, L: Layer<S>> Layer<S> for Bridge<L> {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.bridge.on_register_dispatch(subscriber);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.bridge.on_layer(subscriber);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        // The span of a run already has the context as fields.
        if attributes.metadata().target() != TARGET
            && let Some(observed) = frame::nearest()
            && let values = observed.values_now()
            && values.iter().next().is_some()
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().replace(Inherited(values));
        }
        self.bridge.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: LayerContext<'_, S>) {
        self.bridge.on_record(id, values, context);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: LayerContext<'_, S>) {
        self.bridge.on_follows_from(id, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        // Events below the level WARN appear only in the log.
        if *event.metadata().level() <= Level::WARN && !diagnostics::is_of_opentelemetry(event.metadata()) {
            self.bridge.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: LayerContext<'_, S>) {
        self.bridge.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: LayerContext<'_, S>) {
        self.bridge.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: LayerContext<'_, S>) {
        let inherited = context.span(&id).and_then(|span| span.extensions_mut().remove());
        // If the thread is ending, its thread-local value is gone, and the span inherits nothing.
        let _ = CLOSING.try_with(|closing| closing.replace(inherited.map(|Inherited(values)| values)));
        self.bridge.on_close(id, context);
        let _ = CLOSING.try_with(RefCell::take);
    }

    fn on_id_change(&self, old: &Id, new: &Id, context: LayerContext<'_, S>) {
        self.bridge.on_id_change(old, new, context);
    }

    // SAFETY: The returned pointer is valid as long as `self`, which owns the bridge that it points into.
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        // SAFETY: The caller upholds the contract of `downcast_raw`, and the bridge has the same contract.
        unsafe { self.bridge.downcast_raw(id) }
    }
}

/// A span processor that adds inherited context and truncates long texts.
#[derive(Debug)]
pub(super) struct SpanEnricher<P> {
    next: P,
    longest: Option<usize>,
}

impl<P> SpanEnricher<P> {
    pub(super) fn new(next: P, longest: Option<usize>) -> SpanEnricher<P> {
        SpanEnricher { next, longest }
    }
}

impl<P: SpanProcessor> SpanProcessor for SpanEnricher<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if BRIDGING.try_with(Cell::get) == Ok(false)
            && let Some(observed) = frame::nearest()
        {
            inherit(span, &observed.values_now());
        }
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        // The bridge sets the status Error on each span in which an event of level ERROR was logged. The status of a
        // run must depend only on its outcome.
        if matches!(span.status, Status::Error { .. }) && !is_error(&span) {
            span.status = Status::Unset;
        }
        if let Ok(Some(values)) = CLOSING.try_with(RefCell::take) {
            for (name, value) in values.iter() {
                if span.attributes.iter().all(|known| known.key.as_str() != name) {
                    span.attributes.push(attribute(name, value));
                }
            }
        }
        if let Some(longest) = self.longest {
            cut(&mut span, longest);
        }
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Returns whether a span with the status Error keeps it. A run keeps it only if it failed or panicked. A span that is
/// not a run always keeps it.
fn is_error(span: &SpanData) -> bool {
    let outcome = span.attributes.iter().find(|attribute| attribute.key.as_str() == OUTCOME);
    outcome.is_none_or(|outcome| ["failure", "panic"].contains(&&*outcome.value.as_str()))
}

/// Adds the values to a span that starts, except for keys that the span already has.
fn inherit(span: &mut Span, values: &Values) {
    if values.iter().next().is_none() {
        return;
    }
    let present = span.exported_data().map(|data| data.attributes).unwrap_or_default();
    for (name, value) in values.iter() {
        if present.iter().all(|known| known.key.as_str() != name) {
            span.set_attribute(attribute(name, value));
        }
    }
}

/// Truncates every text of a span to this number of characters.
fn cut(span: &mut SpanData, longest: usize) {
    let events = span.events.events.iter_mut().flat_map(|event| &mut event.attributes);
    let links = span.links.links.iter_mut().flat_map(|link| &mut link.attributes);
    for attribute in span.attributes.iter_mut().chain(events).chain(links) {
        match &mut attribute.value {
            Exported::String(text) => cut_text(text, longest),
            Exported::Array(Array::String(texts)) => {
                texts.iter_mut().for_each(|text| cut_text(text, longest));
            }
            _ => {}
        }
    }
}

fn cut_text(text: &mut StringValue, longest: usize) {
    if let Some((end, _)) = text.as_str().char_indices().nth(longest) {
        *text = text.as_str()[..end].to_owned().into();
    }
}

fn attribute(name: &'static str, value: &Value) -> KeyValue {
    match value {
        Value::Bool(value) => KeyValue::new(name, *value),
        Value::I64(value) => KeyValue::new(name, *value),
        // OpenTelemetry has no unsigned integers; the bridge also exports them as text.
        Value::U64(value) => KeyValue::new(name, value.to_string()),
        Value::F64(value) => KeyValue::new(name, *value),
        Value::Text(value) => KeyValue::new(name, value.to_string()),
    }
}
