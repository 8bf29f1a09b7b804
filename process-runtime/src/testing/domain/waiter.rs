//! Wakes the task that polls the future of a test's domain. In each poll, the task reports overdue runs and sets a
//! timer for the next deadline, the time at which another run exceeds its SLA. The reports themselves do not belong
//! here.

use std::sync::Mutex;
use std::task::Waker;

use crate::base::foreign::guard::discard;
use crate::base::lock::lock;

/// The waker of the task that polls the future of a domain.
#[derive(Debug, Default)]
pub(super) struct Waiter(Mutex<Option<Waker>>);

impl Waiter {
    /// Registers the task to wake.
    pub(super) fn register(&self, waker: &Waker) {
        // A waker is foreign code, so it is cloned and dropped without the lock.
        let waker = waker.clone();
        let old = lock(&self.0).replace(waker);
        discard(old);
    }

    /// Wakes the registered task, for example because a run has begun whose deadline may be before all others.
    pub(super) fn wake(&self) {
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
