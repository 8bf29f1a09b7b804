//! How a run ends, and whether it counts towards the objective of its process. Counting runs does not belong here.

use std::fmt;

/// How one run ended. A late run also has one of these outcomes; its lateness is reported in addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The run returned a good value.
    Success,
    /// The run succeeded through its declared fallback.
    Degraded,
    /// The caller made a mistake. The run does not count towards the objective and sends no event.
    Rejected,
    /// The run returned an error, returned a value that the attribute declares as a failure, or was stopped by
    /// `process_runtime::timeout`.
    Failure,
    /// The run panicked.
    Panic,
    /// The run was dropped before it ended.
    Cancelled,
}

impl Outcome {
    /// All outcomes, in the order in which tables list them.
    pub const ALL: [Outcome; 6] = [
        Outcome::Success,
        Outcome::Degraded,
        Outcome::Rejected,
        Outcome::Failure,
        Outcome::Panic,
        Outcome::Cancelled,
    ];

    /// Returns the outcome's name in telemetry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Degraded => "degraded",
            Outcome::Rejected => "rejected",
            Outcome::Failure => "failure",
            Outcome::Panic => "panic",
            Outcome::Cancelled => "cancelled",
        }
    }

    /// Returns the position in [`Outcome::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether an operator must act, which is the case after a failure or a panic.
    pub const fn is_error(self) -> bool {
        matches!(self, Outcome::Failure | Outcome::Panic)
    }

    /// Whether the run counts towards the objective. A rejected run never counts, and a cancelled run counts only if it
    /// was late. Every other run counts. The key `cancelled = bad` is not considered here.
    pub const fn is_counted(self, late: bool) -> bool {
        match self {
            Outcome::Rejected => false,
            Outcome::Cancelled => late,
            _ => true,
        }
    }

    /// Whether the run was good. A good run has the outcome success or degraded, and is not late.
    pub const fn is_good(self, late: bool) -> bool {
        !late && matches!(self, Outcome::Success | Outcome::Degraded)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_run_counts_only_when_it_was_late() {
        assert!(!Outcome::Cancelled.is_counted(false));
        assert!(Outcome::Cancelled.is_counted(true));
        assert!(!Outcome::Cancelled.is_good(true));
    }

    #[test]
    fn a_good_run_is_always_a_counted_one() {
        for outcome in Outcome::ALL {
            for late in [false, true] {
                assert!(outcome.is_counted(late) || !outcome.is_good(late));
            }
        }
    }
}
