//! The run's business context on every span that begins inside it, whoever opens it: what a database driver or an
//! HTTP client does on behalf of a run is found by the run's keys.
//!
//! A span belongs to the run that its thread is inside of when it is made, and to no other: the bridge may build it
//! later and close it later still, inside of another run or of none. What was there at its making is therefore kept
//! with the span, and added when it ends. The bridge ends spans within `on_close`, between [`Before`] and [`After`].

use std::cell::RefCell;
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context as LayerContext, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::context::{Value, Values};
use crate::frame;
use crate::observe::span::TARGET;

thread_local! {
    /// What the span that is being closed inherited.
    static CLOSING: RefCell<Option<Values>> = const { RefCell::new(None) };
}

/// What a span inherited from the run that it was made in.
struct Inherited(Values);

/// Below the bridge.
pub(super) struct Before;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Before {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        // A run's own span has its context as fields.
        if attributes.metadata().target() == TARGET {
            return;
        }
        let Some(observed) = frame::nearest() else { return };
        let values = observed.values_now();
        let is_empty = values.iter().next().is_none();
        if let Some(span) = context.span(id).filter(|_| !is_empty) {
            span.extensions_mut().replace(Inherited(values));
        }
    }

    fn on_close(&self, id: Id, context: LayerContext<'_, S>) {
        let inherited = context.span(&id).and_then(|span| span.extensions_mut().remove());
        CLOSING.set(inherited.map(|Inherited(values)| values));
    }
}

/// Above the bridge.
pub(super) struct After;

impl<S: Subscriber> Layer<S> for After {
    fn on_close(&self, _: Id, _: LayerContext<'_, S>) {
        CLOSING.take();
    }
}

/// Adds what a span inherited when it ends.
#[derive(Debug)]
pub(super) struct Describing<P> {
    next: P,
}

impl<P> Describing<P> {
    pub(super) fn new(next: P) -> Describing<P> {
        Describing { next }
    }
}

impl<P: SpanProcessor> SpanProcessor for Describing<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if let Some(values) = CLOSING.take() {
            for (name, value) in values.iter() {
                if span.attributes.iter().all(|known| known.key.as_str() != name) {
                    span.attributes.push(attribute(name, value));
                }
            }
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
