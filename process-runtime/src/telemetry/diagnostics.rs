//! What OpenTelemetry and its exporters say about themselves (an unreachable collector, a full queue, a variable
//! that they cannot read), each thing once, in the toolkit's own report.

use std::fmt::{self, Write as _};
use std::sync::atomic::Ordering;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use crate::base::notices;
use crate::observe::metrics::LOST_SPANS;

/// How many spans a collector did not take, in `HttpTraceClient.PartialSuccess` and `TonicTracesClient.PartialSuccess`
/// of opentelemetry-otlp: an `i64`, as in the protocol.
const REJECTED: &str = "rejected_spans";

/// The error of an exporter that has reported why already: what OpenTelemetry then says of it is no news.
pub(super) const ALREADY_REPORTED: &str = "why is told already";

/// Whether this is an event that OpenTelemetry sends about itself.
pub(super) fn is_of_opentelemetry(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target().starts_with("opentelemetry")
}

/// Reports a warning or an error.
pub(super) fn report(event: &Event<'_>) {
    // What failed is told by the exporter, with its reason.
    if *event.metadata().level() > Level::WARN || event.metadata().name().starts_with("Export.Failed.") {
        return;
    }
    let mut fields = Fields::default();
    event.record(&mut fields);
    LOST_SPANS.fetch_add(fields.rejected, Ordering::Relaxed);
    if fields.text.contains(ALREADY_REPORTED) {
        return;
    }
    notices::once(format!("OpenTelemetry: {}{}", event.metadata().name(), fields.text));
}

/// Fields as `, name: value`; numbers change from time to time, and are left out so that each thing is said once.
#[derive(Default)]
struct Fields {
    text: String,
    /// The spans of a request that the collector took only in part, which the exporter calls a success.
    rejected: u64,
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
        if field.name() == REJECTED {
            self.rejected = u64::try_from(value).unwrap_or(0);
        }
    }

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_i128(&mut self, _: &Field, _: i128) {}

    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_f64(&mut self, _: &Field, _: f64) {}
}
