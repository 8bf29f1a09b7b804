//! Reports failed processes on standard error. One line is written for each failure that no Sentry client receives,
//! if `Install` has started. A line may contain error text, because standard error stays on the machine. Notices about
//! the toolkit itself do not belong here.

use std::fmt::{Display, Write as _};

use crate::base::{alarm, notices};
use crate::run::domain::observed::Observed;
use crate::run::ending::{End, RunError};
use crate::run::unit::Unit;

/// Queues the line for a failed run of a process. Does nothing while the watchdog is not running, for example before
/// `Install` starts.
pub(crate) fn failed(unit: &'static Unit, observed: Option<&Observed>, error: &RunError<'_>, end: &End) {
    if !alarm::is_watchdog_running() {
        return;
    }
    let values = observed.map(Observed::values_now).unwrap_or_default();
    let mut line = beginning(unit.name, end, values.iter());
    #[cfg(feature = "metrics")]
    if let Some(id) = observed.and_then(Observed::trace_id) {
        let _ = write!(line, ", trace {id}");
    }
    let _ = write!(line, ", {}", error.error_type);
    if let Some(text) = error.whole_text(unit.definition.common().error_text) {
        let _ = write!(line, ": {text}");
    }
    notices::line(line);
}

/// Returns the beginning of a line about a run that has ended: the run's name, outcome, duration and context.
pub(crate) fn beginning<V: Display>(
    name: &str,
    end: &End,
    values: impl IntoIterator<Item = (&'static str, V)>,
) -> String {
    let late = if end.late { ", late" } else { "" };
    let mut line = format!("critical_process: {name}: {}{late} after {:.1?}", end.outcome, end.duration);
    for (key, value) in values {
        let _ = write!(line, ", {key}={value}");
    }
    line
}
