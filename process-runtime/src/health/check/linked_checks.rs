//! The definitions of all checks that are linked into the program. Executing a check does not belong here (`runner`).

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

/// Takes the arguments of a check from the states, and calls the check with them.
type Begin = fn(&States) -> Result<Checking, MissingState>;

impl CheckDefinition {
    /// Returns the process or dependency that the check tests.
    pub fn target(&self) -> &CheckTarget {
        &self.declaration.target
    }

    /// Returns the timeout of an execution, which is less than 30 s.
    pub fn timeout(&self) -> Duration {
        self.declaration.timeout.as_duration()
    }

    /// Returns the interval of the check's schedule. Returns `None` if the check has no schedule.
    pub fn every(&self) -> Option<Duration> {
        self.declaration.freshness.every().map(|every| every.as_duration())
    }

    /// Returns how long a result is valid. If the check has a schedule, this is the interval of the schedule.
    pub fn cached_for(&self) -> Duration {
        self.declaration.freshness.cached_for().as_duration()
    }

    /// Returns the path of the annotated function.
    pub fn handler(&self) -> &str {
        &self.place.handler
    }

    /// Returns the path of the source file, as the compiler writes it.
    pub fn file(&self) -> &str {
        &self.place.file
    }

    /// Returns the line of the function's name, or 0 if the compiler does not report the line.
    pub fn line(&self) -> u32 {
        self.place.line
    }

    /// Returns the record that the attribute leaves in the binary. It has a versioned wire form
    /// ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Declaration::Check(self.declaration.clone()).at(self.place.clone())
    }

    /// Calls the check with arguments from `states`, and returns its future.
    ///
    /// # Errors
    /// Returns an error if the check takes an argument that `states` does not have.
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

/// Returns every check of this program. The checks of processes come before the checks of dependencies. In each
/// group, the checks are sorted by id, then by place in the source.
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

/// Returns one error text for each record of a check that cannot be decoded.
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
