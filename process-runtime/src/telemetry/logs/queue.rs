//! Limits the number and the bytes of the log records that wait for an exporter, and counts the records that find no
//! room. OpenTelemetry's own queue has no limit in bytes, and reports its losses only at shutdown. The content of
//! records must not be changed in here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use opentelemetry::logs::AnyValue;
use opentelemetry::{InstrumentationScope, Key};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord,
};

use super::super::environment::Records;
use crate::base::foreign::limits;
use crate::base::notices;
use crate::observe::metrics::LOST_RECORDS;

/// Returns a processor that sends records in batches from a thread of its own. A record waits for at most `delay`.
pub(super) fn batches<E: LogExporter + 'static>(
    exporter: E,
    records: &Records,
    delay: Duration,
) -> impl LogProcessor + use<E> {
    let room =
        Arc::new(Room { records: AtomicUsize::new(0), bytes: AtomicUsize::new(0), most: records.queue });
    // `Room` also counts the records that are being sent, so the queue of `BatchLogProcessor` is never full.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(records.queue)
        .with_max_export_batch_size(records.batch)
        .with_scheduled_delay(delay)
        .build();
    let exporter = Counted { exporter, room: Arc::clone(&room) };
    let next = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    Bounded { next, room, overflow: Once::new() }
}

/// The records that wait or are being sent, and their bytes.
#[derive(Debug)]
struct Room {
    records: AtomicUsize,
    bytes: AtomicUsize,
    most: usize,
}

impl Room {
    /// Takes room for a record. Returns `false` if there is none.
    fn take(&self, bytes: usize) -> bool {
        let records = self.records.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = records < self.most && waiting.saturating_add(bytes) <= limits::queue();
        if !fits {
            self.give_back(1, bytes);
        }
        fits
    }

    fn give_back(&self, records: usize, bytes: usize) {
        self.records.fetch_sub(records, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Returns how much memory a waiting record occupies, in bytes.
fn size(record: &SdkLogRecord) -> usize {
    let text = |value: &AnyValue| if let AnyValue::String(text) = value { text.as_str().len() } else { 0 };
    let attribute =
        |(key, value): &(Key, AnyValue)| size_of::<(Key, AnyValue)>() + key.as_str().len() + text(value);
    let body = record.body().map_or(0, text);
    size_of::<(SdkLogRecord, InstrumentationScope)>()
        + body
        + record.attributes_iter().map(attribute).sum::<usize>()
}

#[derive(Debug)]
struct Bounded<P> {
    next: P,
    room: Arc<Room>,
    overflow: Once,
}

impl<P: LogProcessor> LogProcessor for Bounded<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.room.take(size(record)) {
            return self.next.emit(record, scope);
        }
        LOST_RECORDS.fetch_add(1, Ordering::Relaxed);
        self.overflow.call_once(|| {
            notices::once(format!(
                "the queue of log records is full ({} records or {} bytes): further records are lost until there is \
                 room; OTEL_BLRP_MAX_QUEUE_SIZE and `Install::limits` change its size",
                self.room.most,
                limits::queue()
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

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let (records, bytes) =
            batch.iter().fold((0, 0), |(records, bytes), (record, _)| (records + 1, bytes + size(record)));
        let sent = self.exporter.export(batch).await;
        self.room.give_back(records, bytes);
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
