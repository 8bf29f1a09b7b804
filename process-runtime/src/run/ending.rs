//! The end of a run. [`Ending`] is what the return value says: the outcome and the error. [`End`] is what was counted,
//! with lateness and duration. Recording an end does not belong here.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use process_model::{ErrorText, Outcome};

use crate::base::foreign::text::bounded;
use crate::base::foreign::{chain, limits};

/// The `error.type` of a panic.
const PANIC: &str = "panic";

/// The verdict of the function in `outcome = path` on a return value.
///
/// The function is called for every return value, including values that would be a success without this key
/// (`ExitCode`, `Some(Err(_))`).
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
    /// The run returned the promised result.
    Success,
    /// The run succeeded through its declared fallback.
    Degraded,
    /// The caller made a mistake. The text is the `error.type`.
    Rejected(&'static str),
    /// The run failed. The text is the `error.type`.
    Failure(&'static str),
}

/// The outcome of a run and its error, before the run is counted.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    pub(crate) outcome: Outcome,
    /// The error: `Some` for a failure, a panic and a rejection, `None` for every other outcome.
    pub(crate) error: Option<RunError<'a>>,
}

/// How a run ended, as it was counted. Every destination receives this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// The outcome.
    pub outcome: Outcome,
    /// Whether the run was past its SLA.
    pub late: bool,
    /// The duration of the run.
    pub duration: Duration,
    /// The `error.type` of a failure, panic or rejection; `None` for other outcomes. At most 32 different types are
    /// reported for each process, stage and dependency. Every further type is reported as `_OTHER`.
    pub error_type: Option<&'static str>,
}

/// The error of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunError<'a> {
    pub(crate) error_type: &'static str,
    pub(crate) value: ErrorRef<'a>,
}

/// The parts of an error that are available for reports.
#[derive(Clone, Copy)]
pub(crate) enum ErrorRef<'a> {
    /// Neither the text nor the sources of the error are available.
    Opaque,
    /// The text of the error is available.
    Text(&'a dyn fmt::Display),
    /// The error itself is available, with its chain of sources.
    Chain(&'a (dyn Error + 'a)),
}

impl fmt::Debug for ErrorRef<'_> {
    // The text of the error is left out, because it may be confidential (`error_text`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorRef::Opaque => "Opaque",
            ErrorRef::Text(_) => "Text",
            ErrorRef::Chain(_) => "Chain",
        })
    }
}

impl ErrorRef<'_> {
    /// Returns the text of the error without its sources, cut at its limit; `None` if the text is not available.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            ErrorRef::Opaque => None,
            ErrorRef::Text(text) => Some(bounded(text, limits::error_text())),
            ErrorRef::Chain(error) => Some(bounded(error, limits::error_text())),
        }
    }
}

impl<'a> RunError<'a> {
    pub(crate) const fn new(error_type: &'static str, value: ErrorRef<'a>) -> RunError<'a> {
        RunError { error_type, value }
    }

    /// Creates an error whose `error.type` is the name of `E`.
    pub(crate) fn of<E: ?Sized>(error: ErrorRef<'a>) -> RunError<'a> {
        RunError::new(std::any::type_name::<E>(), error)
    }

    /// Returns the text of the error without its sources; `None` if `allowed` forbids the text, or if the text is not
    /// available.
    #[cfg(any(feature = "sentry", feature = "tracing"))]
    pub(crate) fn text(&self, allowed: ErrorText) -> Option<String> {
        if allowed == ErrorText::Never { None } else { self.value.text() }
    }

    /// Returns the text of the error with its sources, for example `cannot save: the disk is full`. The text is cut at
    /// the limit for a chain. Returns `None` if `allowed` forbids the text, or if the text is not available.
    pub(crate) fn whole_text(&self, allowed: ErrorText) -> Option<String> {
        if allowed == ErrorText::Never {
            return None;
        }
        let ErrorRef::Chain(error) = self.value else { return self.value.text() };
        let (limit, longest) = (limits::chain_text(), limits::error_text());
        let mut text = bounded(&error, longest.min(limit));
        for source in chain::sources(error) {
            // Each text is cut once, at the smaller limit, so that its mark has the right number.
            let room = limit.saturating_sub(text.len() + ": ".len());
            let source = bounded(&source, longest.min(room));
            // Some errors include the text of their source in their own text.
            if !text.contains(&source) {
                text.push_str(": ");
                text.push_str(&source);
            }
            if text.len() > limit {
                break;
            }
        }
        Some(text)
    }
}

impl<'a> Ending<'a> {
    const fn without_error(outcome: Outcome) -> Ending<'a> {
        Ending { outcome, error: None }
    }

    const fn with_error(outcome: Outcome, error: RunError<'a>) -> Ending<'a> {
        Ending { outcome, error: Some(error) }
    }

    /// Creates the end of a run whose return value is the promised result.
    #[inline]
    pub const fn success() -> Ending<'a> {
        Ending::without_error(Outcome::Success)
    }

    /// Creates the end of a run that succeeded through its declared fallback.
    pub const fn degraded() -> Ending<'a> {
        Ending::without_error(Outcome::Degraded)
    }

    pub(crate) const fn cancelled() -> Ending<'a> {
        Ending::without_error(Outcome::Cancelled)
    }

    pub(crate) const fn panic(message: ErrorRef<'a>) -> Ending<'a> {
        Ending::with_error(Outcome::Panic, RunError::new(PANIC, message))
    }

    /// Creates a failure whose error has the `error.type` `_OTHER` and no text. A run ends in this way if `fails(…)`
    /// matches its return value.
    pub const fn failure() -> Ending<'a> {
        Ending::with_error(
            Outcome::Failure,
            RunError::new(crate::stats::account::OTHER_ERROR, ErrorRef::Opaque),
        )
    }

    /// Creates a failure with this error.
    pub(crate) const fn error(error: RunError<'a>) -> Ending<'a> {
        Ending::with_error(Outcome::Failure, error)
    }

    /// Turns this end into a rejection, which means that the caller of the function made a mistake. If this end has
    /// no error, the `error.type` of the rejection is `_OTHER`.
    pub fn rejected(self) -> Ending<'a> {
        let error = self.error.or(Ending::failure().error);
        Ending { outcome: Outcome::Rejected, error }
    }

    /// Replaces the `error.type` of this end. An end without an error is returned unchanged.
    pub fn error_type(self, error_type: &'static str) -> Ending<'a> {
        Ending { error: self.error.map(|error| RunError { error_type, ..error }), ..self }
    }

    /// Creates the end that corresponds to a verdict.
    pub fn from_verdict(verdict: Verdict) -> Ending<'a> {
        match verdict {
            Verdict::Success => Ending::success(),
            Verdict::Degraded => Ending::degraded(),
            Verdict::Rejected(error_type) => Ending::failure().rejected().error_type(error_type),
            Verdict::Failure(error_type) => Ending::failure().error_type(error_type),
        }
    }
}
