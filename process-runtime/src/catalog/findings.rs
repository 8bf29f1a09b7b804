//! The validation of the registry as a whole. It finds duplicate ids, references to ids that do not exist, cycles in
//! the order of stages, SLAs of stages that exceed the SLA of their process, and missing processes. A feature that
//! has records of its own validates these records itself, and submits a [`FindingsOfFeature`]. The rules of a feature
//! do not belong here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use process_model::{CheckTarget, nearest};

use super::definition::{ProcessDefinition, StageDefinition};
use super::registry::{all, own_stages, process, registry};
use super::stage_order::{order, slowest_path};
use crate::base::lock::lock;

/// A function that validates the records of one feature. The feature submits it to `inventory`.
pub(crate) struct FindingsOfFeature(pub(crate) fn() -> Vec<Finding>);

inventory::collect!(FindingsOfFeature);

static EXPECTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Declares processes that the program must contain. [`validate`] reports those that are missing.
pub fn expect<I>(ids: I)
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    // The iterator is foreign code, so it runs before the lock is taken.
    let ids: Vec<String> = ids.into_iter().map(Into::into).collect();
    lock(&EXPECTED).extend(ids);
}

/// Checks the registry as a whole and returns all errors.
///
/// The `after` keys of the stages must not form a cycle. This function does not check the order in which stages
/// really run. The ids in `depends_on` are not checked, because a dependency may be something other than a process.
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
    findings.extend(inventory::iter::<FindingsOfFeature>.into_iter().flat_map(|feature| (feature.0)()));
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

/// An error in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A record cannot be decoded.
    Unreadable {
        /// The error of the decoder.
        error: String,
    },
    /// Several processes have the same id.
    DuplicateProcess {
        /// The id.
        id: String,
        /// `file:line` of each process.
        places: Vec<String>,
    },
    /// Several stages of a process have the same id.
    DuplicateStage {
        /// The id of the process; `None` for shared stages.
        process: Option<String>,
        /// The stage's id.
        stage: String,
        /// `file:line` of each stage.
        places: Vec<String>,
    },
    /// A stage belongs to a process that is not registered.
    UnknownProcess {
        /// The stage's id.
        stage: String,
        /// The id of the process that the stage names.
        process: String,
        /// The most similar id; `None` if no id is similar enough.
        nearest: Option<&'static str>,
        /// `file:line` of the stage.
        place: String,
    },
    /// A contract belongs to a process that is not registered.
    UnknownProcessOfContract {
        /// The case that the contract proves, as text, for example `error("card_declined")`.
        case: String,
        /// The id of the process that the contract names.
        process: String,
        /// The most similar id; `None` if no id is similar enough.
        nearest: Option<&'static str>,
        /// `file:line` of the test function.
        place: String,
    },
    /// A process or a dependency has several checks.
    DuplicateCheck {
        /// The process or dependency that is checked.
        target: CheckTarget,
        /// `file:line` of each check.
        places: Vec<String>,
    },
    /// A health check belongs to a process that is not registered.
    UnknownProcessOfCheck {
        /// The id of the process that the check names.
        process: String,
        /// The most similar id; `None` if no id is similar enough.
        nearest: Option<&'static str>,
        /// `file:line` of the check.
        place: String,
    },
    /// A check belongs to a dependency that no process or stage declares.
    UnknownDependencyOfCheck {
        /// The id of the dependency that the check names.
        dependency: String,
        /// The most similar id; `None` if no id is similar enough.
        nearest: Option<&'static str>,
        /// `file:line` of the check.
        place: String,
    },
    /// Readiness requires a process that has no health check. The runs of clients never make readiness fail, so
    /// nothing does.
    RequiredWithoutCheck {
        /// The id of the process.
        process: String,
        /// `file:line` of the process.
        place: String,
    },
    /// A stage names an id in `after`, but no stage of its process has this id.
    UnknownStage {
        /// The id of the process.
        process: String,
        /// The id of the stage with the `after` key.
        stage: String,
        /// The id in `after` that no stage of the process has.
        after: String,
        /// `file:line` of the stage.
        place: String,
    },
    /// The `after` keys of stages form a cycle.
    StageCycle {
        /// The id of the process.
        process: String,
        /// The ids of the stages in the cycle, and of the stages that follow them.
        stages: Vec<String>,
        /// `file:line` of each stage.
        places: Vec<String>,
    },
    /// The SLAs of stages that run one after another add up to more than the SLA of their process.
    StagesExceedSla {
        /// The id of the process.
        process: String,
        /// The SLA of the process.
        sla: Duration,
        /// The sum of the stages' SLAs.
        sum: Duration,
        /// The ids of the stages, in order.
        stages: Vec<String>,
        /// `file:line` of the process, then of each stage.
        places: Vec<String>,
    },
    /// A process that [`expect()`] declares is not in the program.
    NotLinked {
        /// The id.
        id: String,
        /// The most similar id; `None` if no id is similar enough.
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
            Finding::Unreadable { error } => write!(f, "a record in this binary cannot be read: {error}"),
            Finding::DuplicateProcess { id, places } => {
                write!(
                    f,
                    "process `{id}` is defined more than once; give each definition an id of its own: at {}",
                    places.join(" and at ")
                )
            }
            Finding::DuplicateStage { process, stage, places } => {
                let of =
                    process.as_ref().map(|process| format!(" of process `{process}`")).unwrap_or_default();
                write!(
                    f,
                    "stage `{stage}`{of} is defined more than once; give each definition an id of its own: at {}",
                    places.join(" and at ")
                )
            }
            Finding::UnknownProcess { stage, process, nearest, place } => write!(
                f,
                "stage `{stage}` at {place} belongs to process `{process}`, which is not registered{}",
                mean(nearest)
            ),
            Finding::UnknownProcessOfContract { case, process, nearest, place } => write!(
                f,
                "contract `{case}` at {place} belongs to process `{process}`, which is not registered{}",
                mean(nearest)
            ),
            Finding::DuplicateCheck { target, places } => {
                let what = match target {
                    CheckTarget::Process(_) => "process",
                    CheckTarget::Dependency(_) => "dependency",
                };
                write!(f, "{what} `{}` has more than one check: at {}", target.id(), places.join(" and at "))
            }
            Finding::UnknownProcessOfCheck { process, nearest, place } => write!(
                f,
                "the health check at {place} belongs to process `{process}`, which is not registered{}",
                mean(nearest)
            ),
            Finding::UnknownDependencyOfCheck { dependency, nearest, place } => write!(
                f,
                "the dependency check at {place} belongs to `{dependency}`, which no process or stage declares with \
                 `depends_on`{}",
                mean(nearest)
            ),
            Finding::RequiredWithoutCheck { process, place } => write!(
                f,
                "readiness requires process `{process}` at {place}, which has no health check, so it can never make \
                 readiness fail; write a `#[health_check]` for it, or remove it from `health::Setup::require`"
            ),
            Finding::UnknownStage { process, stage, after, place } => write!(
                f,
                "stage `{stage}` at {place} names `{after}` in `after`, which is not a stage of process `{process}`"
            ),
            Finding::StageCycle { process, stages, places } => write!(
                f,
                "stages `{}` of process `{process}` cannot be ordered, because their `after` keys form a cycle; remove one \
                 of the keys: at {}",
                stages.join("`, `"),
                places.join(" and at ")
            ),
            Finding::StagesExceedSla { process, sla, sum, stages, places } => write!(
                f,
                "the SLAs of stages `{}`, which run one after another, add up to {sum:?}, but the SLA of process `{process}` \
                 is {sla:?}: at {}",
                stages.join("`, `"),
                places.join(" and at ")
            ),
            Finding::NotLinked { id, nearest } => write!(
                f,
                "process `{id}` is expected but not registered; correct the id, or link its crate with `use the_crate as _;`{}",
                mean(nearest)
            ),
        }
    }
}

pub(crate) fn place(file: &str, line: u32) -> String {
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

/// Returns the errors in the `after` keys and the SLAs of the stages of a process.
fn stage_order(process: &ProcessDefinition) -> Vec<Finding> {
    let (ordered, stuck) = order(own_stages(process));
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
