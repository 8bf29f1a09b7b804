//! Every critical process that the program was linked with: what it is, what it is doing now, and what is
//! wrong with the whole. One needs it for a page or a check that says what a service does now, and at start-up to say
//! which processes must be there.
//!
//! A crate that is named in Cargo.toml but never in the source contributes nothing to a binary, so say
//! which processes you expect ([`expect`]) and let [`validate`] tell what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use process_model::nearest;

use crate::base::lock::lock;
use crate::catalog::definition::{Definition, ProcessDefinition, StageDefinition};
#[cfg(feature = "health")]
use crate::health::{CheckDefinition, CheckTarget};
use crate::run::domain::Domain;
use crate::run::unit::{Site, Unit};
use crate::stats::Stats;

struct Registry {
    processes: Vec<&'static ProcessDefinition>,
    stages: Vec<&'static StageDefinition>,
    unreadable: Vec<String>,
}

fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = Registry { processes: Vec::new(), stages: Vec::new(), unreadable: Vec::new() };
        for site in Site::all() {
            match site.definition() {
                Ok(Definition::Process(process)) => registry.processes.push(process),
                Ok(Definition::Stage(stage)) => registry.stages.push(stage),
                Ok(Definition::Dependency(_)) => {}
                Err(error) => registry.unreadable.push(error.to_string()),
            }
        }
        // The linker's order is arbitrary.
        registry.processes.sort_by_key(|process| (process.id(), process.file(), process.line()));
        registry.stages.sort_by_key(|stage| (stage.process(), stage.id(), stage.file(), stage.line()));
        registry.unreadable.sort();
        registry
    })
}

/// Every process, by id.
pub fn all() -> impl ExactSizeIterator<Item = &'static ProcessDefinition> {
    registry().processes.iter().copied()
}

/// Every stage, shared ones first, then by process and id.
pub fn stages() -> impl ExactSizeIterator<Item = &'static StageDefinition> {
    registry().stages.iter().copied()
}

/// The process with this id.
///
/// # Errors
/// With the nearest id, where there is none.
pub fn get(id: &str) -> Result<&'static ProcessDefinition, UnknownProcess> {
    process(id).ok_or_else(|| UnknownProcess {
        id: id.to_owned(),
        nearest: nearest(id, all().map(|process| process.id())),
    })
}

pub(crate) fn process(id: &str) -> Option<&'static ProcessDefinition> {
    all().find(|process| process.id() == id)
}

/// No process has this id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProcess {
    /// What was asked for.
    pub id: String,
    /// What was perhaps meant.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for UnknownProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no process `{}` is registered", self.id)?;
        match self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None if registry().processes.is_empty() => write!(f, "; none is registered at all"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownProcess {}

/// The figures of a process, in the current domain.
///
/// # Errors
/// With the nearest id, where there is no such process.
pub fn stats(id: &str) -> Result<Stats, UnknownProcess> {
    let process = get(id)?;
    let is_it = |unit: &&'static Unit| matches!(unit.definition, Definition::Process(found) if std::ptr::eq(found, process));
    let unit = Unit::all().into_iter().find(is_it);
    Ok(Domain::current().core().stats(unit.expect("a registered process has a unit")))
}

/// The figures of each stage of a process, by stage id, in the current domain. A stage that names its process
/// counts here also where it runs outside of one; a shared stage appears once it has run in the process.
///
/// # Errors
/// With the nearest id, where there is no such process.
pub fn stage_stats(id: &str) -> Result<BTreeMap<&'static str, Stats>, UnknownProcess> {
    let process = get(id)?;
    let domain = Domain::current();
    let units = Unit::all().into_iter().filter(|unit| {
        unit.stage().is_some() && unit.process.is_some_and(|owner| std::ptr::eq(owner, process))
    });
    Ok(units.map(|unit| (unit.definition.common().id.as_str(), domain.core().stats(unit))).collect())
}

/// The figures of each dependency that a process has called with [`dependency`](crate::instrument::dependency), by its id, in the
/// current domain.
///
/// # Errors
/// With the nearest id, where there is no such process.
pub fn dependency_stats(id: &str) -> Result<BTreeMap<&'static str, Stats>, UnknownProcess> {
    let process = get(id)?;
    let domain = Domain::current();
    let units = Unit::all().into_iter();
    let units = units.filter(|unit| unit.process.is_some_and(|owner| std::ptr::eq(owner, process)));
    let dependencies = units.filter_map(|unit| Some((unit.dependency()?, unit)));
    Ok(dependencies.map(|(id, unit)| (id, domain.core().stats(unit))).collect())
}

/// The runs that are going on now in the current domain, the oldest first.
pub fn in_flight() -> Vec<InFlight> {
    Domain::current().core().in_flight()
}

/// How many runs of the current domain found no room among those in flight since the start. They are
/// counted and judged like any other; only [`in_flight`] and the watchdog do not see them.
pub fn untracked() -> u64 {
    Domain::current().core().untracked()
}

/// A run that is going on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InFlight {
    /// The process that runs, or for which the stage runs.
    pub process: Option<&'static ProcessDefinition>,
    /// The stage, where a stage runs.
    pub stage: Option<&'static StageDefinition>,
    /// The id of the dependency, where it is a call to one.
    pub dependency: Option<&'static str>,
    /// How long it has been running.
    pub elapsed: Duration,
    /// Whether it is past its SLA.
    pub overdue: bool,
    /// Its business context, where some sink wanted it.
    pub context: Vec<(&'static str, String)>,
}

static EXPECTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// States which processes the program must have been linked with. [`validate`] tells of those missing.
pub fn expect<I>(ids: I)
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    lock(&EXPECTED).extend(ids.into_iter().map(Into::into));
}

/// Everything that is wrong with the registry as a whole; empty where nothing is. `after` is checked here, as
/// an order of declaration: nothing checks the order in which stages run. `depends_on` may name what is no
/// process, and is not checked.
pub fn validate() -> Vec<Finding> {
    let mut findings = Vec::new();
    let registry = registry();
    findings.extend(registry.unreadable.iter().map(|error| Finding::Unreadable { error: error.clone() }));
    findings.extend(registry.processes.chunk_by(|a, b| a.id() == b.id()).filter(|same| same.len() > 1).map(
        |same| Finding::DuplicateProcess {
            id: same[0].id().to_owned(),
            places: same.iter().map(|process| place(process.file(), process.line())).collect(),
        },
    ));
    findings.extend(
        registry
            .stages
            .chunk_by(|a, b| (a.process(), a.id()) == (b.process(), b.id()))
            .filter(|same| same.len() > 1)
            .map(|same| Finding::DuplicateStage {
                process: same[0].process().map(str::to_owned),
                stage: same[0].id().to_owned(),
                places: same.iter().map(|stage| place(stage.file(), stage.line())).collect(),
            }),
    );
    findings.extend(registry.stages.iter().filter_map(|stage| unknown_process_of(stage)));
    #[cfg(feature = "testing")]
    findings.extend(of_contracts());
    #[cfg(feature = "health")]
    findings.extend(of_checks());
    for process in &registry.processes {
        findings.extend(stage_order(process));
    }
    let expected = lock(&EXPECTED);
    findings.extend(expected.iter().filter(|id| process(id).is_none()).map(|id| Finding::NotLinked {
        id: id.clone(),
        nearest: nearest(id, all().map(|process| process.id())),
    }));
    findings
}

/// Something that is wrong with the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A record that cannot be decoded.
    Unreadable {
        /// What is wrong with it.
        error: String,
    },
    /// Two processes have one id.
    DuplicateProcess {
        /// The id.
        id: String,
        /// `file:line` of each.
        places: Vec<String>,
    },
    /// Two stages of one process have one id.
    DuplicateStage {
        /// The process; `None` for shared stages.
        process: Option<String>,
        /// The stage's id.
        stage: String,
        /// `file:line` of each.
        places: Vec<String>,
    },
    /// A stage of a process that is not registered.
    UnknownProcess {
        /// The stage's id.
        stage: String,
        /// The process that it names.
        process: String,
        /// What was perhaps meant.
        nearest: Option<&'static str>,
        /// `file:line` of the stage.
        place: String,
    },
    /// A contract of a process that is not registered.
    #[cfg(feature = "testing")]
    UnknownProcessOfContract {
        /// What it proves, in its one form: `error("card_declined")`.
        case: String,
        /// The process that it names.
        process: String,
        /// What was perhaps meant.
        nearest: Option<&'static str>,
        /// `file:line` of the test function.
        place: String,
    },
    /// Two checks of one process, or of one dependency.
    #[cfg(feature = "health")]
    DuplicateCheck {
        /// What they are checks of.
        target: CheckTarget,
        /// `file:line` of each.
        places: Vec<String>,
    },
    /// A health check of a process that is not registered.
    #[cfg(feature = "health")]
    UnknownProcessOfCheck {
        /// The process that it names.
        process: String,
        /// What was perhaps meant.
        nearest: Option<&'static str>,
        /// `file:line` of the check.
        place: String,
    },
    /// A check of a dependency that no process or stage declares.
    #[cfg(feature = "health")]
    UnknownDependencyOfCheck {
        /// The dependency that it names.
        dependency: String,
        /// What was perhaps meant.
        nearest: Option<&'static str>,
        /// `file:line` of the check.
        place: String,
    },
    /// A stage after one that its process does not have.
    UnknownStage {
        /// The process.
        process: String,
        /// The stage's id.
        stage: String,
        /// The stage that it names in `after`.
        after: String,
        /// `file:line` of the stage.
        place: String,
    },
    /// Stages that come after one another.
    StageCycle {
        /// The process.
        process: String,
        /// The stages that have no order.
        stages: Vec<String>,
        /// `file:line` of each.
        places: Vec<String>,
    },
    /// Stages, one after another, that may take longer than their process.
    StagesExceedSla {
        /// The process.
        process: String,
        /// Its SLA.
        sla: Duration,
        /// The sum of the stages' SLAs.
        sum: Duration,
        /// The stages, in order.
        stages: Vec<String>,
        /// `file:line` of the process, then of each stage.
        places: Vec<String>,
    },
    /// A process that was expected, and that the program was not linked with.
    NotLinked {
        /// The id.
        id: String,
        /// What was perhaps meant.
        nearest: Option<&'static str>,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = |nearest: &Option<&str>| match nearest {
            Some(nearest) => format!("; did you mean `{nearest}`?"),
            None => String::new(),
        };
        match self {
            Finding::Unreadable { error } => write!(f, "a record cannot be read: {error}"),
            Finding::DuplicateProcess { id, places } => {
                write!(f, "process `{id}` is defined more than once: at {}", places.join(" and at "))
            }
            Finding::DuplicateStage { process, stage, places } => {
                let of =
                    process.as_ref().map(|process| format!(" of process `{process}`")).unwrap_or_default();
                write!(f, "stage `{stage}`{of} is defined more than once: at {}", places.join(" and at "))
            }
            Finding::UnknownProcess { stage, process, nearest, place } => write!(
                f,
                "stage `{stage}` at {place} belongs to process `{process}`, which is not registered{}",
                mean(nearest)
            ),
            #[cfg(feature = "testing")]
            Finding::UnknownProcessOfContract { case, process, nearest, place } => write!(
                f,
                "contract `{case}` at {place} is of process `{process}`, which is not registered{}",
                mean(nearest)
            ),
            #[cfg(feature = "health")]
            Finding::DuplicateCheck { target, places } => {
                let what = match target {
                    CheckTarget::Process(_) => "process",
                    CheckTarget::Dependency(_) => "dependency",
                };
                write!(f, "{what} `{}` has more than one check: at {}", target.id(), places.join(" and at "))
            }
            #[cfg(feature = "health")]
            Finding::UnknownProcessOfCheck { process, nearest, place } => write!(
                f,
                "the health check at {place} is of process `{process}`, which is not registered{}",
                mean(nearest)
            ),
            #[cfg(feature = "health")]
            Finding::UnknownDependencyOfCheck { dependency, nearest, place } => write!(
                f,
                "the dependency check at {place} is of `{dependency}`, which no process or stage declares with \
                 `depends_on`{}",
                mean(nearest)
            ),
            Finding::UnknownStage { process, stage, after, place } => write!(
                f,
                "stage `{stage}` at {place} comes after `{after}`, which is no stage of process `{process}`"
            ),
            Finding::StageCycle { process, stages, places } => write!(
                f,
                "stages `{}` of process `{process}` come after one another: at {}",
                stages.join("`, `"),
                places.join(" and at ")
            ),
            Finding::StagesExceedSla { process, sla, sum, stages, places } => write!(
                f,
                "stages `{}` one after another may take {sum:?}, and process `{process}` only {sla:?}: at {}",
                stages.join("`, `"),
                places.join(" and at ")
            ),
            Finding::NotLinked { id, nearest } => write!(
                f,
                "process `{id}` is expected, and nothing of it was linked; name its crate in the source{}",
                mean(nearest)
            ),
        }
    }
}

fn place(file: &str, line: u32) -> String {
    format!("{file}:{line}")
}

fn unknown_process_of(stage: &StageDefinition) -> Option<Finding> {
    let named = stage.process()?;
    if process(named).is_some() {
        return None;
    }
    Some(Finding::UnknownProcess {
        stage: stage.id().to_owned(),
        process: named.to_owned(),
        nearest: nearest(named, all().map(|process| process.id())),
        place: place(stage.file(), stage.line()),
    })
}

/// What is wrong with the contracts of a test binary.
#[cfg(feature = "testing")]
fn of_contracts() -> impl Iterator<Item = Finding> {
    use crate::testing::{contracts, registered};

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
    unreadable.chain(of_no_process)
}

/// What is wrong with the checks of a program.
#[cfg(feature = "health")]
fn of_checks() -> Vec<Finding> {
    use crate::health::{checks, unreadable};

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
#[cfg(feature = "health")]
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

fn own_stages(process: &ProcessDefinition) -> Vec<&'static StageDefinition> {
    stages().filter(|stage| stage.process() == Some(process.id())).collect()
}

/// The stages of a process in order: repeatedly the first by id whose predecessors are all placed. Stages
/// in a cycle come last, by id.
pub(crate) fn stages_of(process: &ProcessDefinition) -> &[&'static StageDefinition] {
    process.stages.get_or_init(|| {
        let (mut ordered, stuck) = order(process);
        ordered.extend(stuck);
        ordered
    })
}

type Stages = Vec<&'static StageDefinition>;

/// The stages that can be ordered, and those that cannot.
fn order(process: &ProcessDefinition) -> (Stages, Stages) {
    let mut waiting = own_stages(process);
    let known: BTreeSet<&str> = waiting.iter().map(|stage| stage.id()).collect();
    let mut placed = BTreeSet::new();
    let mut ordered = Vec::new();
    let is_ready = |stage: &&StageDefinition, placed: &BTreeSet<&str>| {
        stage.after().iter().all(|after| placed.contains(after.as_str()) || !known.contains(after.as_str()))
    };
    while let Some(next) = waiting.iter().position(|stage| is_ready(stage, &placed)) {
        let stage = waiting.remove(next);
        placed.insert(stage.id());
        ordered.push(stage);
    }
    (ordered, waiting)
}

/// What is wrong with the order of a process's stages.
fn stage_order(process: &ProcessDefinition) -> Vec<Finding> {
    let (ordered, stuck) = order(process);
    let ids: BTreeSet<&str> = ordered.iter().chain(&stuck).map(|stage| stage.id()).collect();
    let mut findings = Vec::new();
    for stage in ordered.iter().chain(&stuck) {
        let unknown = stage.after().iter().filter(|after| !ids.contains(after.as_str()));
        findings.extend(unknown.map(|after| Finding::UnknownStage {
            process: process.id().to_owned(),
            stage: stage.id().to_owned(),
            after: after.clone(),
            place: place(stage.file(), stage.line()),
        }));
    }
    if !stuck.is_empty() {
        findings.push(Finding::StageCycle {
            process: process.id().to_owned(),
            stages: stuck.iter().map(|stage| stage.id().to_owned()).collect(),
            places: stuck.iter().map(|stage| place(stage.file(), stage.line())).collect(),
        });
    }
    let slowest = slowest_path(&ordered);
    let sum = slowest.iter().filter_map(|stage| stage.sla()).sum();
    if sum > process.sla() {
        let process_place = place(process.file(), process.line());
        let stage_places = slowest.iter().map(|stage| place(stage.file(), stage.line()));
        findings.push(Finding::StagesExceedSla {
            process: process.id().to_owned(),
            sla: process.sla(),
            sum,
            stages: slowest.iter().map(|stage| stage.id().to_owned()).collect(),
            places: std::iter::once(process_place).chain(stage_places).collect(),
        });
    }
    findings
}

/// Of stages in order, the chain of `after`s with the largest sum of SLAs.
fn slowest_path(ordered: &Stages) -> Stages {
    let mut paths: BTreeMap<&str, (Duration, Stages)> = BTreeMap::new();
    for stage in ordered {
        let before = stage.after().iter().filter_map(|after| paths.get(after.as_str()));
        let (sum, mut path) = before.max_by_key(|(sum, _)| *sum).cloned().unwrap_or_default();
        path.push(stage);
        paths.insert(stage.id(), (sum + stage.sla().unwrap_or_default(), path));
    }
    paths.into_values().max_by_key(|(sum, _)| *sum).map(|(_, path)| path).unwrap_or_default()
}
