//! Lists the contracts that are linked into the test binary. Running a contract does not belong here.

use std::sync::OnceLock;

pub use process_model::Case;
use process_model::{ContractDeclaration, Declaration, Place, Record};

use crate::catalog::linked::{Catalogue, Defined, Entry, Linked};

/// The definition of a contract, from its `#[contract]`.
#[derive(Debug)]
pub struct ContractDefinition {
    declaration: ContractDeclaration,
    place: Place,
}

impl ContractDefinition {
    /// Returns the id of the process.
    pub fn process(&self) -> &str {
        &self.declaration.process
    }

    /// Returns the case that the contract proves.
    pub fn case(&self) -> &Case {
        &self.declaration.case
    }

    /// Returns the path of the test function.
    pub fn handler(&self) -> &str {
        &self.place.handler
    }

    /// Returns the source file, as the compiler names it.
    pub fn file(&self) -> &str {
        &self.place.file
    }

    /// Returns the line of the function's name, or 0 if the compiler did not provide it.
    pub fn line(&self) -> u32 {
        self.place.line
    }

    /// Returns this definition as a record. Records have a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Declaration::Contract(self.declaration.clone()).at(self.place.clone())
    }
}

/// Returns every contract of this test binary, sorted by process, case and place. Use [`matrix`](super::matrix) to see
/// which of them ran and what they proved.
///
/// ```
/// use process_runtime::testing::{Case, contracts};
///
/// let unhappy = contracts().filter(|contract| *contract.case() != Case::Happy);
/// for contract in unhappy {
///     println!("{} {} at {}:{}", contract.process(), contract.case(), contract.file(), contract.line());
/// }
/// ```
pub fn contracts() -> impl ExactSizeIterator<Item = &'static ContractDefinition> {
    catalogue().definitions.iter().copied()
}

/// Returns the error of each contract record that cannot be read.
pub(crate) fn unreadable() -> &'static [String] {
    &catalogue().unreadable
}

fn catalogue() -> &'static Catalogue<ContractDefinition> {
    static CATALOGUE: OnceLock<Catalogue<ContractDefinition>> = OnceLock::new();
    CATALOGUE.get_or_init(Catalogue::collect)
}

/// The type of the static that the expansion of `#[contract]` defines.
pub type LinkedContract = Linked<ContractDefinition>;

inventory::collect!(Entry<ContractDefinition>);

impl Defined for ContractDefinition {
    type With = ();

    fn define(Record { declaration, place }: Record, (): ()) -> Option<ContractDefinition> {
        match declaration {
            Declaration::Contract(declaration) => Some(ContractDefinition { declaration, place }),
            Declaration::Process(_) | Declaration::Stage(_) | Declaration::Check(_) => None,
        }
    }

    fn order(&self) -> impl Ord + '_ {
        (self.process(), self.case(), &self.place)
    }
}
