//! Makes a log record of an event. A record has the ids of the event's span, and its texts have limits. Which layer
//! receives the event, and where records are sent, do not belong here.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, Key};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger};
use process_model::ErrorText;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::Id;
use tracing::{Dispatch, Event, Level, Metadata};
use tracing_opentelemetry::get_otel_context;

use super::super::environment::Records;
use super::refusal::Refusal;
use crate::base::foreign::guard::attempt;
use crate::base::foreign::{chain, limits, text};
use crate::observe::metrics::LOST_RECORDS;
use crate::observe::span::TARGET;
use crate::run::frame;

/// The attribute for the text of an error, as in the semantic conventions of OpenTelemetry.
const ERROR: &str = "exception.message";
// The attributes for the place in the source, under the names that the bridge gives them in spans.
const FILE: &str = "code.file.path";
const MODULE: &str = "code.module.name";
const LINE: &str = "code.line.number";
/// The value of an attribute whose text `error_text` keeps in the program.
const WITHHELD: &str = "[withheld by error_text]";

thread_local! {
    /// Whether this thread is making a record.
    static RECORDING: Cell<bool> = const { Cell::new(false) };
}

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
    /// The subscriber, which knows the ids of spans.
    subscriber: OnceLock<WeakDispatch>,
}

impl Recorder {
    pub(super) fn new(logger: SdkLogger, records: &Records, refusal: Arc<Refusal>) -> Recorder {
        let (attributes, longest) = (records.attributes, records.longest);
        Recorder { logger, attributes, longest, refusal, subscriber: OnceLock::new() }
    }

    pub(in crate::telemetry) fn set_subscriber(&self, subscriber: &Dispatch) {
        let _ = self.subscriber.set(subscriber.downgrade());
    }

    /// Returns whether events become records. `false` once the collector has refused records.
    pub(in crate::telemetry) fn is_on(&self) -> bool {
        !self.refusal.is_given()
    }

    /// Makes a record of an event, which belongs to the span `span`.
    pub(in crate::telemetry) fn record(&self, event: &Event<'_>, span: Option<Id>) {
        // An event that a field's `Debug` makes while a record is made has no record, because its own fields might
        // make events without end.
        let recorded = !RECORDING.replace(true) && {
            // In the destructor of a thread-local, the context of OpenTelemetry may be gone, which is a panic.
            let recorded = attempt(|| self.emit(event, span)).is_ok();
            RECORDING.set(false);
            recorded
        };
        if !recorded {
            LOST_RECORDS.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn emit(&self, event: &Event<'_>, span: Option<Id>) {
        if Context::is_current_telemetry_suppressed() {
            return;
        }
        let metadata = event.metadata();
        let (number, level) = severity(*metadata.level());
        let mut record = self.logger.create_log_record();
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(number);
        record.set_severity_text(level);
        record.set_target(metadata.target());
        self.correlate(&mut record, span, *metadata.level());
        let mut fields =
            Fields { record, room: limits::line(), left: self.attributes, recorder: self, has_error: false };
        event.record(&mut fields);
        // Fields of the event come first, because the number of attributes is limited.
        for (key, place) in [(FILE, metadata.file()), (MODULE, metadata.module_path())] {
            if let Some(place) = place {
                fields.text(key, limits::context_value(), |most| text::cut(place, most).into_owned());
            }
        }
        if let Some(line) = metadata.line() {
            fields.attribute(LINE, line.into());
        }
        self.logger.emit(fields.record);
    }

    /// Sets the ids of the span. An event of level ERROR makes an error of its span, as it does without log records.
    /// Without a span of `tracing`, OpenTelemetry's logger sets the ids of its own current span.
    fn correlate(&self, record: &mut SdkLogRecord, span: Option<Id>, level: Level) {
        let context = span.and_then(|span| get_otel_context(&span, &self.subscriber.get()?.upgrade()?));
        let Some(context) = context else { return };
        let span = context.span();
        let ids = span.span_context();
        if ids.is_valid() {
            record.set_trace_context(ids.trace_id(), ids.span_id(), Some(ids.trace_flags()));
        }
        if level == Level::ERROR {
            span.set_status(Status::error(""));
        }
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

/// Returns the key of a field. A record of the crate `log` has its place in the source in fields of its own.
fn of_log(field: &'static str) -> &'static str {
    match field {
        "log.file" => FILE,
        "log.module_path" => MODULE,
        "log.line" => LINE,
        field => field,
    }
}

/// Returns whether the text of an error may leave the program: outside of runs, and inside of runs with
/// `error_text = everywhere`.
fn is_error_text_sent() -> bool {
    frame::innermost_unit().is_none_or(|unit| unit.definition.common().error_text == ErrorText::Everywhere)
}

/// The texts of an error and its sources, as in `the checkout failed: unknown card`.
struct Chain<'e>(&'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        chain::sources(self.0).try_for_each(|source| write!(f, ": {source}"))
    }
}

/// Adds the fields of an event to a record. The field `message` becomes the body, and each other field an attribute.
struct Fields<'r> {
    record: SdkLogRecord,
    recorder: &'r Recorder,
    /// The number of bytes that the record still has for texts.
    room: usize,
    /// The number of attributes that the record may still get.
    left: usize,
    has_error: bool,
}

impl Fields<'_> {
    fn attribute(&mut self, key: &'static str, value: AnyValue) {
        if self.left > 0 {
            self.left -= 1;
            self.room = self.room.saturating_sub(key.len());
            self.record.add_attribute(Key::from_static_str(key), value);
        }
    }

    /// Adds a text that `write` makes with at most the number of bytes that it receives.
    fn text(&mut self, key: &'static str, most: usize, write: impl FnOnce(usize) -> String) {
        let is_body = key == "message";
        if !is_body && self.left == 0 {
            return;
        }
        let mut written = write(if is_body { self.room } else { most.min(self.room) });
        self.room = self.room.saturating_sub(written.len());
        if is_body {
            return self.record.set_body(written.into());
        }
        let longest = self.recorder.longest;
        if let Some((end, _)) = longest.and_then(|longest| written.char_indices().nth(longest)) {
            written.truncate(end);
        }
        self.attribute(key, written.into());
    }
}

impl Visit for Fields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attribute(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // OpenTelemetry has no unsigned integers.
        match i64::try_from(value) {
            Ok(value) => self.attribute(of_log(field.name()), value.into()),
            Err(_) => self.attribute(field.name(), value.to_string().into()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attribute(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let write = |most| text::cut(value, most).into_owned();
        match field.name() {
            "log.target" => self.record.set_target(write(limits::header_text())),
            name => self.text(of_log(name), limits::context_value(), write),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let key = if self.has_error { field.name() } else { ERROR };
        self.has_error = true;
        match is_error_text_sent() {
            true => self.text(key, limits::error_text(), |most| text::bounded(&Chain(value), most)),
            false => self.attribute(key, WITHHELD.into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), limits::context_value(), |most| text::bounded_debug(value, most));
    }
}
