//! The times of a health check: how long the check may take, how often it runs, and how long its answer is valid. The
//! macros and the decoder of records read these times with the same functions, so both accept the same values.

use crate::duration::{Millis, Noun};
use crate::grammar::GrammarError;

/// When a check runs, and how long its answer is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The check runs on a timer with this period, which is at least a second. An answer is valid until the next run.
    Every(Millis),
    /// The check runs on request, and its answer is valid for this long.
    CachedFor(Millis),
}

/// The upper bound of timeouts, which a timeout must stay below. A monitor gives up after 30 s.
pub const TIMEOUT_BOUND: Millis = Millis::seconds(30);

/// The longest timeout.
const MAX_TIMEOUT: Millis =
    Millis::new(TIMEOUT_BOUND.get() - 1).expect("the bound is more than a millisecond");

/// The shortest period of a check that runs on a timer.
pub const MIN_EVERY: Millis = Millis::seconds(1);

impl Default for Freshness {
    fn default() -> Self {
        Freshness::CachedFor(Millis::seconds(5))
    }
}

impl Freshness {
    /// Returns the period of a check that runs on a timer, or `None` for a check that runs on request.
    pub const fn every(self) -> Option<Millis> {
        match self {
            Freshness::Every(period) => Some(period),
            Freshness::CachedFor(_) => None,
        }
    }

    /// Returns how long an answer is valid. For a check on a timer, this is its period.
    pub const fn cached_for(self) -> Millis {
        match self {
            Freshness::Every(time) | Freshness::CachedFor(time) => time,
        }
    }
}

/// Parses the `timeout` of a check, which must be more than zero and less than [`TIMEOUT_BOUND`].
///
/// # Errors
/// Returns an error for any other text. If the text resembles a duration, the error proposes its correct form.
pub fn timeout(text: &str) -> Result<Millis, GrammarError> {
    const TIMEOUT: Noun = Noun {
        name: "timeout",
        help: "write the longest time that the check may take",
        example: "10s",
        least: Millis::MIN,
        most: MAX_TIMEOUT,
    };
    let timeout = Millis::parse_as(text, &TIMEOUT)?;
    if timeout < TIMEOUT_BOUND {
        return Ok(timeout);
    }
    Err(GrammarError::with_example(
        format!("invalid timeout `{text}`: it must be less than {TIMEOUT_BOUND}"),
        "uptime monitors give up after 30 seconds; use a shorter time",
        TIMEOUT.example,
    ))
}

/// Parses the `every` of a check, which must be at least [`MIN_EVERY`].
///
/// # Errors
/// Returns an error for any other text. If the text resembles a duration, the error proposes its correct form.
pub fn every(text: &str) -> Result<Millis, GrammarError> {
    const EVERY: Noun = Noun {
        name: "period",
        help: "write the time from one run of the check to the next, at least `1s` and at most a year",
        example: "5m",
        least: MIN_EVERY,
        most: Millis::MAX,
    };
    let every = Millis::parse_as(text, &EVERY)?;
    if every >= MIN_EVERY {
        return Ok(every);
    }
    Err(GrammarError::new(format!("invalid period `{text}`: it must be at least {MIN_EVERY}"), EVERY.help))
}

/// Parses the `cached_for` of a check, which must be more than zero.
///
/// # Errors
/// Returns an error for any other text. If the text resembles a duration, the error proposes its correct form.
pub fn cached_for(text: &str) -> Result<Millis, GrammarError> {
    const CACHED_FOR: Noun = Noun {
        name: "cache time",
        help: "write how long an answer is valid, at most a year",
        example: "5s",
        least: Millis::MIN,
        most: Millis::MAX,
    };
    Millis::parse_as(text, &CACHED_FOR)
}
