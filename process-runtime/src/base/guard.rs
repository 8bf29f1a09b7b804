//! The guard that calls foreign code and catches its panics. Foreign code is, for example, a subscriber, a sink, a
//! Sentry client, an implementation of `Display`, or a function that judges a return value. This module reports that
//! a destination panicked. Any other reaction to a panic belongs to the caller.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::notices;

/// Calls `f` and catches its panic.
///
/// # Errors
/// Returns the payload of the panic if `f` panics.
pub(crate) fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(f))
}

thread_local! {
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`, which calls one destination. Returns `false` if `f` panics. The panic reaches neither the application
/// nor the next destination.
///
/// If `f` itself causes a call of `unharmed`, the inner call does nothing and returns `true`. Runs that a destination
/// starts are therefore counted but not reported. Otherwise a destination that runs a process would be called for
/// that run, would run the process again, and so on without end.
pub(crate) fn unharmed(f: impl FnOnce()) -> bool {
    if REPORTING.replace(true) {
        return true;
    }
    let returned = caught(f);
    REPORTING.set(false);
    returned
}

/// Calls `f`, which calls one destination, even if this thread is already inside a call to a destination. Returns
/// `false` if `f` panics. The panic is caught, and a notice reports it.
pub(crate) fn caught(f: impl FnOnce()) -> bool {
    let returned = attempt(f).is_ok();
    if !returned {
        notices::once(
            "a tracing subscriber, Sentry client or sink panicked while it received a run; its data about the run may be \
             incomplete",
        );
    }
    returned
}
