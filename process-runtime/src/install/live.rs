//! Live views of the current domain: statistics by process id, and runs in flight. In a test or a health check, the
//! current domain contains only the runs in that test or check. Everywhere else it is the global domain of the
//! program. Definitions do not belong here (`catalog::registry`).

use std::collections::BTreeMap;

use crate::catalog::definition::Definition;
use crate::catalog::registry::{UnknownProcess, get};
use crate::run::domain::InFlight;
use crate::run::frame::current_domain;
use crate::run::unit::Unit;
use crate::stats::Stats;

/// Returns the statistics of a process in the current domain. Inside an observation of a test or inside a health
/// check, only the runs of that observation or check count. Everywhere else, all runs count except those of
/// observations and health checks.
///
/// # Errors
/// Returns [`UnknownProcess`], which contains the most similar id, if no process has this id.
pub fn stats(id: &str) -> Result<Stats, UnknownProcess> {
    let process = get(id)?;
    let is_it = |unit: &&'static Unit| matches!(unit.definition, Definition::Process(found) if std::ptr::eq(found, process));
    let unit = Unit::all().into_iter().find(is_it);
    Ok(current_domain().core().stats(unit.expect("a registered process has a unit")))
}

/// Returns the statistics of each stage of a process in the current domain, by stage id. If the attribute of a stage
/// names the process, runs of the stage outside the process count too. A shared stage, whose attribute names no
/// process, is included once it has run inside the process. Its runs outside the process do not count.
///
/// # Errors
/// Returns [`UnknownProcess`], which contains the most similar id, if no process has this id.
pub fn stage_stats(id: &str) -> Result<BTreeMap<&'static str, Stats>, UnknownProcess> {
    let process = get(id)?;
    let domain = current_domain();
    let units = Unit::all().into_iter().filter(|unit| {
        unit.stage().is_some() && unit.process.is_some_and(|owner| std::ptr::eq(owner, process))
    });
    Ok(units.map(|unit| (unit.definition.common().id.as_str(), domain.core().stats(unit))).collect())
}

/// Returns the statistics in the current domain of each dependency that a process has called with
/// [`dependency`](crate::dependency), by dependency id. A dependency that the process has called only in another
/// domain is included without any runs.
///
/// # Errors
/// Returns [`UnknownProcess`], which contains the most similar id, if no process has this id.
pub fn dependency_stats(id: &str) -> Result<BTreeMap<&'static str, Stats>, UnknownProcess> {
    let process = get(id)?;
    let domain = current_domain();
    let units = Unit::all().into_iter();
    let units = units.filter(|unit| unit.process.is_some_and(|owner| std::ptr::eq(owner, process)));
    let dependencies = units.filter_map(|unit| Some((unit.dependency()?, unit)));
    Ok(dependencies.map(|(id, unit)| (id, domain.core().stats(unit))).collect())
}

/// Returns the runs in flight in the current domain, the oldest first.
pub fn in_flight() -> Vec<InFlight> {
    current_domain().core().in_flight()
}

/// Returns the number of runs in the current domain that began while the table of runs in flight was full.
/// [`in_flight`] does not list these runs, and the watchdog does not report them as late while they run. Their
/// statistics, their outcomes and the reports at their end are complete.
pub fn untracked() -> u64 {
    current_domain().core().untracked()
}
