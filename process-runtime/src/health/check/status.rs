//! The three states of a check, and their names on the wire.

use process_model::Outcome;

/// The status of a process, a dependency or a part of one. A greater status is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It works.
    Pass,
    /// It works, but it is degraded or late, or the last check is old.
    Warn,
    /// It does not work, or nothing shows that it does.
    Fail,
}

impl Status {
    /// Returns `pass`, `warn` or `fail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }

    /// Returns the name of this status in a response as a whole: `healthy`, `degraded` or `unhealthy`.
    pub fn as_overall_str(self) -> &'static str {
        match self {
            Status::Pass => "healthy",
            Status::Warn => "degraded",
            Status::Fail => "unhealthy",
        }
    }

    /// Returns the HTTP status of a response: 503 for [`Status::Fail`], otherwise 200.
    pub fn http_status(self) -> u16 {
        if self == Status::Fail { 503 } else { 200 }
    }

    /// Returns the status of a part that ended with this outcome.
    pub(crate) fn from_part(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Success if !late => Status::Pass,
            // A process may expect that some of its calls are rejected, or cancel them itself.
            Outcome::Success | Outcome::Degraded | Outcome::Rejected | Outcome::Cancelled => Status::Warn,
            Outcome::Failure | Outcome::Panic => Status::Fail,
        }
    }

    /// Returns the status of a process that a probe ran, and that should have succeeded.
    pub(crate) fn from_probed(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Rejected | Outcome::Cancelled => Status::Fail,
            _ => Status::from_part(outcome, late),
        }
    }

    /// Returns the status of something larger that can work without this: at most a warning.
    pub(crate) fn at_most_warn(self) -> Status {
        self.min(Status::Warn)
    }
}
