//! Reports runs on standard error, a line for each run. A failure of a process that no Sentry client receives is
//! reported if `Install` has started. Its line may contain error text, because standard error stays on the machine.
//! Notices about the toolkit itself do not belong here.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::{Duration, Instant, SystemTime};

use process_model::Outcome;

use crate::base::foreign::{limits, quote, text};
use crate::base::{alarm, notices, timestamp};
use crate::run::domain::observed::Observed;
use crate::run::ending::{End, RunError};
use crate::run::unit::Unit;

/// The longest time for which a run waits for its line after `Installation::stop`. Nothing else waits for it then, and
/// the program may end at once.
const AFTER_STOP: Duration = Duration::from_millis(10);

/// Queues the line for a failed run of a process. Does nothing before `Install` starts.
pub(crate) fn failed(unit: &'static Unit, observed: Option<&Observed>, error: &RunError<'_>, end: &End) {
    if !notices::is_started() {
        return;
    }
    let mut line = RunLine::new(unit.name, end);
    #[cfg(feature = "metrics")]
    line.trace_id(observed.and_then(Observed::trace_id).as_deref());
    line.context(observed.map(Observed::values_now).unwrap_or_default().iter());
    line.error = error.whole_text(unit.definition.common().error_text);
    line.write();
    if !alarm::is_watchdog_running() {
        notices::flush(Instant::now() + AFTER_STOP);
    }
}

/// The line of a run that has ended, in logfmt: fields `key=value`, each value quoted if it needs quotes.
///
/// If the fields do not fit into the line, the longest values are cut, before they are quoted, so that the line stays
/// readable for a parser. No value takes room from a shorter one. If even this is not enough, values of the context are
/// left out, and the field `omitted` has their number.
#[derive(Debug)]
pub(crate) struct RunLine {
    fields: Vec<Field>,
    /// The text of the error, which is the last field.
    error: Option<String>,
}

#[derive(Debug)]
struct Field {
    key: Cow<'static, str>,
    value: String,
    is_context: bool,
}

/// The names of the fields that a line may have besides the context of the run.
const FIELDS: [&str; 11] = [
    "time",
    "level",
    "target",
    "process",
    "outcome",
    "late",
    "duration",
    "error.type",
    "error",
    "trace_id",
    OMITTED,
];
/// The number of values of the context that the line has no room for.
const OMITTED: &str = "omitted";
/// The start of the name of a value whose own name is in [`FIELDS`].
const CONTEXT: &str = "context.";
/// The number of bytes that a value has at least before it is cut. The mark of a cut fits in.
const LEAST: usize = 64;

impl RunLine {
    /// Starts the line with the time, the level, the name of the run, and how the run ended.
    pub(crate) fn new(name: &str, end: &End) -> RunLine {
        let level = match end.outcome {
            Outcome::Failure | Outcome::Panic => "ERROR",
            Outcome::Degraded => "WARN",
            _ if end.late => "WARN",
            Outcome::Success | Outcome::Rejected | Outcome::Cancelled => "INFO",
        };
        let mut line = RunLine { fields: Vec::with_capacity(16), error: None };
        line.field("time", timestamp::rfc3339(SystemTime::now()));
        line.field("level", level);
        line.field("target", "critical_process");
        line.field("process", name);
        line.field("outcome", end.outcome.as_str());
        line.field("late", if end.late { "true" } else { "false" });
        line.field("duration", format!("{:.1?}", end.duration));
        if let Some(error_type) = end.error_type {
            line.field("error.type", error_type);
        }
        line
    }

    fn field(&mut self, key: &'static str, value: impl Into<String>) {
        self.fields.push(Field { key: key.into(), value: value.into(), is_context: false });
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn trace_id(&mut self, id: Option<&str>) {
        if let Some(id) = id {
            self.field("trace_id", id);
        }
    }

    /// Adds the context of the run. The characters of a name that cannot be in a key are replaced by `_`. A value
    /// whose name is that of another field has `context.` before its name.
    pub(crate) fn context<V: Display>(&mut self, values: impl IntoIterator<Item = (&'static str, V)>) {
        for (name, value) in values {
            let mut key = key(name);
            // Names that already start in this way get another start, so that no two names get the same key.
            if FIELDS.contains(&&*key) || key.starts_with(CONTEXT) {
                key = format!("{CONTEXT}{key}").into();
            }
            while self.fields.iter().any(|field| field.key == key) {
                key.to_mut().push('_');
            }
            self.fields.push(Field { key, value: value.to_string(), is_context: true });
        }
    }

    /// Queues the line for standard error.
    pub(crate) fn write(self) {
        notices::line(self.text(limits::line()));
    }

    /// Returns the line with at most `most` bytes.
    fn text(mut self, most: usize) -> String {
        if let Some(error) = self.error.take() {
            self.field("error", error);
        }
        let mut omitted = 0_usize;
        let share = loop {
            match self.share(most) {
                Some(share) => break share,
                None => match self.fields.iter().rposition(|field| field.is_context) {
                    Some(last) => drop(self.fields.remove(last)),
                    None => break LEAST,
                },
            }
            omitted += 1;
        };
        let mut line = String::new();
        if omitted > 0 {
            text::count_cut();
            let at =
                self.fields.len() - usize::from(self.fields.last().is_some_and(|last| last.key == "error"));
            let value = omitted.to_string();
            self.fields.insert(at, Field { key: OMITTED.into(), value, is_context: false });
        }
        for Field { key, value, .. } in &self.fields {
            let mut quoted = quote::value(value);
            let cut;
            if quoted.len() > share {
                let room = share.saturating_sub(text::LONGEST_MARK);
                cut = text::cut_again(value, quote::fitting(value, room));
                quoted = quote::value(&cut);
            }
            let separator = if line.is_empty() { "" } else { " " };
            line.extend([separator, key, "=", &*quoted]);
        }
        line
    }

    /// Returns the maximum number of bytes of each quoted value with which the line has at most `most` bytes. Returns
    /// `None` if this is less than [`LEAST`] although a value is longer.
    fn share(&self, most: usize) -> Option<usize> {
        let keys = self.fields.iter().map(|field| field.key.len() + " =".len()).sum::<usize>();
        // The field `omitted` may be added.
        let mut room = most.checked_sub(keys + OMITTED.len() + " =".len() + 20)?;
        let mut values: Vec<_> = self.fields.iter().map(|field| quote::value(&field.value).len()).collect();
        values.sort_unstable();
        for (at, bytes) in values.iter().enumerate() {
            let share = room / (values.len() - at);
            if *bytes > share {
                return (share >= LEAST).then_some(share);
            }
            room -= bytes;
        }
        Some(usize::MAX)
    }
}

/// Returns the name of a value as a key that a parser of logfmt reads back.
fn key(name: &'static str) -> Cow<'static, str> {
    let is_bare = |character: char| {
        !character.is_whitespace() && !quote::is_hidden(character) && !matches!(character, '=' | '"' | '\\')
    };
    let cut = text::cut(name, limits::header_text());
    match !cut.is_empty() && cut.chars().all(is_bare) {
        true => cut,
        false if cut.is_empty() => "_".into(),
        false => cut.chars().map(|character| if is_bare(character) { character } else { '_' }).collect(),
    }
}
