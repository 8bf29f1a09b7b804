//! The alarm of the watchdog's thread: the tick at which the thread wakes next, and the way in which a run wakes it
//! earlier. The thread itself is in `install`, so nothing here may know runs or deadlines beyond their ticks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;

use super::lock::lock;

/// The tick of the global clock at which the thread wakes by itself; 0 while it does not run.
static WAKES_AT: AtomicU64 = AtomicU64::new(0);
/// The number of times that a run has woken the thread.
static WAKES: AtomicU64 = AtomicU64::new(0);
static THREAD: Mutex<Option<Thread>> = Mutex::new(None);

/// Sets the tick at which the thread wakes by itself. A run with an earlier deadline wakes it before that.
pub(crate) fn set(wakes_at: u64) {
    WAKES_AT.store(wakes_at, Ordering::SeqCst);
}

/// Records that the thread no longer runs.
pub(crate) fn clear() {
    set(0);
}

/// Sets the thread that [`wake`] wakes.
pub(crate) fn wakes_thread(thread: Option<Thread>) {
    *lock(&THREAD) = thread;
}

/// Returns whether the thread runs.
pub(crate) fn is_set() -> bool {
    WAKES_AT.load(Ordering::Relaxed) != 0
}

/// Wakes the thread, if it runs.
pub(crate) fn wake() {
    if is_set()
        && let Ok(thread) = THREAD.try_lock()
        && let Some(thread) = &*thread
    {
        thread.unpark();
    }
}

/// Wakes the thread if it would sleep past this deadline.
#[inline]
pub(crate) fn expect(deadline: u64) {
    if deadline < WAKES_AT.load(Ordering::Relaxed) {
        WAKES.fetch_add(1, Ordering::Relaxed);
        wake();
    }
}

/// Returns how often a run has woken the thread.
pub(crate) fn wakes() -> u64 {
    WAKES.load(Ordering::Relaxed)
}
