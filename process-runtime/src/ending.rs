//! How a run ended, as the code around the user's value judged it. Nothing here is recorded yet.

use std::error::Error;
use std::fmt;

use process_model::Outcome;

/// What `outcome = path` returns: the judgement of a return value that no rule could express.
///
/// ```
/// use process_runtime::Verdict;
///
/// fn judge(rows: &usize) -> Verdict {
///     if *rows == 0 { Verdict::Failure("no_rows") } else { Verdict::Success }
/// }
/// # assert_eq!(judge(&0), Verdict::Failure("no_rows"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It returned what it promised.
    Success,
    /// It succeeded through its declared fallback.
    Degraded,
    /// The caller's mistake, with its `error.type`.
    Rejected(&'static str),
    /// A failure, with its `error.type`.
    Failure(&'static str),
}

/// The end of a run.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) error_type: Option<&'static str>,
    pub(crate) error: ErrorRef<'a>,
    /// Whether another error has this one's type.
    #[cfg(feature = "sentry")]
    pub(crate) has_type: Option<HasType>,
}

#[cfg(feature = "sentry")]
pub(crate) type HasType = fn(&(dyn Error + 'static)) -> bool;

/// What is known of an error.
#[derive(Clone, Copy)]
pub(crate) enum ErrorRef<'a> {
    /// Nothing but its type.
    Opaque,
    /// A text.
    Text(&'a dyn fmt::Display),
    /// An error with a chain of sources.
    Chain(&'a (dyn Error + 'static)),
}

impl fmt::Debug for ErrorRef<'_> {
    /// Without the error's text, which goes to Sentry alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorRef::Opaque => "Opaque",
            ErrorRef::Text(_) => "Text",
            ErrorRef::Chain(_) => "Chain",
        })
    }
}

impl ErrorRef<'_> {
    /// The text of the outermost error.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            ErrorRef::Opaque => None,
            ErrorRef::Text(text) => Some(text.to_string()),
            ErrorRef::Chain(error) => Some(error.to_string()),
        }
    }
}

impl<'a> Ending<'a> {
    pub(crate) const fn of(outcome: Outcome) -> Ending<'a> {
        Ending {
            outcome,
            error_type: None,
            error: ErrorRef::Opaque,
            #[cfg(feature = "sentry")]
            has_type: None,
        }
    }

    /// It returned what it promised.
    pub const fn success() -> Ending<'a> {
        Ending::of(Outcome::Success)
    }

    /// It succeeded through its declared fallback.
    pub const fn degraded() -> Ending<'a> {
        Ending::of(Outcome::Degraded)
    }

    /// A failure of which only the return value tells (`fails(…)`).
    pub const fn failure() -> Ending<'a> {
        Ending {
            error_type: Some(crate::account::OTHER_ERROR),
            ..Ending::of(Outcome::Failure)
        }
    }

    /// A failure with an error of type `E`.
    pub(crate) fn error<E: ?Sized>(error: ErrorRef<'a>) -> Ending<'a> {
        Ending {
            error_type: Some(std::any::type_name::<E>()),
            error,
            ..Ending::failure()
        }
    }

    /// The caller's mistake instead.
    pub fn rejected(self) -> Ending<'a> {
        Ending {
            outcome: Outcome::Rejected,
            ..self
        }
    }

    /// With another `error.type`.
    pub fn error_type(self, error_type: &'static str) -> Ending<'a> {
        Ending {
            error_type: Some(error_type),
            ..self
        }
    }

    /// From the user's judgement.
    pub fn from_verdict(verdict: Verdict) -> Ending<'a> {
        match verdict {
            Verdict::Success => Ending::success(),
            Verdict::Degraded => Ending::degraded(),
            Verdict::Rejected(error_type) => Ending::failure().rejected().error_type(error_type),
            Verdict::Failure(error_type) => Ending::failure().error_type(error_type),
        }
    }
}
