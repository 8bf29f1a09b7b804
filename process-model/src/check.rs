//! What a check says: what it is a check of, how long it may take, and how long its answer is good for. The macro and
//! the decoder read its times with the functions here, so neither accepts what the other refuses.

use crate::grammar::{GrammarError, Noun, Sla};

/// A check as its attribute said it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRecord {
    /// What it is a check of.
    pub target: CheckTarget,
    /// The longest it may take: less than [`TIMEOUT_BOUND`].
    pub timeout: Sla,
    /// How long its answer is good for.
    pub freshness: Freshness,
    /// Path of the function.
    pub handler: String,
    /// Source file, as the compiler names it.
    pub file: String,
    /// Line of the function's name in that file; 0 where the compiler would not tell.
    pub line: u32,
}

/// What a check is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckTarget {
    /// The process of this id, by `#[health_check]`.
    Process(String),
    /// What processes depend on under this id, by `#[dependency_check]`.
    Dependency(String),
}

/// How long an answer is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The check runs this often by itself, and its answer is good until the next is due. At least a second.
    Every(Sla),
    /// The check runs when somebody asks, and answers for this long.
    CachedFor(Sla),
}

/// Every timeout is less than this: a monitor gives up at 30 s.
pub const TIMEOUT_BOUND: Sla = Sla::seconds(30);

/// The shortest time between two runs of a check by itself.
pub const MIN_EVERY: Sla = Sla::seconds(1);

impl CheckTarget {
    /// The id.
    pub fn id(&self) -> &str {
        match self {
            CheckTarget::Process(id) | CheckTarget::Dependency(id) => id,
        }
    }

    /// The longest that its check may take where the attribute does not say: 10 s for a process, which runs for real,
    /// and 2 s for a dependency.
    pub const fn default_timeout(&self) -> Sla {
        match self {
            CheckTarget::Process(_) => Sla::seconds(10),
            CheckTarget::Dependency(_) => Sla::seconds(2),
        }
    }
}

impl Default for Freshness {
    fn default() -> Self {
        Freshness::CachedFor(Sla::seconds(5))
    }
}

impl Freshness {
    /// How often the check runs by itself, where it does.
    pub const fn every(self) -> Option<Sla> {
        match self {
            Freshness::Every(every) => Some(every),
            Freshness::CachedFor(_) => None,
        }
    }

    /// How long an answer is good for.
    pub const fn cached_for(self) -> Sla {
        match self {
            Freshness::Every(time) | Freshness::CachedFor(time) => time,
        }
    }
}

/// Reads the `timeout` of a check: more than zero, and less than [`TIMEOUT_BOUND`].
///
/// # Errors
/// For anything else, with what was probably meant.
pub fn timeout(text: &str) -> Result<Sla, GrammarError> {
    const TIMEOUT: Noun =
        Noun { name: "timeout", help: "write the longest time that the check may take", example: "10s" };
    let timeout = Sla::parse_as(text, &TIMEOUT)?;
    if timeout < TIMEOUT_BOUND {
        return Ok(timeout);
    }
    Err(GrammarError::new(
        format!("invalid timeout `{text}`: it must be less than {TIMEOUT_BOUND}"),
        "use a shorter time: a monitor gives up after 30 s, and a health endpoint answers within 25 s",
    ))
}

/// Reads the `every` of a check: at least [`MIN_EVERY`].
///
/// # Errors
/// For anything else, with what was probably meant.
pub fn every(text: &str) -> Result<Sla, GrammarError> {
    const EVERY: Noun =
        Noun { name: "period", help: "write how often the check runs, at least `1s`", example: "5m" };
    let every = Sla::parse_as(text, &EVERY)?;
    if every >= MIN_EVERY {
        return Ok(every);
    }
    Err(GrammarError::new(format!("invalid period `{text}`: it must be at least {MIN_EVERY}"), EVERY.help))
}

/// Reads the `cached_for` of a check: more than zero.
///
/// # Errors
/// For anything else, with what was probably meant.
pub fn cached_for(text: &str) -> Result<Sla, GrammarError> {
    const CACHED_FOR: Noun =
        Noun { name: "cache time", help: "write how long an answer is valid", example: "5s" };
    Sla::parse_as(text, &CACHED_FOR)
}
