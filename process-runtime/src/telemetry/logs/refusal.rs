//! What happens if a collector does not accept log records: it is reported once, and nothing more is sent. What a
//! record contains, and the exporter itself, do not belong here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use ureq::http::StatusCode;

use crate::base::notices;
use crate::observe::metrics::LOST_RECORDS;

/// What is known about a collector. Many backends accept only traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The collector has not answered yet.
    Open,
    /// The collector has accepted records. From now on a status such as 404 is an ordinary failure, for example of a
    /// proxy during a deployment.
    Accepted,
    /// The collector accepts no records.
    Refused,
}

/// Whether the collector has refused log records. Events are span events once the collector has refused records.
#[derive(Debug)]
pub(in crate::telemetry) struct Refusal {
    /// The number of an [`Answer`].
    answer: AtomicU8,
    /// Whether traces are exported, so that events can be added to spans.
    has_traces: bool,
}

impl Refusal {
    pub(in crate::telemetry) fn new(has_traces: bool) -> Refusal {
        Refusal { answer: AtomicU8::new(Answer::Open as u8), has_traces }
    }

    pub(in crate::telemetry) fn is_given(&self) -> bool {
        self.answer.load(Ordering::Relaxed) == Answer::Refused as u8
    }

    /// Notes that the collector has accepted records.
    pub(in crate::telemetry) fn accepted(&self) {
        self.answer_first(Answer::Accepted);
    }

    /// Notes the first answer. Returns whether this answer is the first.
    fn answer_first(&self, answer: Answer) -> bool {
        let (open, answer) = (Answer::Open as u8, answer as u8);
        self.answer.compare_exchange(open, answer, Ordering::Relaxed, Ordering::Relaxed).is_ok()
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
        is_meant && self.is_given()
    }

    /// Notes and reports the refusal, unless the collector has accepted records before.
    pub(in crate::telemetry) fn give(&self, place: &str, why: &str) {
        if self.answer_first(Answer::Refused) {
            let instead = match self.has_traces {
                true => "from now on events are added to spans, and an event without a span is lost",
                false => "traces are not exported either, so from now on events are lost",
            };
            notices::once(format!(
                "the collector at {place} accepts no log records ({why}): {instead} and counted; set \
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
