//! Looks up the names of functions in stack traces. To read the debug information of a large program takes seconds, so
//! a thread of its own looks them up, and a stack trace whose time is over stays without names. Sending stack traces
//! does not belong here.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use backtrace::Backtrace;

use crate::base::{notices, threads};

/// The longest time that a stack trace waits for its names.
const LONGEST: Duration = Duration::from_secs(30);
/// The maximum number of stack traces that wait for their names.
const MOST: usize = 8;
/// The time after which a waiting thread asks again how long it may wait.
const STEP: Duration = Duration::from_millis(10);

/// A stack trace without names, where to send it with names, and whether it is still needed.
type Request = (Backtrace, SyncSender<Backtrace>, Weak<()>);

/// The thread that looks up names. It ends when this value is dropped.
#[derive(Debug)]
pub(super) struct Symbols {
    requests: SyncSender<Request>,
}

impl Symbols {
    /// Starts the thread, which reads the debug information before its first stack trace.
    pub(super) fn start() -> Symbols {
        let (requests, received) = mpsc::sync_channel(MOST);
        if let Err(error) = threads::keep("telemetry-symbols", move || run(&received), notices::once) {
            notices::once(format!("cannot start the thread that looks up the names of functions: {error}"));
        }
        Symbols { requests }
    }

    /// Returns the stack trace with names, or as it is if the names are not found in time. `until` returns how long
    /// there is time, and is asked repeatedly.
    pub(super) fn names(&self, stack: Backtrace, until: impl Fn() -> Option<Instant>) -> Backtrace {
        let end = Instant::now() + LONGEST;
        let (answer, named) = mpsc::sync_channel(1);
        let needed = Arc::new(());
        if self.requests.try_send((stack.clone(), answer, Arc::downgrade(&needed))).is_err() {
            return stack;
        }
        loop {
            match named.recv_timeout(STEP) {
                Ok(named) => return named,
                Err(RecvTimeoutError::Disconnected) => return stack,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= until().unwrap_or(end).min(end) => {
                    return stack;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

fn run(requests: &Receiver<Request>) {
    drop(Backtrace::new());
    for (mut stack, answer, needed) in requests {
        if needed.strong_count() > 0 {
            stack.resolve();
            let _ = answer.send(stack);
        }
    }
}
