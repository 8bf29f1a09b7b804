//! Reports runs on standard error, a line for each run. A failure of a process that no Sentry client receives is
//! reported if `Install` has started. Its line may contain error text, because standard error stays on the machine.
//! Notices about the toolkit itself do not belong here.

use std::fmt::{Display, Write as _};
use std::time::SystemTime;

use process_model::Outcome;

use crate::base::foreign::{limits, quote, text};
use crate::base::{alarm, notices, timestamp};
use crate::run::domain::observed::Observed;
use crate::run::ending::{End, RunError};
use crate::run::unit::Unit;

/// Queues the line for a failed run of a process. Does nothing while the watchdog is not running, for example before
/// `Install` starts.
pub(crate) fn failed(unit: &'static Unit, observed: Option<&Observed>, error: &RunError<'_>, end: &End) {
    if !alarm::is_watchdog_running() {
        return;
    }
    let mut line = RunLine::new(unit.name, end);
    #[cfg(feature = "metrics")]
    if let Some(id) = observed.and_then(Observed::trace_id) {
        line.field("trace_id", &id);
    }
    line.context(observed.map(Observed::values_now).unwrap_or_default().iter());
    // The text is the last field, so that a long text costs no other field.
    if let Some(text) = error.whole_text(unit.definition.common().error_text) {
        line.field("error", &text);
    }
    line.write();
}

/// The line of a run that has ended, in logfmt: fields `key=value`, each value quoted if it needs quotes.
#[derive(Debug)]
pub(crate) struct RunLine(String);

/// The names of the fields that a line may have besides the context of the run.
const FIELDS: [&str; 9] =
    ["time", "level", "target", "process", "outcome", "late", "duration", "error", "trace_id"];

impl RunLine {
    /// Starts the line with the time, the level, the name of the run, and how the run ended.
    pub(crate) fn new(name: &str, end: &End) -> RunLine {
        let level = match end.outcome {
            Outcome::Failure | Outcome::Panic => "ERROR",
            Outcome::Degraded => "WARN",
            _ if end.late => "WARN",
            Outcome::Success | Outcome::Rejected | Outcome::Cancelled => "INFO",
        };
        let mut line = RunLine(String::new());
        line.field("time", &timestamp::rfc3339(SystemTime::now()));
        line.field("level", level);
        line.field("target", "critical_process");
        line.field("process", name);
        line.field("outcome", end.outcome.as_str());
        line.field("late", if end.late { "true" } else { "false" });
        line.field("duration", &format!("{:.1?}", end.duration));
        if let Some(error_type) = end.error_type {
            line.field("error.type", error_type);
        }
        line
    }

    /// Adds a field. A value that does not fit into the line is cut before it is quoted, so that the line stays
    /// readable for a parser.
    fn field(&mut self, key: &str, value: &str) {
        let room = limits::line().saturating_sub(self.0.len() + key.len() + " =".len());
        let mut quoted = quote::value(value);
        let cut;
        if quoted.len() > room {
            // The quotes make a character at most six bytes long (`\u202e`), and the mark has at most 32.
            cut = text::cut(value, room.saturating_sub(34) / 6);
            quoted = quote::value(&cut);
        }
        if quoted.len() <= room {
            let space = if self.0.is_empty() { "" } else { " " };
            let _ = write!(self.0, "{space}{key}={quoted}");
        }
    }

    /// Adds the context of the run. A value whose name is that of another field has `context.` before its name.
    pub(crate) fn context<V: Display>(&mut self, values: impl IntoIterator<Item = (&'static str, V)>) {
        for (name, value) in values {
            let is_taken = FIELDS.contains(&name) || name == "error.type";
            let name = if is_taken { format!("context.{name}") } else { name.to_owned() };
            self.field(&quote::value(&name), &value.to_string());
        }
    }

    /// Queues the line for standard error.
    pub(crate) fn write(self) {
        notices::line(self.0);
    }
}
