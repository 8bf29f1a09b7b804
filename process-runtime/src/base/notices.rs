//! What the toolkit reports about itself: single lines on standard error, each once, written by a thread that runs no
//! process.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::lock::lock;
use super::output::STANDARD_ERROR;

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
