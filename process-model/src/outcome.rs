//! How a run ends, and what that means for the objective. Nothing here counts; it only classifies.

use std::fmt;

/// How one run ended. Lateness is reported beside the outcome, never instead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It returned what it promised.
    Success,
    /// It succeeded through its declared fallback.
    Degraded,
    /// The caller's mistake: outside the objective, and no event.
    Rejected,
    /// It returned an error.
    Failure,
    /// It panicked.
    Panic,
    /// It was dropped before it ended.
    Cancelled,
}

impl Outcome {
    /// Every outcome, in the order of the tables.
    pub const ALL: [Outcome; 6] = [
        Outcome::Success,
        Outcome::Degraded,
        Outcome::Rejected,
        Outcome::Failure,
        Outcome::Panic,
        Outcome::Cancelled,
    ];

    /// The name on the wire.
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

    /// Its place in [`Outcome::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether an operator has something to repair: failure or panic.
    pub const fn is_error(self) -> bool {
        matches!(self, Outcome::Failure | Outcome::Panic)
    }

    /// Whether the run counts towards the objective's total: every finished run but the rejected ones
    /// and those cancelled in time.
    pub const fn is_counted(self, late: bool) -> bool {
        match self {
            Outcome::Rejected => false,
            Outcome::Cancelled => late,
            _ => true,
        }
    }

    /// Whether a counted run was good: on time, and success or degraded.
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
