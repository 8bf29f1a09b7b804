//! What the toolkit says about itself and, where no Sentry client is bound, about failures: single lines on
//! standard error, written by the watchdog's thread and never by one that runs a process. The queue is
//! bounded; what finds no room is counted.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::context::Values;
use crate::ending::Fault;
use crate::observe::End;
use crate::observed::Observed;
use crate::unit::Unit;

/// The most lines that wait.
const LINES: usize = 256;

static QUEUE: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static LOST: AtomicU64 = AtomicU64::new(0);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Queues a line.
pub(crate) fn line(line: String) {
    let mut queue = lock(&QUEUE);
    if queue.len() < LINES {
        queue.push_back(line);
        drop(queue);
        crate::watchdog::wake();
    } else {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// Queues a failure that no Sentry client can take. Error text stays on this machine.
pub(crate) fn failure(unit: &'static Unit, observed: Option<&Observed>, fault: &Fault<'_>, end: &End) {
    if !crate::watchdog::is_running() {
        return;
    }
    let late = if end.late { ", late" } else { "" };
    let text = fault.text(unit.definition.common().error_text);
    let text = text.map(|text| format!(": {text}")).unwrap_or_default();
    let (name, outcome, kind, took) = (unit.name, end.outcome, fault.error_type, end.duration);
    let mut context = String::new();
    for (key, value) in observed.map(Observed::values_now).iter().flat_map(Values::iter) {
        let _ = write!(context, ", {key}={value}");
    }
    line(format!("critical_process: {name}: {outcome}{late} after {took:.1?}{context}, {kind}{text}"));
}

/// Queues a line about the toolkit itself, the first time it is said.
pub(crate) fn once(text: impl Into<String>) {
    let text = text.into();
    let mut said = lock(&SAID);
    if said.len() < LINES && said.insert(text.clone()) {
        drop(said);
        line(format!("critical_process: {text}"));
    }
}

/// Everything that was said with [`once`].
pub(crate) fn said() -> Vec<String> {
    lock(&SAID).iter().cloned().collect()
}

/// Lines that found no room.
#[cfg(feature = "metrics")]
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Writes what waits. A standard error that cannot be written to is nobody's problem here.
pub(crate) fn flush() {
    let waiting = std::mem::take(&mut *lock(&QUEUE));
    if waiting.is_empty() {
        return;
    }
    let mut text: String =
        waiting.into_iter().map(|line| line.replace(char::is_control, " ") + "\n").collect();
    let lost = LOST.load(Ordering::Relaxed);
    if lost > 0 {
        static SAID_LOST: AtomicU64 = AtomicU64::new(0);
        if SAID_LOST.swap(lost, Ordering::Relaxed) != lost {
            text.push_str(&format!("critical_process: {lost} lines in all found no room in the queue\n"));
        }
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
