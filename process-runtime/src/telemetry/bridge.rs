//! The bridge to OpenTelemetry, and the run's business context on every span that begins inside a run, whoever opens
//! it: what a database driver or an HTTP client does on behalf of a run is found by the run's keys.
//!
//! A span belongs to the run that its thread is inside of when it is made, and to no other: the bridge may build it
//! later and close it later still, inside of another run or of none. What was there at its making is therefore kept
//! with the span, and added when it ends, which the bridge does within `on_close`. A span of OpenTelemetry's own API
//! is made where it starts, and has it from there.

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
    /// What the span that is being closed inherited.
    static CLOSING: RefCell<Option<Values>> = const { RefCell::new(None) };
    /// Whether the span that is being built is one of the bridge.
    static BRIDGING: Cell<bool> = const { Cell::new(false) };
}

/// The tracer of the bridge, around whatever builds its spans.
#[derive(Debug)]
pub(super) struct BridgeTracer<T>(pub(super) T);

impl<T: Tracer> Tracer for BridgeTracer<T> {
    type Span = T::Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> T::Span {
        // A thread that ends has no such place any more, and is inside of no run either.
        let _ = BRIDGING.try_with(|bridging| bridging.set(true));
        let span = self.0.build_with_context(builder, parent);
        let _ = BRIDGING.try_with(|bridging| bridging.set(false));
        span
    }
}

/// What a span inherited from the run that it was made in.
struct Inherited(Values);

/// Around the bridge. A filter of `tracing-subscriber` around it would cost each span a fifth more.
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
        // A run's own span has its context as fields.
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
        // What libraries say of their inside below that is for the log, which stays here.
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
        // A thread that ends has no such place any more, and then a span inherits nothing.
        let _ = CLOSING.try_with(|closing| closing.replace(inherited.map(|Inherited(values)| values)));
        self.bridge.on_close(id, context);
        let _ = CLOSING.try_with(RefCell::take);
    }

    fn on_id_change(&self, old: &Id, new: &Id, context: LayerContext<'_, S>) {
        self.bridge.on_id_change(old, new, context);
    }

    // SAFETY: what the bridge answers for itself lives as long as this, which holds it.
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        // SAFETY: the promise of the caller is passed on as it is.
        unsafe { self.bridge.downcast_raw(id) }
    }
}

/// Adds what a span inherits, and cuts texts that are longer than they may be.
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
        // The bridge makes an error of each span in which an ERROR was logged. How a run ended is said by its outcome.
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

/// Whether this is no run, or a run that failed.
fn is_error(span: &SpanData) -> bool {
    let outcome = span.attributes.iter().find(|attribute| attribute.key.as_str() == OUTCOME);
    outcome.is_none_or(|outcome| ["failure", "panic"].contains(&&*outcome.value.as_str()))
}

/// Gives a span that begins what it does not say itself.
fn inherit(span: &mut Span, values: &Values) {
    if values.iter().next().is_none() {
        return;
    }
    let said = span.exported_data().map(|data| data.attributes).unwrap_or_default();
    for (name, value) in values.iter() {
        if said.iter().all(|known| known.key.as_str() != name) {
            span.set_attribute(attribute(name, value));
        }
    }
}

/// Cuts every text of a span to so many characters.
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
        // As the bridge does with a number that is none of OpenTelemetry's.
        Value::U64(value) => KeyValue::new(name, value.to_string()),
        Value::F64(value) => KeyValue::new(name, *value),
        Value::Text(value) => KeyValue::new(name, value.to_string()),
    }
}
