//! Wraps the bridge from `tracing` to OpenTelemetry, so that every span that starts inside a run carries the business
//! context of the run. A value of the context, such as a user's id, then also finds the spans of a database driver or
//! an HTTP client. Events become log records if logs are exported, and otherwise events of their spans. Exporting
//! spans, and the content of log records, do not belong here.
//!
//! A span belongs to the run in which it is created. The bridge builds the corresponding OpenTelemetry span later and
//! closes it later, possibly inside another run or outside of any run. `on_new_span` therefore stores the context with
//! the `tracing` span, and `on_close` adds the stored context to the OpenTelemetry span. A span that is created
//! through OpenTelemetry's own API receives the context when it starts.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::{Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::layer::{Context as LayerContext, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::diagnostics;
use super::fields::{self, SpanValues, Withheld, span_event, span_texts};
use super::logs::{Recorder, is_recorded};
use crate::base::alarm::fork;
use crate::observe::metrics::LOST_RECORDS;
use crate::observe::span::{OUTCOME, TARGET};
use crate::run::context::{Value, Values};
use crate::run::frame;

thread_local! {
    /// The business context to add to the span that this thread is closing.
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
        // If the thread is ending, `BRIDGING` may be gone and cannot be set. `SpanEnricher::on_start` then cannot read
        // it either, and adds no context.
        let _ = BRIDGING.try_with(|bridging| bridging.set(true));
        let span = self.0.build_with_context(builder, parent);
        let _ = BRIDGING.try_with(|bridging| bridging.set(false));
        span
    }
}

/// The context that a span inherited from the run that it was created in.
struct Inherited(Values);

/// A layer around the bridge. It stores the context that each span inherits, and makes a log record or a span event of
/// each event. It also filters events itself, because a filter of `tracing-subscriber` would increase the cost of each
/// span by a fifth.
pub(super) struct Bridge<L> {
    /// `None` if traces are not exported.
    bridge: Option<L>,
    /// `None` if logs are not exported.
    logs: Option<Recorder>,
    /// The subscriber, which knows the contexts of spans.
    subscriber: OnceLock<WeakDispatch>,
}

impl<L> Bridge<L> {
    pub(super) fn new(bridge: Option<L>, logs: Option<Recorder>) -> Bridge<L> {
        Bridge { bridge, logs, subscriber: OnceLock::new() }
    }

    /// Makes a log record or a span event of an event. Returns `false` if it is neither, because the event belongs to
    /// no span that is exported.
    fn export<S: Subscriber + for<'s> LookupSpan<'s>>(
        &self,
        event: &Event<'_>,
        context: &LayerContext<'_, S>,
    ) -> bool {
        if Context::is_current_telemetry_suppressed() {
            return true;
        }
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or(event.metadata());
        let around = context.event_span(event);
        let exported =
            around.as_ref().and_then(|span| get_otel_context(&span.id(), &self.subscriber.get()?.upgrade()?));
        // An event of level ERROR makes an error of its span.
        if let Some(exported) = &exported
            && *metadata.level() == Level::ERROR
        {
            exported.span().set_status(Status::error(""));
        }
        let is_error_text_sent = || fields::is_error_text_sent(around.as_ref());
        match (self.logs.as_ref().filter(|logs| logs.is_on()), exported) {
            (Some(logs), exported) => logs.record(event, exported.as_ref(), &is_error_text_sent),
            (None, Some(exported)) => {
                span_event::add(event, metadata, &exported.span(), &is_error_text_sent);
            }
            (None, None) => return false,
        }
        true
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>, L: Layer<S>> Layer<S> for Bridge<L> {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.bridge.on_register_dispatch(subscriber);
        let _ = self.subscriber.set(subscriber.downgrade());
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.bridge.on_layer(subscriber);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        let is_of_run = attributes.metadata().target() == TARGET;
        // The span of a run already has the context as fields.
        if !is_of_run {
            let values = frame::nearest().map(|observed| observed.values_now());
            let values = values.filter(|values| values.iter().next().is_some());
            // A span that is contextual is a descendant of the span of its run.
            let is_withheld = !attributes.is_contextual() && !fields::is_error_text_sent_here();
            if (values.is_some() || is_withheld)
                && let Some(span) = context.span(id)
            {
                let mut extensions = span.extensions_mut();
                values.into_iter().for_each(|values| drop(extensions.replace(Inherited(values))));
                is_withheld.then(|| extensions.replace(Withheld));
            }
        }
        let metadata = attributes.metadata();
        let around = || context.span(id).and_then(|span| span.parent());
        let is_error_text_sent = || fields::is_error_text_sent(around().as_ref());
        // The runtime has already limited the values of a run.
        let limited = match is_of_run || self.bridge.is_none() {
            true => None,
            false => SpanValues::limited(
                || Some(metadata.fields()),
                |visitor| attributes.record(visitor),
                &is_error_text_sent,
            ),
        };
        let Some(limited) = limited else { return self.bridge.on_new_span(attributes, id, context) };
        limited.with(metadata.fields(), |values| {
            let limited = match attributes.parent() {
                Some(parent) => Attributes::child_of(parent.clone(), metadata, values),
                None if attributes.is_root() => Attributes::new_root(metadata, values),
                None => Attributes::new(metadata, values),
            };
            self.bridge.on_new_span(&limited, id, context.clone());
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: LayerContext<'_, S>) {
        if self.bridge.is_none() {
            return;
        }
        let is_error_text_sent = || fields::is_error_text_sent(context.span(id).as_ref());
        // The runtime has already limited the values of a run.
        let metadata = || context.metadata(id).filter(|metadata| metadata.target() != TARGET);
        let fields = || metadata().map(|metadata| metadata.fields());
        let limited = SpanValues::limited(fields, |visitor| values.record(visitor), &is_error_text_sent);
        match (limited, fields()) {
            (Some(limited), Some(fields)) => {
                limited
                    .with(fields, |values| self.bridge.on_record(id, &Record::new(values), context.clone()));
            }
            _ => self.bridge.on_record(id, values, context),
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: LayerContext<'_, S>) {
        self.bridge.on_follows_from(id, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or(event.metadata());
        // Events below the level WARN appear only in the log.
        let is_wanted = match &self.logs {
            Some(_) => is_recorded(metadata),
            None => self.bridge.is_some() && *metadata.level() <= Level::WARN,
        };
        // The child of a fork has none of the threads that export.
        if !is_wanted || diagnostics::is_of_opentelemetry(metadata) || fork::is_child() {
            return;
        }
        let exported = fields::reading(|| self.export(event, &context));
        if exported != Some(true) && self.logs.is_some() {
            LOST_RECORDS.fetch_add(1, Ordering::Relaxed);
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
        // If the thread is ending, `CLOSING` may be gone. The span then inherits nothing.
        let _ = CLOSING.try_with(|closing| closing.replace(inherited.map(|Inherited(values)| values)));
        self.bridge.on_close(id, context);
        let _ = CLOSING.try_with(RefCell::take);
    }

    fn on_id_change(&self, old: &Id, new: &Id, context: LayerContext<'_, S>) {
        self.bridge.on_id_change(old, new, context);
    }

    // SAFETY: The returned pointer points into the bridge. `self` owns the bridge, so the pointer is valid as long as
    // `self`.
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        // SAFETY: The caller upholds the contract of `downcast_raw`, and the bridge has the same contract. Without a
        // bridge this layer still receives events, so it must not pass for a layer that is `None`.
        self.bridge.as_ref().and_then(|bridge| unsafe { bridge.downcast_raw(id) })
    }
}

/// A span processor that adds the inherited context, corrects the status of runs and limits the texts.
#[derive(Debug)]
pub(super) struct SpanEnricher<P> {
    next: P,
    longest: Option<usize>,
    /// The maximum number of attributes of a span.
    attributes: usize,
}

impl<P> SpanEnricher<P> {
    pub(super) fn new(next: P, longest: Option<usize>, attributes: usize) -> SpanEnricher<P> {
        SpanEnricher { next, longest, attributes }
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
                if span.attributes.iter().any(|known| known.key.as_str() == name) {
                    continue;
                }
                match span.attributes.len() < self.attributes {
                    true => span.attributes.push(attribute(name, value)),
                    false => span.dropped_attributes_count += 1,
                }
            }
        }
        span_texts::limit(&mut span, self.longest);
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

/// Returns whether a span keeps its status Error. The span of a run keeps the status only if the run failed or
/// panicked. Any other span always keeps the status.
fn is_error(span: &SpanData) -> bool {
    let outcome = span.attributes.iter().find(|attribute| attribute.key.as_str() == OUTCOME);
    outcome.is_none_or(|outcome| ["failure", "panic"].contains(&&*outcome.value.as_str()))
}

/// Adds the values to a span that starts, except for the values whose keys the span already has.
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

fn attribute(name: &'static str, value: &Value) -> KeyValue {
    match value {
        Value::Bool(value) => KeyValue::new(name, *value),
        Value::I64(value) => KeyValue::new(name, *value),
        // OpenTelemetry has no unsigned integers. They are exported as text, as the bridge also does.
        Value::U64(value) => KeyValue::new(name, value.to_string()),
        Value::F64(value) => KeyValue::new(name, *value),
        Value::Text(value) => KeyValue::new(name, value.to_string()),
    }
}
