//! Notices of the toolkit about itself: lines on standard error, each written once, by a thread that runs no process.
//! Reports about runs must not go in here.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::lock::lock;
use super::output::STANDARD_ERROR;

/// The maximum number of different notices.
const MAX_NOTICES: usize = 256;

static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn already_printed() -> MutexGuard<'static, BTreeSet<String>> {
    lock(&PRINTED)
}

/// Starts writing lines, including those that are already queued.
pub(crate) fn start() {
    if let Err(error) = STANDARD_ERROR.start() {
        once(format!("cannot start the thread that writes to standard error: {error}"));
    }
}

/// Queues a line. Control characters in it become spaces, so that it stays one line.
pub(crate) fn line(line: String) {
    let line = line.replace(char::is_control, " ") + "\n";
    STANDARD_ERROR.push(line.as_bytes());
}

/// Queues a notice, unless the same text was queued before.
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
