//! The times of a health check: how long it may take, how often it runs, and how long its answer is valid. The macros
//! and the decoder read them with the functions here, so neither accepts what the other refuses.

use crate::duration::{Millis, Noun};
use crate::grammar::GrammarError;

/// How long an answer is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The check runs on a timer with this period, and an answer is valid until the next run. At least a second.
    Every(Millis),
    /// The check runs on demand, and an answer is valid for this long.
    CachedFor(Millis),
}

/// The upper bound of timeouts, excluded: a monitor gives up after 30 s.
pub const TIMEOUT_BOUND: Millis = Millis::seconds(30);

/// The shortest period between two runs on a timer.
pub const MIN_EVERY: Millis = Millis::seconds(1);

impl Default for Freshness {
    fn default() -> Self {
        Freshness::CachedFor(Millis::seconds(5))
    }
}

impl Freshness {
    /// Returns the period of a check that runs on a timer.
    pub const fn every(self) -> Option<Millis> {
        match self {
            Freshness::Every(period) => Some(period),
            Freshness::CachedFor(_) => None,
        }
    }

    /// Returns how long an answer is valid.
    pub const fn cached_for(self) -> Millis {
        match self {
            Freshness::Every(time) | Freshness::CachedFor(time) => time,
        }
    }
}

/// Parses the `timeout` of a check: more than zero, and less than [`TIMEOUT_BOUND`].
///
/// # Errors
/// Returns an error for any other text, with a similar valid duration where there is one.
pub fn timeout(text: &str) -> Result<Millis, GrammarError> {
    const TIMEOUT: Noun =
        Noun { name: "timeout", help: "write the longest time that the check may take", example: "10s" };
    let timeout = Millis::parse_as(text, &TIMEOUT)?;
    if timeout < TIMEOUT_BOUND {
        return Ok(timeout);
    }
    Err(GrammarError::new(
        format!("invalid timeout `{text}`: it must be less than {TIMEOUT_BOUND}"),
        "use a shorter time: a monitor gives up after 30 s, and a health endpoint answers within 25 s",
    ))
}

/// Parses the `every` of a check: at least [`MIN_EVERY`].
///
/// # Errors
/// Returns an error for any other text, with a similar valid duration where there is one.
pub fn every(text: &str) -> Result<Millis, GrammarError> {
    const EVERY: Noun =
        Noun { name: "period", help: "write how often the check runs, at least `1s`", example: "5m" };
    let every = Millis::parse_as(text, &EVERY)?;
    if every >= MIN_EVERY {
        return Ok(every);
    }
    Err(GrammarError::new(format!("invalid period `{text}`: it must be at least {MIN_EVERY}"), EVERY.help))
}

/// Parses the `cached_for` of a check: more than zero.
///
/// # Errors
/// Returns an error for any other text, with a similar valid duration where there is one.
pub fn cached_for(text: &str) -> Result<Millis, GrammarError> {
    const CACHED_FOR: Noun =
        Noun { name: "cache time", help: "write how long an answer is valid", example: "5s" };
    Millis::parse_as(text, &CACHED_FOR)
}
