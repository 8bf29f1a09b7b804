//! The one guard around foreign code: a subscriber, a sink, a Sentry client, a `Display`, a function that judges a
//! return value. A panic in foreign code does not pass this guard. The caller decides how to
//! react, so no reaction may go in here except the notice of a destination that panicked.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::notices;

/// Calls `f` and catches its panic.
///
/// # Errors
/// Returns the payload if `f` panics.
pub(crate) fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(f))
}

thread_local! {
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Calls one destination. Returns whether `f` returned: a panic in it reaches neither the application nor the next
/// destination.
///
/// Runs inside `f` are counted but not reported to destinations. Otherwise a destination that is itself a process would
/// be called for its own runs without end.
pub(crate) fn unharmed(f: impl FnOnce()) -> bool {
    if REPORTING.replace(true) {
        return true;
    }
    let returned = caught(f);
    REPORTING.set(false);
    returned
}

/// Calls one destination, also from inside a call to a destination. Returns whether `f` returned.
pub(crate) fn caught(f: impl FnOnce()) -> bool {
    let returned = attempt(f).is_ok();
    if !returned {
        notices::once("a subscriber, Sentry client or sink panicked while it received a run");
    }
    returned
}
