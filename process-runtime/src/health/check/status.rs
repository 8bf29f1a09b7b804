//! The four statuses that a report uses, and their names in responses. How age or traffic determines a status does
//! not belong here.

use process_model::Outcome;

/// The status of a process, a dependency, or a part of a process. A greater status is worse. [`Status::Unknown`] is the
/// smallest, so the worst of several statuses is unknown only if nothing is known about any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nothing shows whether the process, dependency or part works, and nothing is wrong. It has no check, and no run
    /// of it has ended lately. It does not count in the status of the program, of readiness, or of a process.
    Unknown,
    /// The process, dependency or part works.
    Pass,
    /// The process, dependency or part works, but it is degraded or late, or its latest check is too old.
    Warn,
    /// The process, dependency or part does not work, or no result shows that it works.
    Fail,
}

impl Status {
    /// Returns `unknown`, `pass`, `warn` or `fail`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Unknown => "unknown",
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }

    /// Returns the name of this status in the field `status` of an `application/json` response: `unknown`, `healthy`,
    /// `degraded` or `unhealthy`.
    pub fn as_overall_str(self) -> &'static str {
        match self {
            Status::Unknown => "unknown",
            Status::Pass => "healthy",
            Status::Warn => "degraded",
            Status::Fail => "unhealthy",
        }
    }

    /// Returns the HTTP status of a response with this status, which is 503 for [`Status::Fail`] and otherwise 200.
    pub fn http_status(self) -> u16 {
        if self == Status::Fail { 503 } else { 200 }
    }

    /// Returns the status of a stage or dependency whose run ended with this outcome.
    pub(crate) fn from_part(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Success if !late => Status::Pass,
            // A rejection or cancellation is only a warning. The process may expect a rejection, and may have
            // cancelled the part itself.
            Outcome::Success | Outcome::Degraded | Outcome::Rejected | Outcome::Cancelled => Status::Warn,
            Outcome::Failure | Outcome::Panic => Status::Fail,
        }
    }

    /// Returns the status of a process whose run inside a check ended with this outcome. A rejection or cancellation
    /// is a failure, because a check runs the process in order to see it succeed.
    pub(crate) fn from_probed(outcome: Outcome, late: bool) -> Status {
        match outcome {
            Outcome::Rejected | Outcome::Cancelled => Status::Fail,
            _ => Status::from_part(outcome, late),
        }
    }

    /// Returns this status, but a warning instead of a failure. Use it for the effect of a part on its report,
    /// because the subject of the report can still work although the part fails.
    pub(crate) fn at_most_warn(self) -> Status {
        self.min(Status::Warn)
    }
}
