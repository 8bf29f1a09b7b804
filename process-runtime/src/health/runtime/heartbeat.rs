//! Shows whether a runtime still runs tasks. A task notes when it last ran, and a thread outside the runtime wakes the
//! task once in each interval. What a missing heartbeat means for liveness does not belong here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::clock::is_virtual;
use crate::base::notices;

/// The value of `Pulse::beat` that makes the heartbeat never old.
const OFF: u64 = u64::MAX;

/// The heartbeat of a runtime. Its task and its thread end when it is dropped.
///
/// The thread needs no timer of the runtime, because a runtime may have none. It also does not advance the clock of a
/// runtime that a test has paused; on such a clock, the heartbeat is off.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pulse: Arc<Pulse>,
    /// Wakes the task. Without it, the heartbeat shows only whether the runtime has shut down.
    thread: Option<Thread>,
}

/// What the task, the thread and the heartbeat share. The times are those of the operating system and not of tokio, so
/// that a thread outside the runtime can compare them.
#[derive(Debug)]
struct Pulse {
    began: Instant,
    /// When the task last ran, in milliseconds since `began`, or [`OFF`].
    beat: AtomicU64,
    wake: Notify,
    is_wanted: AtomicBool,
    has_ended: AtomicBool,
}

impl Heartbeat {
    /// Starts the task on a runtime, and the thread that wakes it once in each interval. Without an interval, no
    /// thread starts.
    pub(super) fn start(runtime: &Handle, interval: Option<Duration>) -> Heartbeat {
        let pulse = Arc::new(Pulse {
            began: Instant::now(),
            beat: AtomicU64::default(),
            wake: Notify::new(),
            is_wanted: AtomicBool::new(true),
            has_ended: AtomicBool::new(false),
        });
        runtime.spawn(run(End(Arc::clone(&pulse))));
        let thread = interval.and_then(|interval| {
            let started = wake_at_intervals(Arc::clone(&pulse), interval);
            let report = |error| {
                notices::once(format!("cannot start a thread, so liveness has no heartbeat: {error}"))
            };
            started.map_err(report).ok()
        });
        Heartbeat { pulse, thread }
    }

    /// Returns how long ago the task last ran. Returns zero without a thread that wakes it.
    pub(super) fn age(&self) -> Duration {
        if self.thread.is_none() {
            return Duration::ZERO;
        }
        let beat = Duration::from_millis(self.pulse.beat.load(Ordering::Relaxed));
        self.pulse.began.elapsed().saturating_sub(beat)
    }

    /// Returns whether the runtime has shut down.
    pub(super) fn has_ended(&self) -> bool {
        self.pulse.has_ended()
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.pulse.is_wanted.store(false, Ordering::Release);
        self.pulse.wake.notify_one();
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

impl Pulse {
    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Notes that the task runs now, or that the clock of its runtime is paused.
    fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(OFF);
        self.beat.store(if is_virtual() { OFF } else { now }, Ordering::Relaxed);
    }
}

/// Marks the end of the runtime when it is dropped, because a runtime that shuts down drops its tasks. This also
/// happens if a panic unwinds through the thread that owns the runtime.
struct End(Arc<Pulse>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Release);
    }
}

async fn run(end: End) {
    while end.0.is_wanted() {
        end.0.beat();
        end.0.wake.notified().await;
    }
}

/// Starts the thread that wakes the task. It ends with the heartbeat or with the runtime.
fn wake_at_intervals(pulse: Arc<Pulse>, interval: Duration) -> io::Result<Thread> {
    let wake = move || {
        while pulse.is_wanted() && !pulse.has_ended() {
            pulse.wake.notify_one();
            thread::park_timeout(interval);
        }
    };
    let started = thread::Builder::new().name("heartbeat".to_owned()).spawn(wake)?;
    Ok(started.thread().clone())
}
