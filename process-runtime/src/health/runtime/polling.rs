//! Polls a future on the current thread, and the timer of such a future. Both need no driver of a runtime, so a
//! runtime whose workers are blocked, or that has shut down, delays neither. Starting threads does not belong here.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

/// Wakes a thread that polls a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// A timer for a future that [`poll`] polls until the same time.
#[derive(Debug)]
pub(super) struct SleepUntil(pub(super) Instant);

impl Future for SleepUntil {
    type Output = ();

    fn poll(self: Pin<&mut SleepUntil>, _: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Polls a future until it is ready, each time that it is woken, and when the time `end` comes. Drops the future if
/// `is_cancelled` returns true before a poll.
pub(super) fn poll(future: impl Future<Output = ()>, end: Instant, is_cancelled: impl Fn() -> bool) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    while !is_cancelled() && future.as_mut().poll(&mut context).is_pending() {
        match end.checked_duration_since(Instant::now()) {
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}
