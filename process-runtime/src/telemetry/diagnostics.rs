//! Reports the warnings and errors that OpenTelemetry and its exporters log about themselves. The name of an event is
//! its cause; the fields of an event may contain text from outside, so they are only the sample. Events of the
//! application do not belong here.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::signal;
use crate::base::cause::Cause;
use crate::base::foreign::text;
use crate::observe::metrics::{LOST_RECORDS, LOST_SPANS};

/// The names of the fields that contain the number of spans and log records that a collector rejected. The number is
/// an `i64`. The events `….PartialSuccess` of opentelemetry-otlp have these fields.
const REJECTED: &str = "rejected_spans";
const REJECTED_RECORDS: &str = "rejected_log_records";
/// The maximum number of bytes of the text of one field. Several fields fit into the sample of a cause.
const FIELD: usize = 128;

/// The text of an error whose cause an exporter has already reported. The event that OpenTelemetry logs about such an
/// error is ignored.
pub(super) const ALREADY_REPORTED: &str = "the cause is already reported";

macro_rules! events {
    ($($name:literal),+ $(,)?) => {
        [$(($name, Cause::new(concat!("OpenTelemetry: ", $name)))),+]
    };
}

/// The events that the crates of OpenTelemetry 0.33 log, without those that are reported elsewhere.
static EVENTS: [(&str, Cause); 33] = events![
    "BaggagePropagator.Extract.HeaderTooLarge",
    "BaggagePropagator.Extract.InvalidFormat",
    "BaggagePropagator.Extract.InvalidKeyValueFormat",
    "BaggagePropagator.Extract.InvalidUTF8",
    "BatchLogProcessor.Emit.AfterShutdown",
    "BatchLogProcessor.ExportError",
    "BatchLogProcessor.LogDroppingStarted",
    "BatchLogProcessor.LogsDropped",
    "BatchSpanProcessor.ExportError",
    "BatchSpanProcessor.Flush.ExportError",
    "BatchSpanProcessor.OnEnd.AfterShutdown",
    "BatchSpanProcessor.SpanDroppingStarted",
    "BatchSpanProcessor.SpansDropped",
    "Context.AttachFailed",
    "Context.OutOfOrderDrop",
    "Context.PopOutOfBounds",
    "Exporter.Config.InvalidEnvironmentVariable",
    "InstrumentCreationFailed",
    "MeterProvider.Drop.ShutdownFailed",
    "MeterProvider.GlobalGetFailed",
    "MeterProvider.GlobalSetFailed",
    "MeterProvider.InternalError",
    "MetricScrapeFailed",
    "MetricValidationFailed",
    "PeriodReader.MeterProviderNotRegistered",
    "PeriodReaderCollectError",
    "PeriodReaderThreadStartError",
    "PeriodicReader.ExportError",
    "PeriodicReader.WorkerThreadTerminated",
    "SimpleSpanProcessor.OnEnd.AfterShutdown",
    "TracerProvider.GlobalGetFailed",
    "TracerProvider.GlobalSetFailed",
    "ViewAggregationIncompatible",
];
/// OpenTelemetry ignores an invalid variable.
const VARIABLE: &str = "Exporter.Config.InvalidEnvironmentVariable";
/// The ends of the names of those variables that `environment` checks and reports.
const CHECKED: [&str; 3] = ["_COMPRESSION", "_INSECURE", "_PROTOCOL"];

/// All other events.
static OTHER: Cause = Cause::new("OpenTelemetry:");

/// The number of spans and of log records in the request that is being sent. A collector cannot reject more than these,
/// whatever number it answers with.
pub(super) static SENT_SPANS: AtomicU64 = AtomicU64::new(0);
pub(super) static SENT_RECORDS: AtomicU64 = AtomicU64::new(0);

/// Whether the telemetry is stopping. Its guard then reports whether something is not sent.
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

/// Ignores from now on that OpenTelemetry reports a failed shutdown.
pub(super) fn stopping() {
    IS_STOPPING.store(true, Ordering::Relaxed);
}

/// The crates of OpenTelemetry that this program contains. An application may have targets with similar names.
const CRATES: [&str; 6] = [
    "opentelemetry",
    "opentelemetry_http",
    "opentelemetry_otlp",
    "opentelemetry_prometheus",
    "opentelemetry_proto",
    "opentelemetry_sdk",
];

/// Returns whether `metadata` describes an event that OpenTelemetry logs about itself.
pub(super) fn is_of_opentelemetry(metadata: &Metadata<'_>) -> bool {
    let is_of_crate = |target: &str| {
        // Most events have the name of the package as their target, and the others the path of their module.
        let name = target.split("::").next().unwrap_or(target);
        CRATES
            .iter()
            .any(|known| name.bytes().map(|byte| if byte == b'-' { b'_' } else { byte }).eq(known.bytes()))
    };
    let target = metadata.target();
    metadata.is_event() && target.starts_with("opentelemetry") && is_of_crate(target)
}

/// Returns whether another part of the toolkit reports what an event with this name and these fields is about.
fn is_reported_elsewhere(name: &str, fields: &str) -> bool {
    // The exporter itself reports why an export failed.
    name.starts_with("Export.Failed.")
        || fields.contains(ALREADY_REPORTED)
        || name == VARIABLE && CHECKED.iter().any(|checked| fields.contains(checked))
        || name.contains(".Shutdown") && IS_STOPPING.load(Ordering::Relaxed)
}

/// Reports an event of OpenTelemetry, if it is a warning or an error whose cause is not reported yet. Also counts the
/// spans and log records that a collector rejected.
pub(super) fn report(event: &Event<'_>) {
    let name = event.metadata().name();
    if *event.metadata().level() > Level::WARN {
        return;
    }
    let mut fields = Fields::default();
    event.record(&mut fields);
    LOST_SPANS.fetch_add(fields.rejected.min(SENT_SPANS.load(Ordering::Relaxed)), Ordering::Relaxed);
    let rejected_records = fields.rejected_records.min(SENT_RECORDS.load(Ordering::Relaxed));
    LOST_RECORDS.fetch_add(rejected_records, Ordering::Relaxed);
    if is_reported_elsewhere(name, &fields.text) {
        return;
    }
    match name {
        "HttpTraceClient.PartialSuccess" | "TonicTracesClient.PartialSuccess" => {
            signal::TRACES.rejected.happened(format_args!("{name}{}", fields.text));
        }
        "HttpMetricsClient.PartialSuccess" | "TonicMetricsClient.PartialSuccess" => {
            signal::METRICS.rejected.happened(format_args!("{name}{}", fields.text));
        }
        "HttpLogsClient.PartialSuccess" | "TonicLogsClient.PartialSuccess" => {
            signal::LOGS.rejected.happened(format_args!("{name}{}", fields.text));
        }
        _ => match EVENTS.iter().find(|(known, _)| *known == name) {
            Some((_, cause)) => cause.happened(fields.text.trim_start_matches([',', ' '])),
            None => OTHER.happened(format_args!("{name}{}", fields.text)),
        },
    }
}

/// The fields of an event as `, name: value`, each cut. Numbers are left out.
#[derive(Default)]
struct Fields {
    text: String,
    /// The number of spans that the collector rejected from a request that it otherwise accepted. The exporter treats
    /// such a request as a success.
    rejected: u64,
    rejected_records: u64,
}

impl Fields {
    fn add(&mut self, field: &Field, value: &str) {
        if field.name() != "name" {
            let _ = write!(self.text, ", {}: {value}", field.name());
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &text::bounded_debug(value, FIELD));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, &text::cut(value, FIELD));
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
