//! What happens if a collector does not accept log records: it is reported once, and nothing more is sent. What a
//! record contains, and the exporter itself, do not belong here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use ureq::http::StatusCode;

use crate::base::notices;
use crate::observe::metrics::LOST_RECORDS;

/// Whether the collector has refused log records. Many backends accept only traces. Events are span events again once
/// the collector has refused records.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Refusal(AtomicBool);

impl Refusal {
    pub(in crate::telemetry) fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes and reports the refusal if an answer with this status is one. Returns whether it is one.
    pub(in crate::telemetry) fn is_meant_by(&self, status: StatusCode, place: &str) -> bool {
        let is_meant = [
            StatusCode::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::GONE,
            StatusCode::NOT_IMPLEMENTED,
        ]
        .contains(&status);
        if is_meant {
            self.give(place, &format!("the status is {status}"));
        }
        is_meant
    }

    /// Notes and reports the refusal.
    pub(in crate::telemetry) fn give(&self, place: &str, why: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            notices::once(format!(
                "the collector at {place} accepts no log records ({why}): from now on events are added to spans; set \
                 OTEL_LOGS_EXPORTER=none to send no log records"
            ));
        }
    }
}

/// An exporter whose records the collector may refuse.
#[derive(Debug)]
pub(super) struct Refusable<E> {
    pub(super) exporter: E,
    pub(super) refusal: Arc<Refusal>,
}

impl<E: LogExporter> LogExporter for Refusable<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        let sent = if self.refusal.is_given() { Ok(()) } else { self.exporter.export(batch).await };
        if sent.is_err() || self.refusal.is_given() {
            LOST_RECORDS.fetch_add(records as u64, Ordering::Relaxed);
        }
        // The refusal is reported, and the program needs no further report when it ends.
        if self.refusal.is_given() { Ok(()) } else { sent }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
