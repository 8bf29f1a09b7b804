//! The guard that calls foreign code. Its panic goes no further, and neither does a panic of the payload's own `Drop`.
//! What a caller does about a panic does not belong here.

use std::any::Any;
use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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
