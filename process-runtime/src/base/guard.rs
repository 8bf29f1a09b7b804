//! The guard around foreign code: a subscriber, a sink, a Sentry client, a `Display`, or a function that judges a
//! return value. It catches every panic of that code. The caller decides how to react to the panic. The only reaction
//! that may go in here is the notice that a destination panicked.

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

/// Calls one destination. Returns `false` if `f` panics. The panic reaches neither the application nor the next
/// destination.
///
/// A nested call inside `f` calls nothing and returns `true`. Runs inside a destination are therefore counted but not
/// reported. Otherwise a destination that is itself a process would be called for its own runs without end.
pub(crate) fn unharmed(f: impl FnOnce()) -> bool {
    if REPORTING.replace(true) {
        return true;
    }
    let returned = caught(f);
    REPORTING.set(false);
    returned
}

/// Calls one destination, even if this thread is already inside a call to a destination. Returns `false` if `f`
/// panics. The panic is caught, and a notice reports it.
pub(crate) fn caught(f: impl FnOnce()) -> bool {
    let returned = attempt(f).is_ok();
    if !returned {
        notices::once("a subscriber, Sentry client or sink panicked while it received a run");
    }
    returned
}
