//! Every check that the program was linked with. This file reads the records and runs no check.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use process_model::wire::{DecodeError, Problem, decode_text};
use process_model::{CheckRecord, CheckTarget, Record};

use super::state::{MissingState, States};
use super::verdict::Checking;

/// A check, as `#[health_check]` or `#[dependency_check]` defines it.
pub struct CheckDefinition {
    record: CheckRecord,
    begin: Begin,
}

/// Takes the arguments of a check from the states, and calls it.
type Begin = fn(&States) -> Result<Checking, MissingState>;

impl CheckDefinition {
    /// Returns the process or dependency that it checks.
    pub fn target(&self) -> &CheckTarget {
        &self.record.target
    }

    /// Returns the longest time that it may take: less than 30 s.
    pub fn timeout(&self) -> Duration {
        self.record.timeout.as_duration()
    }

    /// Returns the interval of its schedule, if it has one.
    pub fn every(&self) -> Option<Duration> {
        self.record.freshness.every().map(|every| every.as_duration())
    }

    /// Returns how long its result is valid: until the next execution, if it has a schedule.
    pub fn cached_for(&self) -> Duration {
        self.record.freshness.cached_for().as_duration()
    }

    /// Returns the path of the function.
    pub fn handler(&self) -> &str {
        &self.record.handler
    }

    /// Returns the source file, as the compiler names it.
    pub fn file(&self) -> &str {
        &self.record.file
    }

    /// Returns the line of the function's name; 0 if the compiler does not report it.
    pub fn line(&self) -> u32 {
        self.record.line
    }

    /// Returns the record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Record::Check(self.record.clone())
    }

    /// Calls the check with arguments from `states`, and returns its future.
    ///
    /// # Errors
    /// If the check takes an argument that `states` does not have.
    pub(crate) fn begin(&self, states: &States) -> Result<Checking, MissingState> {
        (self.begin)(states)
    }
}

impl fmt::Debug for CheckDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckDefinition").field("record", &self.record).finish_non_exhaustive()
    }
}

/// Returns every check of this program: first those of processes, then those of dependencies, each sorted by id and
/// place.
///
/// ```
/// use process_runtime::health;
///
/// for check in health::checks() {
///     println!("{} within {:?} at {}:{}", check.target().id(), check.timeout(), check.file(), check.line());
/// }
/// ```
pub fn checks() -> impl ExactSizeIterator<Item = &'static CheckDefinition> {
    linked().checks.iter()
}

/// Returns the errors of the records that could not be read.
pub(super) fn unreadable() -> &'static [String] {
    &linked().unreadable
}

struct LinkedChecks {
    checks: Vec<CheckDefinition>,
    unreadable: Vec<String>,
}

fn linked() -> &'static LinkedChecks {
    static LINKED: OnceLock<LinkedChecks> = OnceLock::new();
    LINKED.get_or_init(|| {
        let mut linked = LinkedChecks { checks: Vec::new(), unreadable: Vec::new() };
        for entry in CheckEntry::all() {
            match entry.site.record() {
                Ok(record) => linked.checks.push(CheckDefinition { record, begin: entry.begin }),
                Err(error) => linked.unreadable.push(error.to_string()),
            }
        }
        // The linker's order is arbitrary.
        let place = |check: &CheckDefinition| {
            let CheckRecord { target, file, line, handler, .. } = check.record.clone();
            (target, file, line, handler)
        };
        linked.checks.sort_by_cached_key(place);
        linked.unreadable.sort();
        linked
    })
}

/// The static that an expansion defines for a check.
#[derive(Debug)]
pub struct CheckSite {
    text: &'static [u8],
}

/// The inventory item of a check. It keeps the check and its record in the binary.
#[derive(Debug)]
pub struct CheckEntry {
    /// The static of the check.
    pub site: &'static CheckSite,
    /// The function that calls the check.
    pub begin: Begin,
}

inventory::collect!(CheckEntry);

/// The value of a check's static.
#[doc(hidden)]
#[macro_export]
macro_rules! __check_site {
    ($site:ident, $begin:ident, $($parts:tt)*) => {{
        $crate::__private::inventory::submit! {
            $crate::__private::CheckEntry { site: &$site, begin: $begin }
        }
        $crate::__private::CheckSite::new($crate::__private::record_text!($($parts)*))
    }};
}

impl CheckEntry {
    /// Returns every check once, even if another macro emits its function several times.
    fn all() -> impl Iterator<Item = &'static CheckEntry> {
        let mut seen = HashSet::new();
        let entries = inventory::iter::<CheckEntry>.into_iter();
        entries.filter(move |entry| seen.insert(entry.site.text))
    }
}

impl CheckSite {
    /// Takes the text of the check's record.
    pub const fn new(text: &'static [u8]) -> CheckSite {
        CheckSite { text }
    }

    /// Decodes the record.
    ///
    /// # Errors
    /// If the text is not the record of a check. `registry::validate` reports it.
    fn record(&self) -> Result<CheckRecord, DecodeError> {
        match decode_text(self.text)? {
            Record::Check(record) => Ok(record),
            Record::Process(_) | Record::Stage(_) | Record::Contract(_) => {
                Err(DecodeError { offset: 0, problem: Problem::Malformed("kind") })
            }
        }
    }
}
