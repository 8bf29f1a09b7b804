//! How a run ends, and what that means for the objective. This module classifies; it does not count.

use std::fmt;

/// How one run ended. Lateness is reported in addition, never instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It returned a good value.
    Success,
    /// It succeeded through its declared fallback.
    Degraded,
    /// The caller made a mistake: the run is outside the objective and sends no event.
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

    /// Returns the name on the wire.
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

    /// Whether an operator must act: failure or panic.
    pub const fn is_error(self) -> bool {
        matches!(self, Outcome::Failure | Outcome::Panic)
    }

    /// Whether the run counts towards the objective's total: every run that ended, except for rejected runs and runs
    /// that were cancelled in time.
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
