//! Limits the number and the bytes of the spans that wait for an exporter, and counts the spans that are lost.
//! OpenTelemetry's own queue has no limit in bytes, and reports its losses only at shutdown. The content of spans must
//! not be changed in here.

use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::{Event, Link, SpanContext, Status};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::diagnostics::SENT_SPANS;
use super::environment::Spans;
use super::requests::{encoded, requests};
use super::room::Room;
use crate::base::cause::Cause;
use crate::observe::metrics::LOST_SPANS;

static FULL: Cause = Cause::new("the span queue is full with");

/// Returns a processor that sends spans in batches from a thread of its own. A span waits for at most `delay`.
pub(super) fn batches<E: SpanExporter + 'static>(
    exporter: E,
    spans: &Spans,
    delay: Duration,
) -> impl SpanProcessor + use<E> {
    let room = Arc::new(Room::new("spans", "OTEL_BSP_MAX_QUEUE_SIZE", &FULL, spans.queue));
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(spans.queue)
        .with_max_export_batch_size(spans.batch)
        .with_scheduled_delay(delay)
        .build();
    let exporter = Counted { exporter, room: Arc::clone(&room) };
    Bounded { next: BatchSpanProcessor::new(exporter, config), room }
}

#[derive(Debug)]
struct Bounded<P> {
    next: P,
    room: Arc<Room>,
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        match self.room.take(size(&span)) {
            true => self.next.on_end(span),
            false => drop(LOST_SPANS.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.room.close();
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    room: Arc<Room>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut exported = Ok(());
        for request in requests(batch, encoded_size) {
            let spans = request.len();
            let bytes = request.iter().map(size).sum();
            SENT_SPANS.store(spans as u64, Ordering::Relaxed);
            let sent = self.exporter.export(request).await;
            if sent.is_err() {
                LOST_SPANS.fetch_add(spans as u64, Ordering::Relaxed);
            }
            self.room.exported(spans, bytes);
            exported = exported.and(sent);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// How the parts of a span are measured.
struct Measure {
    text: fn(&str) -> usize,
    /// The size of a number in a list, and of a Boolean in a list.
    number: usize,
    boolean: usize,
    /// The size that an event or a link has besides its memory.
    entry: usize,
}

/// Returns how many bytes of memory a span uses.
fn size(span: &SpanData) -> usize {
    Measure { text: str::len, number: size_of::<u64>(), boolean: size_of::<bool>(), entry: 0 }.span(span)
}

/// Returns about how many bytes a span has in a request, in the encoding that makes it longest (JSON).
fn encoded_size(span: &SpanData) -> usize {
    const NUMBER: usize = r#"{"doubleValue":-1.7976931348623157e308},"#.len();
    Measure { text: encoded, number: NUMBER, boolean: r#"{"boolValue":false},"#.len(), entry: 64 }.span(span)
}

impl Measure {
    fn span(&self, span: &SpanData) -> usize {
        let status = if let Status::Error { description } = &span.status { description } else { "" };
        let event = |event: &Event| {
            self.entry + size_of::<Event>() + (self.text)(&event.name) + self.attributes(&event.attributes)
        };
        let link = |link: &Link| {
            self.entry
                + size_of::<Link>()
                + self.trace_state(&link.span_context)
                + self.attributes(&link.attributes)
        };
        size_of::<SpanData>()
            + (self.text)(&span.name)
            + (self.text)(status)
            + self.trace_state(&span.span_context)
            + self.attributes(&span.attributes)
            + span.events.iter().map(event).sum::<usize>()
            + span.links.iter().map(link).sum::<usize>()
            + span.instrumentation_scope.attributes().map(|pair| self.pair(pair)).sum::<usize>()
    }

    fn trace_state(&self, context: &SpanContext) -> usize {
        (self.text)(&context.trace_state().header())
    }

    fn attributes(&self, attributes: &[KeyValue]) -> usize {
        attributes.iter().map(|attribute| self.pair(attribute)).sum()
    }

    fn pair(&self, attribute: &KeyValue) -> usize {
        let text = |text: &StringValue| size_of::<StringValue>() + (self.text)(text.as_str());
        let value = match &attribute.value {
            Value::String(text) => (self.text)(text.as_str()),
            Value::Array(Array::String(texts)) => texts.iter().map(text).sum(),
            Value::Array(Array::Bool(values)) => self.boolean * values.len(),
            Value::Array(Array::I64(values)) => self.number * values.len(),
            Value::Array(Array::F64(values)) => self.number * values.len(),
            _ => 0,
        };
        size_of::<KeyValue>() + (self.text)(attribute.key.as_str()) + value
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanId, SpanKind, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span() -> SpanData {
        let context =
            SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
        SpanData {
            span_context: context,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "".into(),
            start_time: std::time::UNIX_EPOCH,
            end_time: std::time::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[test]
    fn the_size_of_a_span_includes_each_of_its_texts() {
        const LONG: usize = 1 << 20;
        let text = || "x".repeat(LONG);
        let list = |value: Value| vec![KeyValue::new("key", value)];
        let mut spans = vec![span(); 9];
        spans[0].name = text().into();
        spans[1].attributes = list(text().into());
        spans[2].attributes = list(Value::Array(vec![StringValue::from(text())].into()));
        spans[3].attributes = list(Value::Array(vec![1_i64; LONG / 8].into()));
        spans[4].attributes = vec![KeyValue::new(text(), 1)];
        spans[5].events.events.push(Event::new(text(), std::time::UNIX_EPOCH, Vec::new(), 0));
        spans[6].events.events.push(Event::new("", std::time::UNIX_EPOCH, list(text().into()), 0));
        spans[7].links.links.push(Link::new(span().span_context, list(text().into()), 0));
        spans[8].status = Status::error(text());
        for (at, span) in spans.iter().enumerate() {
            let size = size(span);
            assert!((LONG..LONG + 2048).contains(&size), "{at}: {size}");
        }
    }
}
