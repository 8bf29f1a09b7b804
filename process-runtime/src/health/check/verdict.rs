//! The verdict of a check, and the other types that a check may return. Handling the timeouts and panics of checks
//! does not belong here (`runner`).

use std::any::Any;
use std::fmt::{self, Display};
use std::pin::Pin;

use crate::base::foreign::limits;
use crate::base::foreign::text::{bounded, cut_again};

/// The verdict of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// The process or dependency works.
    Pass,
    /// The process or dependency works, but this text names a problem.
    Warn(String),
    /// The process or dependency does not work, for the reason in this text.
    Fail(String),
}

/// A type that a check may return: `()`, a [`CheckVerdict`], or a `Result`.
///
/// `Err` is [`CheckVerdict::Fail`] with the text of the error. `Ok` with a [`CheckVerdict`] is that verdict. `Ok`
/// with another `Result` is [`CheckVerdict::Fail`], because the inner `Result` may be an error. `()` is
/// [`CheckVerdict::Pass`], and so is `Ok` with any other value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a valid result of a check",
    label = "cannot be converted into a verdict",
    note = "return `()`, a `health::CheckVerdict`, or a `Result` whose error type implements `Display`",
    note = "if the function returns a future, await the future in the body instead"
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
            // The inner `Result` may be an error. If this `Ok` were a pass, such an error would be lost.
            Ok(_) if std::any::type_name::<T>().starts_with("core::result::Result<") => CheckVerdict::Fail(
                "the check returned a `Result` inside `Ok`, which may be an error; return the inner `Result`, for \
                 example with `?`"
                    .to_owned(),
            ),
            // A verdict inside `Ok` may be a failure, so the verdict is kept.
            Ok(value) => (&value as &dyn Any).downcast_ref().cloned().unwrap_or(CheckVerdict::Pass),
            Err(error) => CheckVerdict::Fail(bounded(&error, limits::error_text())),
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

/// The future of one execution of a check.
pub type Checking = Pin<Box<dyn Future<Output = CheckVerdict> + Send>>;

/// Converts the return value of a check into a verdict. The expansions of the attributes name this type.
#[derive(Debug)]
pub struct CheckEnd;

impl CheckEnd {
    /// Converts the value that a check returned into a verdict, whose text is at most as long as the text of an error.
    pub fn of<T: IntoVerdict>(returned: T) -> CheckVerdict {
        let verdict = returned.into_verdict();
        match verdict {
            CheckVerdict::Pass => CheckVerdict::Pass,
            CheckVerdict::Warn(text) => CheckVerdict::Warn(within_limit(text)),
            CheckVerdict::Fail(text) => CheckVerdict::Fail(within_limit(text)),
        }
    }
}

/// Cuts a text at the limit, unless only the mark of an earlier cut makes the text longer than the limit.
pub(crate) fn within_limit(text: String) -> String {
    let limit = limits::error_text();
    if text.len() <= limit { text } else { cut_again(&text, limit).into_owned() }
}

/// Returns a boxed future that awaits `check` and passes the output to `judge`, which converts it into a verdict.
/// Because `check` and `judge` are separate arguments, the compiler reports a type error at the one that causes it.
pub fn checking<F: Future + Send + 'static>(check: F, judge: fn(F::Output) -> CheckVerdict) -> Checking {
    Box::pin(async move { judge(check.await) })
}
