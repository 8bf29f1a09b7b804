//! The guard that calls foreign code. Foreign code is, for example, a subscriber, a sink, a Sentry client, a meter
//! provider, an implementation of `Display`, or a function that judges a return value. Its panic goes no further, and
//! neither does a panic of the payload's own `Drop`. A destination that starts runs itself is not called for these
//! runs. What a caller does about a panic does not belong here.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::calls;
use crate::base::notices;

/// The payload of a panic. Dropping it cannot panic.
pub(crate) struct Payload(Option<Box<dyn Any + Send>>);

impl Payload {
    /// Returns the message of the panic; `None` if the payload is not a text.
    pub(crate) fn message(&self) -> Option<&str> {
        let payload = self.0.as_ref()?;
        let text = payload.downcast_ref::<&'static str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }

    /// Returns the payload itself.
    #[allow(dead_code, reason = "only tests pass a payload on")]
    pub(crate) fn into_inner(mut self) -> Box<dyn Any + Send> {
        self.0.take().unwrap_or_else(|| Box::new(()))
    }

    /// Continues the panic.
    pub(crate) fn resume(self) -> ! {
        resume_unwind(self.into_inner())
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let Some(payload) = self.0.take() else { return };
        if let Err(worse) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            // The payload of this second panic may panic again when it is dropped, so it is leaked.
            forget(worse);
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Payload").field(&self.message()).finish()
    }
}

/// Calls `f` and catches its panic.
///
/// # Errors
/// Returns the payload of the panic if `f` panics.
#[inline]
pub(crate) fn attempt<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Payload(Some(payload)))
}

/// Drops a value of the application, whose `Drop` may panic.
pub(crate) fn discard<T>(value: T) {
    let _ = attempt(|| drop(value));
}

/// A destination, as notices name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    #[cfg_attr(not(feature = "tracing"), allow(dead_code, reason = "only spans go to a subscriber"))]
    Subscriber,
    #[cfg_attr(not(feature = "sentry"), allow(dead_code, reason = "only events go to Sentry"))]
    Sentry,
    /// A sink, with the name of its type.
    Sink(&'static str),
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only metrics go to a meter provider"))]
    MeterProvider,
    StandardError,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Subscriber => f.write_str("the tracing subscriber or one of its layers"),
            Destination::Sentry => f.write_str("the Sentry client"),
            Destination::Sink(name) => write!(f, "the sink `{name}`"),
            Destination::MeterProvider => f.write_str("the OpenTelemetry meter provider"),
            Destination::StandardError => f.write_str("the report on standard error"),
        }
    }
}

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
    if calls::is_watched() {
        return calls::watched(destination, || reporting(destination, f)).unwrap_or(true);
    }
    reporting(destination, f)
}

#[inline]
fn reporting(destination: Destination, f: impl FnOnce()) -> bool {
    let outer = REPORTING.replace(true);
    let returned = attempt(f);
    REPORTING.set(outer);
    returned.is_ok() || panicked(destination)
}

#[cold]
fn panicked(destination: Destination) -> bool {
    notices::once(format!(
        "{destination} panicked in a call of the toolkit; its data about runs may be incomplete"
    ));
    false
}
