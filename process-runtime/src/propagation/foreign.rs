//! Calls the code of others: a propagator, the predicate of an application, a handler, the body of a response. A panic
//! of such code never changes the response, except for a panic of the handler. Calls of a subscriber belong to
//! `request`, because they go through the guard that also stops re-entrance.

use std::any::Any;

use crate::base::guard::attempt;
use crate::base::notices;

/// Calls `f`. If it panics, reports once that `name` panicked and what is done instead, and returns `None`.
pub(super) fn call<R>(name: &str, instead: &str, f: impl FnOnce() -> R) -> Option<R> {
    match attempt(f) {
        Ok(returned) => Some(returned),
        Err(payload) => {
            discard(payload);
            notices::once(format!("{name} panicked: {instead}"));
            None
        }
    }
}

/// Drops a value of foreign code. A panic of its `Drop` is caught.
pub(super) fn discard<T>(value: T) {
    if let Err(payload) = attempt(|| drop(value)) {
        // The payload's `Drop` may panic as well, and so may the payload of that panic.
        forget_if_hostile(payload);
    }
}

fn forget_if_hostile(payload: Box<dyn Any + Send>) {
    if let Err(again) = attempt(|| drop(payload)) {
        std::mem::forget(again);
    }
}
