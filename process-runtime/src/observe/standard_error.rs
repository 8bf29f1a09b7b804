//! Reports of failed processes on standard error: one line for each failure that no Sentry client receives. A line may
//! contain error text, because standard error stays on the machine. Notices about the toolkit must not go in here.

use std::fmt::Write as _;

use crate::base::{alarm, notices};
use crate::run::context::Values;
use crate::run::domain::observed::Observed;
use crate::run::domain::sink::End;
use crate::run::ending::RunError;
use crate::run::unit::Unit;

/// Queues the line of a failed run. Does nothing without the watchdog.
pub(crate) fn failed(unit: &'static Unit, observed: Option<&Observed>, fault: &RunError<'_>, end: &End) {
    if !alarm::is_set() {
        return;
    }
    let late = if end.late { ", late" } else { "" };
    let text = fault.whole_text(unit.definition.common().error_text);
    let text = text.map(|text| format!(": {text}")).unwrap_or_default();
    let (name, outcome, kind, took) = (unit.name, end.outcome, fault.error_type, end.duration);
    let mut context = String::new();
    for (key, value) in observed.map(Observed::values_now).iter().flat_map(Values::iter) {
        let _ = write!(context, ", {key}={value}");
    }
    #[cfg(feature = "metrics")]
    if let Some(id) = observed.and_then(Observed::trace_id) {
        let _ = write!(context, ", trace {id}");
    }
    notices::line(format!(
        "critical_process: {name}: {outcome}{late} after {took:.1?}{context}, {kind}{text}"
    ));
}
