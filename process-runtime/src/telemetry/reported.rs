//! What OpenTelemetry and its exporters say about themselves (an unreachable collector, a full queue, a variable
//! that they cannot read), each thing once, in the toolkit's own report.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use crate::report;

/// Whether this is an event that OpenTelemetry sends about itself.
pub(super) fn is_of_opentelemetry(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target().starts_with("opentelemetry")
}

/// Reports a warning or an error.
pub(super) fn report(event: &Event<'_>) {
    // What failed stands in another event, with its reason.
    if *event.metadata().level() > Level::WARN || event.metadata().name() == "Export.Failed.Exhausted" {
        return;
    }
    let mut text = String::new();
    event.record(&mut Fields { text: &mut text });
    report::once(format!("OpenTelemetry: {}{text}", event.metadata().name()));
}

/// Fields as `, name: value`; numbers change from time to time, and are left out so that each thing is said once.
struct Fields<'t> {
    text: &'t mut String,
}

impl Visit for Fields<'_> {
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

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}
}
