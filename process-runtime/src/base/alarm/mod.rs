//! The alarm of the watchdog, the thread that reports late runs. The alarm stores a tick, which the thread sets
//! before it scans and before it sleeps. A run with an earlier deadline wakes the thread. The thread itself is in
//! `install`. The alarm also finds that the program was forked. Deadlines are only ticks here; the types of runs do not
//! belong here.

pub(crate) mod fork;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;

use super::lock::lock;

/// A tick of the global clock. A run with an earlier deadline must wake the thread. 0 while the thread is not
/// running.
static WAKES_AT: AtomicU64 = AtomicU64::new(0);
/// The number of times that a run has tried to wake the thread.
static WAKES: AtomicU64 = AtomicU64::new(0);
static THREAD: Mutex<Option<Thread>> = Mutex::new(None);

/// Sets the tick that [`expect`] compares with the deadline of each new run. A run with an earlier deadline wakes the
/// thread.
pub(crate) fn set(wakes_at: u64) {
    WAKES_AT.store(wakes_at, Ordering::SeqCst);
}

/// Records that the thread is not running.
pub(crate) fn clear() {
    set(0);
}

/// Watches for forks. In the child of a fork, the first run finds an alarm that is set, and reports the fork.
pub(crate) fn watch_forks() {
    fork::watch(&WAKES_AT);
}

/// Sets the thread that [`wake`] wakes; with `None`, [`wake`] does nothing.
pub(crate) fn wakes_thread(thread: Option<Thread>) {
    *lock(&THREAD) = thread;
}

/// Returns whether the thread is running.
pub(crate) fn is_watchdog_running() -> bool {
    WAKES_AT.load(Ordering::Relaxed) != 0
}

/// Wakes the thread. Does nothing if the thread is not running. Also does nothing if another call has locked the
/// thread's handle, because a run must not wait for the lock.
pub(crate) fn wake() {
    if is_watchdog_running()
        && let Ok(thread) = THREAD.try_lock()
        && let Some(thread) = &*thread
    {
        thread.unpark();
    }
}

/// Wakes the thread, as [`wake`], but also waits for the lock of the thread's handle.
pub(crate) fn wake_surely() {
    if let Some(thread) = &*lock(&THREAD) {
        thread.unpark();
    }
}

/// Wakes the thread if it would sleep past this deadline.
#[inline]
pub(crate) fn expect(deadline: u64) {
    if deadline < WAKES_AT.load(Ordering::Relaxed) {
        WAKES.fetch_add(1, Ordering::Relaxed);
        if fork::report() {
            // The child has no watchdog.
            return clear();
        }
        wake();
    }
}

/// Returns how often a run has tried to wake the thread.
pub(crate) fn wakes() -> u64 {
    WAKES.load(Ordering::Relaxed)
}
