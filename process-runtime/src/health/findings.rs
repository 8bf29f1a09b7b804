//! What is wrong with the checks of a program, for [`registry::validate`](crate::registry::validate).

use process_model::{CheckTarget, nearest};

use super::registered::{CheckDefinition, checks, unreadable};
use crate::catalog::findings::{Finding, FindingsOfFeature, place};
use crate::catalog::registry::{UnknownProcess, all, get, stages};

inventory::submit! { FindingsOfFeature(findings) }

fn findings() -> Vec<Finding> {
    let mut findings =
        Vec::from_iter(unreadable().iter().map(|error| Finding::Unreadable { error: error.clone() }));
    let checks = Vec::from_iter(checks());
    let same = checks.chunk_by(|a, b| a.target() == b.target()).filter(|same| same.len() > 1);
    findings.extend(same.map(|same| Finding::DuplicateCheck {
        target: same[0].target().clone(),
        places: same.iter().map(|check| place(check.file(), check.line())).collect(),
    }));
    findings.extend(checks.iter().filter_map(|check| of_nothing(check)));
    findings
}

/// A check of what is not there.
fn of_nothing(check: &CheckDefinition) -> Option<Finding> {
    let place = place(check.file(), check.line());
    match check.target() {
        CheckTarget::Process(id) => {
            let UnknownProcess { id: process, nearest } = get(id).err()?;
            Some(Finding::UnknownProcessOfCheck { process, nearest, place })
        }
        CheckTarget::Dependency(id) => {
            let of_processes = all().flat_map(|process| process.dependencies());
            let of_stages = stages().flat_map(|stage| stage.dependencies());
            let declared = Vec::from_iter(of_processes.chain(of_stages).map(String::as_str));
            (!declared.contains(&id.as_str())).then(|| Finding::UnknownDependencyOfCheck {
                dependency: id.clone(),
                nearest: nearest(id, declared),
                place,
            })
        }
    }
}
