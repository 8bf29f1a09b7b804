//! Calls to destinations: a subscriber, a Sentry client, a sink, a meter provider. A destination that panics is
//! reported and harms nothing else. A destination that starts runs itself is not called for these runs.

pub(crate) mod calls;

use std::cell::Cell;
use std::mem::forget;

use self::calls::{Call, Destination};
use crate::base::foreign::guard::{attempt, discard};
use crate::base::notices;

thread_local! {
    /// Whether this thread is inside a call to a destination.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`, which calls the destination. Returns `false` if `f` panics. The panic reaches neither the application
/// nor the next destination.
///
/// If `f` itself causes a call of `unharmed`, the inner call does nothing and returns `true`. Runs that a destination
/// starts are therefore counted but not reported. Otherwise a destination that runs a process would be called for
/// that run, would run the process again, and so on without end.
pub(crate) fn unharmed(destination: Destination, f: impl FnOnce()) -> bool {
    REPORTING.get() || caught(destination, f)
}

/// Calls `f`, which calls the destination, even if this thread is already inside a call to a destination. Otherwise
/// does the same as [`unharmed`]. This function is for calls that belong together, such as entering and leaving a
/// span: if the first was made, the second must not be left out.
#[inline]
pub(crate) fn caught(destination: Destination, f: impl FnOnce()) -> bool {
    let call = match calls::is_watched() {
        true => match calls::begin(destination) {
            Call::Refused => return true,
            call => call,
        },
        false => Call::Unwatched,
    };
    let outer = REPORTING.replace(true);
    let returned = attempt(f);
    REPORTING.set(outer);
    if let Call::Watched(call) = call {
        calls::end(call);
    }
    returned.is_ok() || panicked(destination)
}

/// Drops a value that may be the last owner of something of the destination. On a thread that another thread watches,
/// the drop is a call of the destination: if it does not return, it is reported, and while it hangs, further values of
/// the destination are leaked.
#[inline]
pub(crate) fn release<T>(destination: Destination, value: T) {
    if !calls::is_watched() {
        return discard(value);
    }
    let mut value = Some(value);
    caught(destination, || drop(value.take()));
    forget(value);
}

#[cold]
fn panicked(destination: Destination) -> bool {
    notices::once(format!(
        "{destination} panicked in a call of the toolkit; its data about runs may be incomplete"
    ));
    false
}
