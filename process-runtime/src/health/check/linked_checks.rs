//! Every check that the program was linked with. This file reads the records and runs no check.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use process_model::{CheckDeclaration, CheckTarget, Declaration, Place, Record};

use super::state::{MissingState, States};
use super::verdict::Checking;
use crate::catalog::linked::{Catalogue, Defined, Entry, Linked};

/// A check, as `#[health_check]` or `#[dependency_check]` defines it.
pub struct CheckDefinition {
    declaration: CheckDeclaration,
    place: Place,
    begin: Begin,
}

/// Takes the arguments of a check from the states, and calls it.
type Begin = fn(&States) -> Result<Checking, MissingState>;

impl CheckDefinition {
    /// Returns the process or dependency that it checks.
    pub fn target(&self) -> &CheckTarget {
        &self.declaration.target
    }

    /// Returns the longest time that it may take: less than 30 s.
    pub fn timeout(&self) -> Duration {
        self.declaration.timeout.as_duration()
    }

    /// Returns the interval of its schedule, if it has one.
    pub fn every(&self) -> Option<Duration> {
        self.declaration.freshness.every().map(|every| every.as_duration())
    }

    /// Returns how long its result is valid: until the next execution, if it has a schedule.
    pub fn cached_for(&self) -> Duration {
        self.declaration.freshness.cached_for().as_duration()
    }

    /// Returns the path of the function.
    pub fn handler(&self) -> &str {
        &self.place.handler
    }

    /// Returns the source file, as the compiler names it.
    pub fn file(&self) -> &str {
        &self.place.file
    }

    /// Returns the line of the function's name; 0 if the compiler does not report it.
    pub fn line(&self) -> u32 {
        self.place.line
    }

    /// Returns the record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Declaration::Check(self.declaration.clone()).at(self.place.clone())
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
        f.debug_struct("CheckDefinition")
            .field("declaration", &self.declaration)
            .field("place", &self.place)
            .finish_non_exhaustive()
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
    catalogue().definitions.iter().copied()
}

/// Returns the errors of the records that could not be read.
pub(super) fn unreadable() -> &'static [String] {
    &catalogue().unreadable
}

fn catalogue() -> &'static Catalogue<CheckDefinition> {
    static CATALOGUE: OnceLock<Catalogue<CheckDefinition>> = OnceLock::new();
    CATALOGUE.get_or_init(Catalogue::collect)
}

/// The static that an expansion defines for a check.
pub type LinkedCheck = Linked<CheckDefinition>;

inventory::collect!(Entry<CheckDefinition>);

impl Defined for CheckDefinition {
    type With = Begin;

    fn define(Record { declaration, place }: Record, begin: Begin) -> Option<CheckDefinition> {
        match declaration {
            Declaration::Check(declaration) => Some(CheckDefinition { declaration, place, begin }),
            Declaration::Process(_) | Declaration::Stage(_) | Declaration::Contract(_) => None,
        }
    }

    fn order(&self) -> impl Ord + '_ {
        (self.target(), &self.place)
    }
}
