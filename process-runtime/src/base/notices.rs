//! Lines on standard error, which a separate thread writes, so that no run waits for standard error. A notice is a line
//! about the program's own code or configuration. Their number is therefore bounded, and each is written only once. A
//! problem that can recur, or whose text comes from outside, is a `cause`. [`line`] also writes lines about runs; the
//! format of these lines does not belong here.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::foreign::quote;
use super::lock::lock;
use super::output::STANDARD_ERROR;

/// The maximum number of different notices. Further notices are discarded.
const MAX_NOTICES: usize = 256;

/// Whether [`start`] was called.
static STARTED: AtomicBool = AtomicBool::new(false);
static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn already_printed() -> MutexGuard<'static, BTreeSet<String>> {
    lock(&PRINTED)
}

/// Starts the thread that writes the queued lines to standard error.
pub(crate) fn start() {
    STARTED.store(true, Ordering::Relaxed);
    if let Err(error) = STANDARD_ERROR.start() {
        once(format!("cannot start the thread that writes to standard error: {error}"));
    }
}

/// Returns whether [`start`] was called. Takes no lock, which in the child of a fork may never be released.
pub(crate) fn is_started() -> bool {
    STARTED.load(Ordering::Relaxed)
}

/// Queues a line for standard error. Hidden characters, which could start a second line or change how the line is
/// shown, become spaces.
pub(crate) fn line(line: String) {
    let line = line.replace(quote::is_hidden, " ") + "\n";
    STANDARD_ERROR.push(line.as_bytes());
}

/// Queues a notice. Does nothing if the same text was queued before, or if [`MAX_NOTICES`] notices were queued
/// before.
pub(crate) fn once(text: impl Into<String>) {
    let text = text.into();
    let mut printed = already_printed();
    if printed.len() < MAX_NOTICES && printed.insert(text.clone()) {
        drop(printed);
        line(format!("critical_process: {text}"));
    }
}

/// Returns all notices so far, sorted.
pub(crate) fn printed() -> Vec<String> {
    already_printed().iter().cloned().collect()
}

/// Waits until every line is written, at most until `end`.
pub(crate) fn flush(end: Instant) {
    STANDARD_ERROR.flush(end);
}
