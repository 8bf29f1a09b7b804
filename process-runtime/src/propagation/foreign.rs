//! Calls the code of others: a propagator, the predicate of an application, a handler, the body of a response. A panic
//! of such code never changes the response, except for a panic of the handler. Calls of a subscriber belong to
//! `request`, because they go through the guard that also stops re-entrance.

use crate::base::foreign::guard::attempt;
use crate::base::notices;

/// Calls `f`. If it panics, reports once that `name` panicked and what is done instead, and returns `None`.
pub(super) fn call<R>(name: &str, instead: &str, f: impl FnOnce() -> R) -> Option<R> {
    match attempt(f) {
        Ok(returned) => Some(returned),
        Err(_) => {
            notices::once(format!("{name} panicked: {instead}"));
            None
        }
    }
}
