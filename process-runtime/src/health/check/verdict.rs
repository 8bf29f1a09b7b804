//! The verdict of a check, and the types that a check may return instead. Timeouts and panics are handled elsewhere.

use std::any::Any;
use std::fmt::{self, Display};
use std::pin::Pin;

/// The verdict of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// It works.
    Pass,
    /// It works, with this reason for concern.
    Warn(String),
    /// It does not work, for this reason.
    Fail(String),
}

/// A type that a check may return: `()`, a [`CheckVerdict`], or a `Result`.
///
/// `Err` is [`CheckVerdict::Fail`] with the text of the error. `Ok` with a [`CheckVerdict`] is that verdict; `Ok` with
/// any other value is [`CheckVerdict::Pass`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a valid result of a check",
    label = "cannot be converted into a verdict",
    note = "return `()`, a `health::CheckVerdict`, or a `Result` whose error type implements `Display`"
)]
pub trait IntoVerdict {
    /// Converts the value into a verdict.
    fn into_verdict(self) -> CheckVerdict;
}

#[diagnostic::do_not_recommend]
impl IntoVerdict for () {
    fn into_verdict(self) -> CheckVerdict {
        CheckVerdict::Pass
    }
}

#[diagnostic::do_not_recommend]
impl IntoVerdict for CheckVerdict {
    fn into_verdict(self) -> CheckVerdict {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static, E: Display> IntoVerdict for Result<T, E> {
    fn into_verdict(self) -> CheckVerdict {
        match self {
            // The inner `Result` may be an error, which would be lost.
            Ok(_) if std::any::type_name::<T>().starts_with("core::result::Result<") => CheckVerdict::Fail(
                "the check returned a `Result` inside `Ok`, which may be an error; return the inner `Result`, for \
                 example with `?`"
                    .to_owned(),
            ),
            // A verdict in `Ok` may be a failure.
            Ok(value) => (&value as &dyn Any).downcast_ref().cloned().unwrap_or(CheckVerdict::Pass),
            Err(error) => CheckVerdict::Fail(error.to_string()),
        }
    }
}

impl fmt::Display for CheckVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckVerdict::Pass => f.write_str("pass"),
            CheckVerdict::Warn(reason) => write!(f, "warn: {reason}"),
            CheckVerdict::Fail(reason) => write!(f, "fail: {reason}"),
        }
    }
}

/// One execution of a check.
pub type Checking = Pin<Box<dyn Future<Output = CheckVerdict> + Send>>;

/// The end of a check, as an expansion names it.
#[derive(Debug)]
pub struct CheckEnd;

impl CheckEnd {
    /// Returns the verdict of a check that returned this value.
    pub fn of<T: IntoVerdict>(returned: T) -> CheckVerdict {
        returned.into_verdict()
    }
}

/// Boxes a check. Both the future and its judge are arguments, so that the compiler reports an error of either at its
/// own place.
pub fn checking<F: Future + Send + 'static>(check: F, judge: fn(F::Output) -> CheckVerdict) -> Checking {
    Box::pin(async move { judge(check.await) })
}
