//! Makes an event of a span from an event of `tracing`, if log records are not exported. The event has the same limits
//! as a log record. Which layer receives the event does not belong here.

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanRef;
use tracing::{Event, Metadata};

use super::{Fields, Limited, Receiver};

/// An event of a span that is being made.
struct SpanEvent {
    name: Option<String>,
    target: String,
    attributes: Vec<KeyValue>,
}

impl Receiver for SpanEvent {
    fn body(&mut self, text: String) {
        self.name = Some(text);
    }

    fn target(&mut self, target: String) {
        self.target = target;
    }

    fn attribute(&mut self, key: &'static str, value: Limited) {
        self.attributes.push(match value {
            Limited::Bool(value) => KeyValue::new(key, value),
            Limited::I64(value) => KeyValue::new(key, value),
            Limited::F64(value) => KeyValue::new(key, value),
            Limited::Text(value) => KeyValue::new(key, value),
        });
    }
}

/// Adds an event to `span`. `metadata` is that of the event, or that of a record of the crate `log`.
pub(in crate::telemetry) fn add(
    event: &Event<'_>,
    metadata: &Metadata<'_>,
    span: &SpanRef<'_>,
    is_error_text_sent: &dyn Fn() -> bool,
) {
    let attributes = vec![KeyValue::new("level", metadata.level().as_str())];
    let made = SpanEvent { name: None, target: metadata.target().to_owned(), attributes };
    // The SDK limits the number of attributes, and `SpanEnricher` the length of their texts.
    let mut fields = Fields::new(made, usize::MAX, None, is_error_text_sent);
    event.record(&mut fields);
    fields.place(event.metadata());
    let SpanEvent { name, target, mut attributes } = fields.receiver;
    attributes.insert(1, KeyValue::new("target", target));
    span.add_event(name.unwrap_or_else(|| event.metadata().name().to_owned()), attributes);
}
