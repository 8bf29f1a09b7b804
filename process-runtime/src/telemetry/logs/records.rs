//! Makes a log record of an event. A record has the ids of the event's span, and its texts have limits. Which layer
//! receives the event, and where records are sent, do not belong here.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, Key};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger};
use tracing::{Event, Level, Metadata};

use super::super::environment::Records;
use super::super::fields::{Fields, Limited, Receiver};
use super::refusal::Refusal;
use crate::observe::span::TARGET;

/// Returns whether events of this kind become records: those of level WARN and above, and those of level INFO with the
/// target of runs.
pub(in crate::telemetry) fn is_recorded(metadata: &Metadata<'_>) -> bool {
    let least = if metadata.target() == TARGET { Level::INFO } else { Level::WARN };
    metadata.is_event() && *metadata.level() <= least
}

/// Makes records of events.
#[derive(Debug)]
pub(in crate::telemetry) struct Recorder {
    logger: SdkLogger,
    attributes: usize,
    longest: Option<usize>,
    refusal: Arc<Refusal>,
}

impl Recorder {
    pub(super) fn new(logger: SdkLogger, records: &Records, refusal: Arc<Refusal>) -> Recorder {
        let (attributes, longest) = (records.attributes, records.longest);
        Recorder { logger, attributes, longest, refusal }
    }

    /// Returns whether events become records. `false` once the collector has refused records.
    pub(in crate::telemetry) fn is_on(&self) -> bool {
        !self.refusal.is_given()
    }

    /// Makes a record of an event. `span` is the context of the event's span. Without a span of `tracing`,
    /// OpenTelemetry's logger sets the ids of its own current span.
    pub(in crate::telemetry) fn record(
        &self,
        event: &Event<'_>,
        span: Option<&Context>,
        is_error_text_sent: &dyn Fn() -> bool,
    ) {
        let metadata = event.metadata();
        let (number, level) = severity(*metadata.level());
        let mut record = self.logger.create_log_record();
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(number);
        record.set_severity_text(level);
        record.set_target(metadata.target());
        if let Some(span) = span {
            let ids = span.span().span_context().clone();
            if ids.is_valid() {
                record.set_trace_context(ids.trace_id(), ids.span_id(), Some(ids.trace_flags()));
            }
        }
        let mut fields = Fields::new(record, self.attributes, self.longest, is_error_text_sent);
        event.record(&mut fields);
        fields.place(metadata);
        self.logger.emit(fields.receiver);
    }
}

impl Receiver for SdkLogRecord {
    fn body(&mut self, text: String) {
        self.set_body(text.into());
    }

    fn target(&mut self, target: String) {
        self.set_target(target);
    }

    fn attribute(&mut self, key: &'static str, value: Limited) {
        let value: AnyValue = match value {
            Limited::Bool(value) => value.into(),
            Limited::I64(value) => value.into(),
            Limited::F64(value) => value.into(),
            Limited::Text(value) => value.into(),
        };
        self.add_attribute(Key::from_static_str(key), value);
    }
}

fn severity(level: Level) -> (Severity, &'static str) {
    let number = match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    };
    (number, level.as_str())
}
