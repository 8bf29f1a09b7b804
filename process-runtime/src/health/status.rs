//! Three states, worse to the right, and their words on the wire.

use process_model::Outcome;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It works.
    Pass,
    /// It works, but degraded, late, or as far as an old check knows.
    Warn,
    /// It does not work, or nobody knows whether it does.
    Fail,
}

impl Status {
    /// `pass`, `warn` or `fail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }

    /// The same of a whole answer: `healthy`, `degraded` or `unhealthy`.
    pub fn as_overall(self) -> &'static str {
        match self {
            Status::Pass => "healthy",
            Status::Warn => "degraded",
            Status::Fail => "unhealthy",
        }
    }

    /// The status of an answer: 200, or 503 where it fails.
    pub fn http(self) -> u16 {
        if self == Status::Fail { 503 } else { 200 }
    }

    /// How what ended so is.
    pub(super) fn of(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Success if !late => Status::Pass,
            // Of what a process does inside of itself, some may be refused, or not be waited for any more.
            Outcome::Success | Outcome::Degraded | Outcome::Rejected | Outcome::Cancelled => Status::Warn,
            Outcome::Failure | Outcome::Panic => Status::Fail,
        }
    }

    /// How a process that was to succeed is.
    pub(super) fn of_probed(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Rejected | Outcome::Cancelled => Status::Fail,
            _ => Status::of(outcome, late),
        }
    }

    /// As a part of something that works without it: no worse than a warning.
    pub(super) fn as_part(self) -> Status {
        self.min(Status::Warn)
    }
}
