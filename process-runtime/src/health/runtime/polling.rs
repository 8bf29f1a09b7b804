//! Polls a future on the current thread. This needs no driver of a runtime, so a runtime whose workers are blocked, or
//! that has shut down, does not delay it. Starting threads does not belong here.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};

use tokio::task::LocalSet;

/// Wakes a thread that polls a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

/// Polls a future until it is ready, each time that it is woken. Drops the future if `is_cancelled` returns true before
/// a poll.
pub(super) fn poll(future: impl Future<Output = ()> + 'static, is_cancelled: impl Fn() -> bool) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    // A local task has the budget of tokio, so a future whose parts are always ready still returns from a poll, and its
    // timer is polled. The context of a runtime would have one too, but in it a check could not call `block_on`.
    let tasks = LocalSet::new();
    let task = tasks.spawn_local(future);
    let mut tasks = pin!(tasks);
    while !is_cancelled() && tasks.as_mut().poll(&mut context).is_pending() && !task.is_finished() {
        thread::park();
    }
}
