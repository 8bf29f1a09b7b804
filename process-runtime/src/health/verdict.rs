//! What a check says, and what it may return to say it. Nothing here knows of timeouts or panics.

use std::any::Any;
use std::fmt::{self, Display};
use std::pin::Pin;

/// What a check says of what it checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Pass,
    /// It works, and somebody should know this.
    Warn(String),
    /// It does not work, for this reason.
    Fail(String),
}

/// What a check may return: `()`, a [`Verdict`], or a `Result` with either or anything else. An error is
/// [`Verdict::Fail`] with its text; a [`Verdict`] in `Ok` is that verdict, and anything else there is
/// [`Verdict::Pass`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a valid result of a check",
    label = "cannot be converted into a verdict",
    note = "return `()`, a `health::Verdict`, or a `Result` whose error type implements `Display`"
)]
pub trait Judged {
    /// The verdict.
    fn judged(self) -> Verdict;
}

#[diagnostic::do_not_recommend]
impl Judged for () {
    fn judged(self) -> Verdict {
        Verdict::Pass
    }
}

#[diagnostic::do_not_recommend]
impl Judged for Verdict {
    fn judged(self) -> Verdict {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T: 'static, E: Display> Judged for Result<T, E> {
    fn judged(self) -> Verdict {
        match self {
            // Nobody would see whether that is an error.
            Ok(_) if std::any::type_name::<T>().starts_with("core::result::Result<") => Verdict::Fail(
                "it returns a `Result` within `Ok`, which may be an error: return that, as with `?`"
                    .to_owned(),
            ),
            // A failure that was found without an error is no success.
            Ok(value) => (&value as &dyn Any).downcast_ref().cloned().unwrap_or(Verdict::Pass),
            Err(error) => Verdict::Fail(error.to_string()),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass => f.write_str("pass"),
            Verdict::Warn(reason) => write!(f, "warn: {reason}"),
            Verdict::Fail(reason) => write!(f, "fail: {reason}"),
        }
    }
}

/// A check that was begun.
pub type Checking = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// The end of a check.
#[derive(Debug)]
pub struct CheckEnd;

impl CheckEnd {
    /// What it says.
    pub fn of<T: Judged>(returned: T) -> Verdict {
        returned.judged()
    }
}

/// A check, and how what it returns is judged. Both are arguments, so that what is wrong with either is told at its
/// own place.
pub fn checking<F: Future + Send + 'static>(check: F, judge: fn(F::Output) -> Verdict) -> Checking {
    Box::pin(async move { judge(check.await) })
}
