//! Finds mistakes in the definitions of the program's checks, for `registry::validate`. Findings about processes do
//! not belong here.

use process_model::{CheckTarget, nearest};

use super::linked_checks::{CheckDefinition, checks, unreadable};
use crate::catalog::findings::{Finding, FindingsOfFeature, place};
use crate::catalog::registry::{self, UnknownProcess};

inventory::submit! { FindingsOfFeature(findings) }

/// Returns a finding for each record of a check that cannot be decoded, for each process or dependency that has
/// several checks, and for each check of a process or dependency that no attribute declares.
fn findings() -> Vec<Finding> {
    let unreadable = unreadable().iter().map(|error| Finding::Unreadable { error: error.clone() });
    let checks = Vec::from_iter(checks());
    let of_one_target = checks.chunk_by(|a, b| a.target() == b.target()).filter(|checks| checks.len() > 1);
    let duplicates = of_one_target.map(|checks| Finding::DuplicateCheck {
        target: checks[0].target().clone(),
        places: checks.iter().map(|check| place(check.file(), check.line())).collect(),
    });
    unreadable.chain(duplicates).chain(checks.iter().filter_map(|check| unknown_target(check))).collect()
}

/// Returns a finding if the check belongs to a process that is not registered, or to a dependency that no process or
/// stage declares.
fn unknown_target(check: &CheckDefinition) -> Option<Finding> {
    let place = place(check.file(), check.line());
    match check.target() {
        CheckTarget::Process(id) => {
            let UnknownProcess { id: process, nearest } = registry::get(id).err()?;
            Some(Finding::UnknownProcessOfCheck { process, nearest, place })
        }
        CheckTarget::Dependency(id) => {
            let of_processes = registry::all().flat_map(|process| process.dependencies());
            let of_stages = registry::stages().flat_map(|stage| stage.dependencies());
            let declared = Vec::from_iter(of_processes.chain(of_stages).map(String::as_str));
            (!declared.contains(&id.as_str())).then(|| Finding::UnknownDependencyOfCheck {
                dependency: id.clone(),
                nearest: nearest(id, declared),
                place,
            })
        }
    }
}
