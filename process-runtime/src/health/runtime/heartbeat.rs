//! A task that shows that a runtime still runs tasks. What a missing heartbeat means for liveness does not belong
//! here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::clock::is_virtual;

/// The value of `Heartbeat::beat` that makes the heartbeat never old.
const OFF: u64 = u64::MAX;

/// The latest beat of a task on a runtime. The task ends when the last `Arc` of its heartbeat is dropped.
///
/// The times are those of the operating system and not of tokio, so that a thread outside the runtime can compare
/// them. On a virtual clock, or without a timer, the heartbeat is off.
#[derive(Debug)]
pub(super) struct Heartbeat {
    began: Instant,
    /// When the task last ran, in milliseconds since `began`, or [`OFF`].
    beat: AtomicU64,
    has_ended: AtomicBool,
}

impl Heartbeat {
    /// Starts the task on a runtime. The task runs once in each interval.
    pub(super) fn start(runtime: &Handle, interval: Duration) -> Arc<Heartbeat> {
        let heartbeat = Arc::new(Heartbeat {
            began: Instant::now(),
            beat: AtomicU64::default(),
            has_ended: AtomicBool::default(),
        });
        runtime.spawn(run(End(Arc::downgrade(&heartbeat)), interval));
        heartbeat
    }

    /// Returns how long ago the task last ran.
    pub(super) fn age(&self) -> Duration {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(beat)
    }

    /// Returns whether the runtime has shut down.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(OFF);
        self.beat.store(now, Ordering::Relaxed);
    }
}

/// Marks the end of the runtime when it is dropped, because a runtime that shuts down drops its tasks. A runtime
/// without a timer makes the task panic; this turns the heartbeat off.
struct End(Weak<Heartbeat>);

impl Drop for End {
    fn drop(&mut self) {
        match self.0.upgrade() {
            Some(heartbeat) if std::thread::panicking() => heartbeat.beat.store(OFF, Ordering::Relaxed),
            Some(heartbeat) => heartbeat.has_ended.store(true, Ordering::Release),
            None => {}
        }
    }
}

async fn run(mut end: End, interval: Duration) {
    while let Some(heartbeat) = end.0.upgrade() {
        if is_virtual() {
            // A timer that fires again and again would make a paused clock advance by itself.
            heartbeat.beat.store(OFF, Ordering::Relaxed);
            end.0 = Weak::new();
            return;
        }
        heartbeat.beat();
        drop(heartbeat);
        tokio::time::sleep(interval).await;
    }
}
