//! The three states of a check, and their names on the wire. The effect of age or traffic does not belong here.

use process_model::Outcome;

/// The status of a process, a dependency, or a part of a process. A greater status is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The process, dependency or part works.
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

    /// Returns the name of this status in the field `status` of an `application/json` response: `healthy`, `degraded`
    /// or `unhealthy`.
    pub fn as_overall_str(self) -> &'static str {
        match self {
            Status::Pass => "healthy",
            Status::Warn => "degraded",
            Status::Fail => "unhealthy",
        }
    }

    /// Returns the HTTP status of a response with this status, which is 503 for [`Status::Fail`] and otherwise 200.
    pub fn http_status(self) -> u16 {
        if self == Status::Fail { 503 } else { 200 }
    }

    /// Returns the status of a part of a process that ended with this outcome.
    pub(crate) fn from_part(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Success if !late => Status::Pass,
            // A rejection or cancellation is only a warning, because a process may expect rejections and cancel calls
            // itself.
            Outcome::Success | Outcome::Degraded | Outcome::Rejected | Outcome::Cancelled => Status::Warn,
            Outcome::Failure | Outcome::Panic => Status::Fail,
        }
    }

    /// Returns the status of a process that a probe ran. A rejection or cancellation is a failure, because the
    /// process should have succeeded.
    pub(crate) fn from_probed(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Rejected | Outcome::Cancelled => Status::Fail,
            _ => Status::from_part(outcome, late),
        }
    }

    /// Returns this status, or a warning if this is a failure. Use it for something larger, which can still work
    /// although this part fails.
    pub(crate) fn at_most_warn(self) -> Status {
        self.min(Status::Warn)
    }
}
