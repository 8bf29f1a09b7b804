//! The static catalogue: every process and stage that the program was linked with, in order. What runs now is in
//! `install::live`, and what is wrong with the whole in [`findings`](super::findings).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use process_model::nearest;

use super::definition::{ProcessDefinition, Runnable, StageDefinition};
use super::linked::Catalogue;

pub(super) struct Registry {
    pub(super) processes: Vec<&'static ProcessDefinition>,
    pub(super) stages: Vec<&'static StageDefinition>,
    pub(super) unreadable: Vec<String>,
}

pub(super) fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let Catalogue { definitions, unreadable } = Catalogue::<Runnable>::collect();
        let mut registry = Registry { processes: Vec::new(), stages: Vec::new(), unreadable };
        for runnable in definitions {
            match runnable {
                Runnable::Process(process) => registry.processes.push(process),
                Runnable::Stage(stage) => registry.stages.push(stage),
            }
        }
        registry
    })
}

/// Returns every process, sorted by id.
pub fn all() -> impl ExactSizeIterator<Item = &'static ProcessDefinition> {
    registry().processes.iter().copied()
}

/// Returns every stage: shared ones first, then by process and id.
pub fn stages() -> impl ExactSizeIterator<Item = &'static StageDefinition> {
    registry().stages.iter().copied()
}

/// Returns the process with this id.
///
/// # Errors
/// [`UnknownProcess`] with the nearest id, if no process has this one.
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
    /// The requested id.
    pub id: String,
    /// The most similar id.
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

fn own_stages(process: &ProcessDefinition) -> Vec<&'static StageDefinition> {
    stages().filter(|stage| stage.process() == Some(process.id())).collect()
}

impl ProcessDefinition {
    /// Returns the stages, each after those that it names in `after`, otherwise by id. Stages that come after one
    /// another in a cycle are last.
    pub fn stages(&self) -> &[&'static StageDefinition] {
        self.ordered_stages.get_or_init(|| {
            let (mut ordered, stuck) = order(self);
            ordered.extend(stuck);
            ordered
        })
    }

    /// Whether the process, one of its stages or a shared stage declares this dependency.
    pub(crate) fn declares(&self, dependency: &str) -> bool {
        let shared = stages().filter(|stage| stage.process().is_none());
        let stages = self.stages().iter().copied().chain(shared).flat_map(|stage| stage.dependencies());
        self.dependencies().iter().chain(stages).any(|declared| declared == dependency)
    }
}
pub(super) type Stages = Vec<&'static StageDefinition>;

/// The stages that can be ordered, and those that cannot.
pub(super) fn order(process: &ProcessDefinition) -> (Stages, Stages) {
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
