//! Every check that the program was linked with. Each [`CheckSite`] is the static of an expansion, as a `Site` is a
//! process's; nothing here runs one.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use process_model::wire::{DecodeError, Problem, decode_text};
use process_model::{CheckRecord, CheckTarget, Record};

use super::state::{MissingState, States};
use super::verdict::Checking;

/// A check, as `#[health_check]` or `#[dependency_check]` defined it.
pub struct CheckDefinition {
    record: CheckRecord,
    begin: Begin,
}

/// Takes a check's arguments from the states, and starts it.
type Begin = fn(&States) -> Result<Checking, MissingState>;

impl CheckDefinition {
    /// What it is a check of.
    pub fn target(&self) -> &CheckTarget {
        &self.record.target
    }

    /// The longest it may take: less than 30 s.
    pub fn timeout(&self) -> Duration {
        self.record.timeout.as_duration()
    }

    /// How often it runs by itself, where it does.
    pub fn every(&self) -> Option<Duration> {
        self.record.freshness.every().map(|every| every.as_duration())
    }

    /// How long its answer is good for: until the next is due, where it runs by itself.
    pub fn cached_for(&self) -> Duration {
        self.record.freshness.cached_for().as_duration()
    }

    /// Path of the function.
    pub fn handler(&self) -> &str {
        &self.record.handler
    }

    /// The source file, as the compiler names it.
    pub fn file(&self) -> &str {
        &self.record.file
    }

    /// The line of the function's name; 0 where the compiler would not tell.
    pub fn line(&self) -> u32 {
        self.record.line
    }

    /// The record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Record::Check(self.record.clone())
    }

    /// The check as a future, with its arguments out of `states`.
    ///
    /// # Errors
    /// With the first argument that is not there.
    #[doc(hidden)]
    pub fn begin(&self, states: &States) -> Result<Checking, MissingState> {
        (self.begin)(states)
    }
}

impl fmt::Debug for CheckDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckDefinition").field("record", &self.record).finish_non_exhaustive()
    }
}

/// Every check of this program: those of processes, then those of dependencies, each by id and place.
///
/// ```
/// use process_runtime::health;
///
/// for check in health::checks() {
///     println!("{} within {:?} at {}:{}", check.target().id(), check.timeout(), check.file(), check.line());
/// }
/// ```
pub fn checks() -> impl ExactSizeIterator<Item = &'static CheckDefinition> {
    registered().checks.iter()
}

/// What is wrong with the records that cannot be read.
pub(crate) fn unreadable() -> &'static [String] {
    &registered().unreadable
}

struct Registered {
    checks: Vec<CheckDefinition>,
    unreadable: Vec<String>,
}

fn registered() -> &'static Registered {
    static REGISTERED: OnceLock<Registered> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let mut registered = Registered { checks: Vec::new(), unreadable: Vec::new() };
        for entry in CheckEntry::all() {
            match entry.site.record() {
                Ok(record) => registered.checks.push(CheckDefinition { record, begin: entry.begin }),
                Err(error) => registered.unreadable.push(error.to_string()),
            }
        }
        // The linker's order is arbitrary.
        let place = |check: &CheckDefinition| {
            let CheckRecord { target, file, line, handler, .. } = check.record.clone();
            (target, file, line, handler)
        };
        registered.checks.sort_by_cached_key(place);
        registered.unreadable.sort();
        registered
    })
}

/// One function that checks something.
#[derive(Debug)]
pub struct CheckSite {
    text: &'static [u8],
}

/// An inventory item: the anchor that keeps a check and its record in the binary.
#[derive(Debug)]
pub struct CheckEntry {
    /// The function's static.
    pub site: &'static CheckSite,
    /// What calls it.
    pub begin: Begin,
}

inventory::collect!(CheckEntry);

/// The value of a check's static, as `__site!` is of a process's.
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
    /// Every check, once where another macro emits its function several times.
    fn all() -> impl Iterator<Item = &'static CheckEntry> {
        let mut seen = HashSet::new();
        let entries = inventory::iter::<CheckEntry>.into_iter();
        entries.filter(move |entry| seen.insert(entry.site.text))
    }
}

impl CheckSite {
    /// From the text of the check's record.
    pub const fn new(text: &'static [u8]) -> CheckSite {
        CheckSite { text }
    }

    /// What the record says.
    ///
    /// # Errors
    /// Where the record cannot be read, which `registry::validate` tells.
    fn record(&self) -> Result<CheckRecord, DecodeError> {
        match decode_text(self.text)? {
            Record::Check(record) => Ok(record),
            Record::Process(_) | Record::Stage(_) | Record::Contract(_) => {
                Err(DecodeError { offset: 0, problem: Problem::Malformed("kind") })
            }
        }
    }
}
