//! Limits the number and the bytes of the log records that wait for an exporter, and counts the records that find no
//! room. OpenTelemetry's own queue has no limit in bytes, and reports its losses only at shutdown. The content of
//! records must not be changed in here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::logs::AnyValue;
use opentelemetry::{InstrumentationScope, Key};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord,
};

use super::super::diagnostics::SENT_RECORDS;
use super::super::environment::Records;
use super::super::requests::{encoded, requests};
use super::super::room::Room;
use crate::base::cause::Cause;
use crate::observe::metrics::LOST_RECORDS;

static FULL: Cause = Cause::new("the queue of log records is full with");

/// Returns a processor that sends records in batches from a thread of its own. A record waits for at most `delay`.
pub(super) fn batches<E: LogExporter + 'static>(
    exporter: E,
    records: &Records,
    delay: Duration,
) -> impl LogProcessor + use<E> {
    let room = Arc::new(Room::new("log records", "OTEL_BLRP_MAX_QUEUE_SIZE", &FULL, records.queue));
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(records.queue)
        .with_max_export_batch_size(records.batch)
        .with_scheduled_delay(delay)
        .build();
    let exporter = Counted { exporter, room: Arc::clone(&room) };
    let next = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    Bounded { next, room }
}

/// Returns how much memory a waiting record occupies, in bytes.
fn size(record: &SdkLogRecord) -> usize {
    measured(record, str::len)
}

/// Returns the size of a record, with the texts measured by `text`.
fn measured(record: &SdkLogRecord, text: fn(&str) -> usize) -> usize {
    let value = |value: &AnyValue| if let AnyValue::String(value) = value { text(value.as_str()) } else { 0 };
    let attribute =
        |(key, of): &(Key, AnyValue)| size_of::<(Key, AnyValue)>() + text(key.as_str()) + value(of);
    size_of::<(SdkLogRecord, InstrumentationScope)>()
        + record.target().map_or(0, |target| text(target))
        + record.body().map_or(0, value)
        + record.attributes_iter().map(attribute).sum::<usize>()
}

#[derive(Debug)]
struct Bounded<P> {
    next: P,
    room: Arc<Room>,
}

impl<P: LogProcessor> LogProcessor for Bounded<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.room.take(size(record)) {
            return self.next.emit(record, scope);
        }
        LOST_RECORDS.fetch_add(1, Ordering::Relaxed);
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

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let mut exported = Ok(());
        for request in requests(batch.iter().collect(), |(record, _)| measured(record, encoded)) {
            let bytes = request.iter().map(|(record, _)| size(record)).sum();
            SENT_RECORDS.store(request.len() as u64, Ordering::Relaxed);
            let sent = self.exporter.export(LogBatch::new(&request)).await;
            self.room.exported(request.len(), bytes);
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
