//! Limits the number of spans that wait for an exporter, and counts the spans that are lost. OpenTelemetry's own queue
//! reports its losses only at shutdown. The content of spans must not be changed in here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::environment::Spans;
use crate::base::notices;
use crate::observe::metrics::LOST_SPANS;

/// Returns a processor that sends spans in batches from a thread of its own. A span waits for at most `delay`.
pub(super) fn batches<E: SpanExporter + 'static>(
    exporter: E,
    spans: &Spans,
    delay: Duration,
) -> impl SpanProcessor + use<E> {
    let room = Arc::new(Room { waiting: AtomicUsize::new(0), most: spans.queue });
    // `Room` also counts the spans that are being sent, so the queue of `BatchSpanProcessor` is never full.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(spans.queue)
        .with_max_export_batch_size(spans.batch)
        .with_scheduled_delay(delay)
        .build();
    let exporter = Counted { exporter, room: Arc::clone(&room) };
    Bounded { next: BatchSpanProcessor::new(exporter, config), room, overflow: Once::new() }
}

#[derive(Debug)]
struct Room {
    waiting: AtomicUsize,
    most: usize,
}

#[derive(Debug)]
struct Bounded<P> {
    next: P,
    room: Arc<Room>,
    overflow: Once,
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.room.waiting.fetch_add(1, Ordering::Relaxed) < self.room.most {
            return self.next.on_end(span);
        }
        self.room.waiting.fetch_sub(1, Ordering::Relaxed);
        LOST_SPANS.fetch_add(1, Ordering::Relaxed);
        self.overflow.call_once(|| {
            let most = self.room.most;
            notices::once(format!(
                "the span queue is full with {most} spans (OTEL_BSP_MAX_QUEUE_SIZE): further spans are \
                 lost until there is room"
            ));
        });
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

#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    room: Arc<Room>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        if sent.is_err() {
            LOST_SPANS.fetch_add(spans as u64, Ordering::Relaxed);
        }
        self.room.waiting.fetch_sub(spans, Ordering::Relaxed);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
