//! Threads of the toolkit. What a thread does belongs to its own module.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::foreign::guard::attempt;

/// The time between a panic of a thread and its next start.
const PAUSE: Duration = Duration::from_secs(1);

/// A started thread.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) thread: Thread,
    /// Disconnects when the thread ends, because the thread holds the sender. Nothing is sent.
    ended: Receiver<()>,
}

impl Started {
    /// Returns whether the thread has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Waits for the end of the thread, at most until `end`. Returns whether the thread has ended.
    pub(crate) fn wait(&self, end: Instant) -> bool {
        let rest = end.saturating_duration_since(Instant::now());
        self.ended.recv_timeout(rest) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Starts a thread that calls `work` once.
///
/// # Errors
/// Returns the error of the operating system if it cannot start a thread.
pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Started> {
    let (ends, ended) = mpsc::channel();
    let body = move || {
        let _ends: Sender<()> = ends;
        work();
    };
    let handle = thread::Builder::new().name(name.to_owned()).spawn(body)?;
    Ok(Started { thread: handle.thread().clone(), ended })
}

/// Starts a thread that calls `work`. If `work` panics, the thread passes the report to `report`, and calls `work`
/// again.
///
/// # Errors
/// As [`start`].
pub(crate) fn keep(
    name: &'static str,
    work: impl Fn() + Send + 'static,
    report: impl Fn(String) + Send + 'static,
) -> io::Result<Started> {
    start(name, move || {
        while let Err(panic) = attempt(&work) {
            drop(panic);
            report(restarted(&format!("the thread `{name}`")));
            thread::sleep(PAUSE);
        }
    })
}

/// Returns the report that a thread or task panicked and is started again. `what` names it.
pub(crate) fn restarted(what: &str) -> String {
    format!("{what} panicked and is started again; this is an error of the toolkit, please report it")
}
