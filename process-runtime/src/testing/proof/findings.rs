//! Finds records of contracts that cannot be read, and contracts of unknown processes.
//! [`registry::validate`](crate::registry::validate) reports these findings. The findings of other records do not
//! belong here.

use super::registered::{self, contracts};
use crate::catalog::findings::{Finding, FindingsOfFeature, place};
use crate::catalog::registry::get;

inventory::submit! { FindingsOfFeature(findings) }

fn findings() -> Vec<Finding> {
    let unreadable =
        registered::unreadable().iter().map(|error| Finding::Unreadable { error: error.clone() });
    let of_no_process = contracts().filter_map(|contract| {
        let unknown = get(contract.process()).err()?;
        Some(Finding::UnknownProcessOfContract {
            case: contract.case().to_string(),
            process: unknown.id,
            nearest: unknown.nearest,
            place: place(contract.file(), contract.line()),
        })
    });
    unreadable.chain(of_no_process).collect()
}
