//! Lines on standard error, which a separate thread writes, so that no run waits for standard error. Most lines are
//! notices: the toolkit reports a problem of its own, and each text only once. [`line`] also writes lines about runs;
//! the format of these lines does not belong here.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::lock::lock;
use super::output::STANDARD_ERROR;

/// The maximum number of different notices. Further notices are discarded.
const MAX_NOTICES: usize = 256;

static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn already_printed() -> MutexGuard<'static, BTreeSet<String>> {
    lock(&PRINTED)
}

/// Starts the thread that writes the queued lines to standard error.
pub(crate) fn start() {
    if let Err(error) = STANDARD_ERROR.start() {
        once(format!("cannot start the thread that writes to standard error: {error}"));
    }
}

/// Queues a line for standard error. Control characters in the text become spaces, so the text cannot start a second
/// line.
pub(crate) fn line(line: String) {
    let line = line.replace(char::is_control, " ") + "\n";
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
