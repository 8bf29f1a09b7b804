//! The exporter of log records, and what happens if a collector does not accept log records. What a record contains
//! does not belong here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::LogExporter as OtlpLogExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use ureq::http::StatusCode;

use super::super::exporters::Endpoint;
use super::super::files::FileExporter;
use crate::base::notices;
use crate::observe::metrics::LOST_RECORDS;

/// Whether the collector has refused log records. Many backends accept only traces. Events are span events again once
/// the collector has refused records.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Refusal(AtomicBool);

impl Refusal {
    pub(super) fn is_given(&self) -> bool {
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

    fn give(&self, place: &str, why: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            notices::once(format!(
                "the collector at {place} accepts no log records ({why}): from now on events are added to spans; set \
                 OTEL_LOGS_EXPORTER=none to send no log records"
            ));
        }
    }
}

/// The exporter of log records.
#[derive(Debug)]
pub(in crate::telemetry) struct Logs {
    destination: Destination,
    refusal: Arc<Refusal>,
}

#[derive(Debug)]
enum Destination {
    Otlp(Box<OtlpLogExporter>, Endpoint),
    Files(FileExporter),
}

impl Logs {
    pub(in crate::telemetry) fn over_otlp(
        exporter: OtlpLogExporter,
        endpoint: Endpoint,
        refusal: Arc<Refusal>,
    ) -> Logs {
        Logs { destination: Destination::Otlp(Box::new(exporter), endpoint), refusal }
    }

    pub(in crate::telemetry) fn to_files(files: FileExporter) -> Logs {
        Logs { destination: Destination::Files(files), refusal: Arc::default() }
    }

    pub(super) fn refusal(&self) -> &Arc<Refusal> {
        &self.refusal
    }
}

impl LogExporter for Logs {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        if self.refusal.is_given() {
            LOST_RECORDS.fetch_add(records as u64, Ordering::Relaxed);
            return Ok(());
        }
        let exported = match &self.destination {
            Destination::Files(exporter) => LogExporter::export(exporter, batch).await,
            Destination::Otlp(exporter, endpoint) => {
                let exported = exporter.export(batch).await;
                if let Err(OTelSdkError::InternalFailure(error)) = &exported
                    && endpoint.is_unimplemented(error)
                {
                    self.refusal.give(endpoint.place(), "gRPC code: Unimplemented");
                }
                // The refusal is reported, and the program needs no second report when it ends.
                if self.refusal.is_given() { exported } else { endpoint.report_failure(exported) }
            }
        };
        if exported.is_err() {
            LOST_RECORDS.fetch_add(records as u64, Ordering::Relaxed);
        }
        if self.refusal.is_given() { Ok(()) } else { exported }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match &self.destination {
            Destination::Otlp(exporter, _) => exporter.shutdown_with_timeout(timeout),
            Destination::Files(_) => Ok(()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match &mut self.destination {
            Destination::Otlp(exporter, _) => exporter.set_resource(resource),
            Destination::Files(exporter) => LogExporter::set_resource(exporter, resource),
        }
    }
}
