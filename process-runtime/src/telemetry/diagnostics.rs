//! Reports the warnings and errors that OpenTelemetry and its exporters log about themselves. Each warning or error
//! becomes a notice of the toolkit. The same notice is printed only once. Events of the application do not belong
//! here.

use std::fmt::{self, Write as _};
use std::sync::atomic::Ordering;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use crate::base::notices;
use crate::observe::metrics::{LOST_RECORDS, LOST_SPANS};

/// The names of the fields that contain the number of spans and log records that a collector rejected. The number is
/// an `i64`. The events `….PartialSuccess` of opentelemetry-otlp have these fields.
const REJECTED: &str = "rejected_spans";
const REJECTED_RECORDS: &str = "rejected_log_records";

/// The text of an error whose cause an exporter has already reported. The event that OpenTelemetry logs about such an
/// error is ignored.
pub(super) const ALREADY_REPORTED: &str = "the cause is already reported";

/// Returns whether `metadata` describes an event that OpenTelemetry logs about itself.
pub(super) fn is_of_opentelemetry(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target().starts_with("opentelemetry")
}

/// Reports an event of OpenTelemetry, if it is a warning or an error whose cause is not reported yet. Also counts the
/// spans and log records that a collector rejected.
pub(super) fn report(event: &Event<'_>) {
    // The exporter itself reports why an export failed, so OpenTelemetry's event about the failed export is ignored.
    if *event.metadata().level() > Level::WARN || event.metadata().name().starts_with("Export.Failed.") {
        return;
    }
    let mut fields = Fields::default();
    event.record(&mut fields);
    LOST_SPANS.fetch_add(fields.rejected, Ordering::Relaxed);
    LOST_RECORDS.fetch_add(fields.rejected_records, Ordering::Relaxed);
    if fields.text.contains(ALREADY_REPORTED) {
        return;
    }
    notices::once(format!("OpenTelemetry: {}{}", event.metadata().name(), fields.text));
}

/// The fields of an event as `, name: value`. Numbers are left out because they vary between events with the same
/// cause.
#[derive(Default)]
struct Fields {
    text: String,
    /// The number of spans that the collector rejected from a request that it otherwise accepted. The exporter treats
    /// such a request as a success.
    rejected: u64,
    rejected_records: u64,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "name" {
            let _ = write!(self.text, ", {}: {value:?}", field.name());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "name" {
            let _ = write!(self.text, ", {}: {value}", field.name());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let rejected = u64::try_from(value).unwrap_or(0);
        match field.name() {
            REJECTED => self.rejected = rejected,
            REJECTED_RECORDS => self.rejected_records = rejected,
            _ => {}
        }
    }

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_i128(&mut self, _: &Field, _: i128) {}

    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_f64(&mut self, _: &Field, _: f64) {}
}
