//! What the toolkit says about itself and, where no Sentry client is bound, about failures: single lines on
//! standard error, never written by a thread that runs a process.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use crate::base::lock::lock;
use crate::base::output::STANDARD_ERROR;
use crate::observe::End;
use crate::run::context::Values;
use crate::run::ending::Fault;
use crate::run::observed::Observed;
use crate::run::unit::Unit;

/// The most things that are said about the toolkit itself.
const THINGS: usize = 256;

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn already_said() -> MutexGuard<'static, BTreeSet<String>> {
    lock(&SAID)
}

/// Has lines written from now on; those that were queued before, too.
pub(crate) fn start() {
    if let Err(error) = STANDARD_ERROR.start() {
        once(format!("the thread that writes lines cannot be started: {error}"));
    }
}

/// Queues a line.
pub(crate) fn line(line: String) {
    let line = line.replace(char::is_control, " ") + "\n";
    STANDARD_ERROR.push(line.as_bytes());
}

/// Queues a failure that no Sentry client can take. Error text stays on this machine.
pub(crate) fn failure(unit: &'static Unit, observed: Option<&Observed>, fault: &Fault<'_>, end: &End) {
    if !crate::install::watchdog::is_running() {
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
    line(format!("critical_process: {name}: {outcome}{late} after {took:.1?}{context}, {kind}{text}"));
}

/// Queues a line about the toolkit itself, the first time it is said.
pub(crate) fn once(text: impl Into<String>) {
    let text = text.into();
    let mut said = already_said();
    if said.len() < THINGS && said.insert(text.clone()) {
        drop(said);
        line(format!("critical_process: {text}"));
    }
}

/// Everything that was said with [`once`].
pub(crate) fn said() -> Vec<String> {
    already_said().iter().cloned().collect()
}

/// Waits until everything is written, but not longer than until `end`.
pub(crate) fn flush(end: Instant) {
    STANDARD_ERROR.flush(end);
}
