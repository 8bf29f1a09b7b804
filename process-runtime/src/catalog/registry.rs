//! The registry, a sorted list of all processes and stages in the program. Statistics and runs in flight belong to
//! `install::live`, and validation belongs to [`findings`](super::findings).

use std::fmt;
use std::sync::OnceLock;

use process_model::nearest;

use super::definition::{ProcessDefinition, Runnable, StageDefinition};
use super::linked::Catalogue;
use super::stage_order::{Stages, order};

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

/// Returns every stage. Shared stages, which name no process, come first, sorted by id. The other stages follow,
/// sorted by the id of their process and then by their own id.
pub fn stages() -> impl ExactSizeIterator<Item = &'static StageDefinition> {
    registry().stages.iter().copied()
}

/// Returns the process with this id.
///
/// # Errors
/// Returns [`UnknownProcess`], which contains the most similar id, if no process has this id.
pub fn get(id: &str) -> Result<&'static ProcessDefinition, UnknownProcess> {
    process(id).ok_or_else(|| UnknownProcess {
        id: id.to_owned(),
        nearest: nearest(id, all().map(|process| process.id())),
    })
}

pub(crate) fn process(id: &str) -> Option<&'static ProcessDefinition> {
    all().find(|process| process.id() == id)
}

/// The error of a look-up by an id that no process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProcess {
    /// The requested id.
    pub id: String,
    /// The most similar id; `None` if no id is similar enough.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for UnknownProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no process `{}` is registered", self.id)?;
        match self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None if registry().processes.is_empty() => write!(f, "; the program contains no processes"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownProcess {}

pub(super) fn own_stages(process: &ProcessDefinition) -> Stages {
    stages().filter(|stage| stage.process() == Some(process.id())).collect()
}

impl ProcessDefinition {
    /// Returns the stages of the process in order, without shared stages. A stage comes after every stage that it
    /// names in `after`. If this rule allows several stages to come next, the one with the smallest id does. If the
    /// `after` keys form a cycle, the stages in the cycle and the stages that follow them come last.
    pub fn stages(&self) -> &[&'static StageDefinition] {
        self.ordered_stages.get_or_init(|| {
            let (mut ordered, stuck) = order(own_stages(self));
            ordered.extend(stuck);
            ordered
        })
    }

    /// Returns whether the process, one of its stages or a shared stage declares this dependency.
    pub(crate) fn declares(&self, dependency: &str) -> bool {
        let shared = stages().filter(|stage| stage.process().is_none());
        let stages = self.stages().iter().copied().chain(shared).flat_map(|stage| stage.dependencies());
        self.dependencies().iter().chain(stages).any(|declared| declared == dependency)
    }
}
