//! Every contract that the test binary was linked with. Each [`ContractSite`] is the static of an expansion, as a
//! `Site` is a process's; nothing here runs one.

use std::collections::HashSet;
use std::sync::OnceLock;

pub use process_model::Case;
use process_model::wire::{DecodeError, Problem, decode_text};
use process_model::{ContractRecord, Record};

/// A contract, as `#[contract]` defined it.
#[derive(Debug)]
pub struct ContractDefinition {
    record: ContractRecord,
}

impl ContractDefinition {
    /// Id of the process.
    pub fn process(&self) -> &str {
        &self.record.process
    }

    /// What is proven of it.
    pub fn case(&self) -> &Case {
        &self.record.case
    }

    /// Path of the test function.
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
        Record::Contract(self.record.clone())
    }
}

/// Every contract of this test binary, by process, case and place. Whether they ran, and what came of it, is
/// [`matrix`](super::matrix)'s.
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

/// What is wrong with the records that cannot be read.
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

/// One test that proves a case.
#[derive(Debug)]
pub struct ContractSite {
    text: &'static [u8],
    definition: OnceLock<Result<ContractDefinition, DecodeError>>,
}

/// An inventory item: the anchor that keeps a contract and its record in the binary.
#[derive(Debug)]
pub struct ContractEntry(pub &'static ContractSite);

inventory::collect!(ContractEntry);

/// The value of a contract's static, as `__site!` is of a process's.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_site {
    ($site:ident, $($parts:tt)*) => {{
        $crate::__private::inventory::submit! { $crate::__private::ContractEntry(&$site) }
        $crate::__private::ContractSite::new($crate::__private::record_text!($($parts)*))
    }};
}

impl ContractSite {
    /// From the text of the contract's record.
    pub const fn new(text: &'static [u8]) -> ContractSite {
        ContractSite { text, definition: OnceLock::new() }
    }

    /// Every contract, once where another macro emits its function several times.
    fn all() -> impl Iterator<Item = &'static ContractSite> {
        let mut seen = HashSet::new();
        let entries = inventory::iter::<ContractEntry>.into_iter();
        entries.map(|entry| entry.0).filter(move |site| seen.insert(site.text))
    }

    /// What the record says; decoded at the first call.
    ///
    /// # Errors
    /// Where the record cannot be read, which `registry::validate` tells.
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
