//! Wakes the task that drives a test's domain when the next deadline may have changed.

use std::sync::Mutex;
use std::task::Waker;

use crate::base::lock::lock;

/// The task that waits for the next deadline of a domain.
#[derive(Debug, Default)]
pub(super) struct Waiter(Mutex<Option<Waker>>);

impl Waiter {
    /// Registers the task to wake.
    pub(super) fn register(&self, waker: &Waker) {
        *lock(&self.0) = Some(waker.clone());
    }

    /// Wakes the task: a run began, and its deadline may be the next one.
    pub(super) fn wake(&self) {
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
