//! The reasons for a status that is not a pass. They form a closed list, so that alerts and scripts can compare them.
//! Texts that explain one case do not belong here.

/// Why a status is not [`Status::Pass`](crate::health::Status::Pass).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No run that counts shows whether it works.
    NoTraffic,
    /// A run is past its SLA now, or the run of a check was late.
    Overdue,
    /// More runs failed or were late than the objective allows, or most of them were degraded.
    ErrorRate,
    /// The check, or a run inside it, reported a problem, panicked or was cancelled.
    CheckFailed,
    /// The check did not end within its timeout.
    CheckTimedOut,
    /// The latest result of the check is too old. In liveness: the latest heartbeat of the runtime is too old, because
    /// the runtime runs no tasks or has shut down.
    Stale,
    /// Start-up is not finished, or the first execution of the check has not ended.
    Starting,
    /// The program is shutting down.
    Stopping,
}

impl Reason {
    /// Returns the name of the reason in responses, for example `no_traffic`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NoTraffic => "no_traffic",
            Reason::Overdue => "overdue",
            Reason::ErrorRate => "error_rate",
            Reason::CheckFailed => "check_failed",
            Reason::CheckTimedOut => "check_timed_out",
            Reason::Stale => "stale",
            Reason::Starting => "starting",
            Reason::Stopping => "stopping",
        }
    }
}
