//! The guard that calls foreign code. Its panic goes no further, and neither does a panic of the payload's own `Drop`.
//! What a caller does about a panic does not belong here.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::LocalKey;

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

thread_local! {
    /// Whether this thread is inside a call of [`evaluate`].
    static EVALUATING: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread is inside a call of [`evaluate_recorded`].
    static RECORDING: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`, which evaluates code of an attribute for a run: an expression, a rule, or what a rule or the outcome
/// needs of the return value. Catches its panic. Returns `None` without a call if this thread is already inside a call
/// of this function.
///
/// A run that such code starts therefore takes no context and applies no rules. Otherwise code that calls its own
/// process would evaluate itself again, and so on without end.
#[inline]
pub(crate) fn evaluate<R>(f: impl FnOnce() -> R) -> Option<Result<R, Payload>> {
    outermost(&EVALUATING, f)
}

/// Does the same for the value of `record!`. An expression of an attribute may record a value on the run around it, so
/// only a value inside of another recorded value is not evaluated.
pub(crate) fn evaluate_recorded<R>(f: impl FnOnce() -> R) -> Option<Result<R, Payload>> {
    outermost(&RECORDING, f)
}

#[inline]
fn outermost<R>(
    is_inside: &'static LocalKey<Cell<bool>>,
    f: impl FnOnce() -> R,
) -> Option<Result<R, Payload>> {
    if is_inside.replace(true) {
        return None;
    }
    let result = attempt(f);
    is_inside.set(false);
    Some(result)
}

/// Drops a value of the application, whose `Drop` may panic.
pub(crate) fn discard<T>(value: T) {
    let _ = attempt(|| drop(value));
}
