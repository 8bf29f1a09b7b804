//! Lists the contracts that are linked into the test binary. An expansion of `#[contract]` leaves a static
//! [`ContractSite`], as one of `#[critical_process]` leaves a `Linked`. Nothing here runs a contract.

use std::collections::HashSet;
use std::sync::OnceLock;

pub use process_model::Case;
use process_model::wire::{DecodeError, Problem, decode_text};
use process_model::{ContractRecord, Record};

/// The definition of a contract, from its `#[contract]`.
#[derive(Debug)]
pub struct ContractDefinition {
    record: ContractRecord,
}

impl ContractDefinition {
    /// Returns the id of the process.
    pub fn process(&self) -> &str {
        &self.record.process
    }

    /// Returns the case that the contract proves.
    pub fn case(&self) -> &Case {
        &self.record.case
    }

    /// Returns the path of the test function.
    pub fn handler(&self) -> &str {
        &self.record.handler
    }

    /// Returns the source file, as the compiler names it.
    pub fn file(&self) -> &str {
        &self.record.file
    }

    /// Returns the line of the function's name, or 0 if the compiler did not provide it.
    pub fn line(&self) -> u32 {
        self.record.line
    }

    /// Returns the record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Record::Contract(self.record.clone())
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
    registered().contracts.iter().copied()
}

/// Returns the errors of the records that cannot be read.
pub(crate) fn unreadable() -> &'static [String] {
    &registered().unreadable
}

struct Registered {
    contracts: Vec<&'static ContractDefinition>,
    unreadable: Vec<String>,
}

fn registered() -> &'static Registered {
    static REGISTERED: OnceLock<Registered> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        let mut registered = Registered { contracts: Vec::new(), unreadable: Vec::new() };
        for site in ContractSite::all() {
            match site.definition() {
                Ok(contract) => registered.contracts.push(contract),
                Err(error) => registered.unreadable.push(error.to_string()),
            }
        }
        // The linker's order is arbitrary.
        registered.contracts.sort_by_key(|contract| {
            (contract.process(), contract.case(), contract.file(), contract.line(), contract.handler())
        });
        registered.unreadable.sort();
        registered
    })
}

/// The record of one contract, decoded at its first use.
#[derive(Debug)]
pub struct ContractSite {
    text: &'static [u8],
    definition: OnceLock<Result<ContractDefinition, DecodeError>>,
}

/// An inventory item, which keeps the record of a contract in the binary.
#[derive(Debug)]
pub struct ContractEntry(pub &'static ContractSite);

inventory::collect!(ContractEntry);

/// Expands to the value of a contract's static, as `__site!` does for a process.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_site {
    ($site:ident, $($parts:tt)*) => {{
        $crate::__private::inventory::submit! { $crate::__private::ContractEntry(&$site) }
        $crate::__private::ContractSite::new($crate::__private::record_text!($($parts)*))
    }};
}

impl ContractSite {
    /// Creates it from the text of the record.
    pub const fn new(text: &'static [u8]) -> ContractSite {
        ContractSite { text, definition: OnceLock::new() }
    }

    /// Returns every contract. A function that another macro emits several times is one contract.
    fn all() -> impl Iterator<Item = &'static ContractSite> {
        let mut seen = HashSet::new();
        let entries = inventory::iter::<ContractEntry>.into_iter();
        entries.map(|entry| entry.0).filter(move |site| seen.insert(site.text))
    }

    /// Returns the definition, which is decoded at the first call.
    ///
    /// # Errors
    /// If the record cannot be read, which `registry::validate` also reports.
    pub(crate) fn definition(&self) -> Result<&ContractDefinition, &DecodeError> {
        let decoded = self.definition.get_or_init(|| match decode_text(self.text)? {
            Record::Contract(record) => Ok(ContractDefinition { record }),
            Record::Process(_) | Record::Stage(_) | Record::Check(_) => {
                Err(DecodeError { offset: 0, problem: Problem::Malformed("kind") })
            }
        });
        decoded.as_ref()
    }
}
