//! The definitions of processes and stages, with their places in the source. A definition is decoded from the record
//! that the attribute leaves in a section of the binary, and exists until the program ends.
//!
//! Use this module to show or export the processes of a service. [`registry::all`](crate::registry::all) returns each
//! process with its owner, SLA, runbook and stages. Other functions of [`registry`](crate::registry) return
//! statistics ([`stats`](crate::stats)) and the runs in flight.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use process_model::{Common, Declaration, Place, ProcessDeclaration, Record, StageDeclaration};
pub use process_model::{ContextKey, ContextSource, Criticality, ErrorText, Objective, Shape};

use super::linked::{Defined, Entry};

/// A critical process, as `#[critical_process]` defines it.
#[derive(Debug)]
pub struct ProcessDefinition {
    declaration: ProcessDeclaration,
    place: Place,
    hash: String,
    returned_future: AtomicBool,
    /// The ordered stages. The first call of [`ProcessDefinition::stages`] computes them.
    pub(super) ordered_stages: OnceLock<Vec<&'static StageDefinition>>,
}

/// A stage, as `#[stage]` defines it.
#[derive(Debug)]
pub struct StageDefinition {
    declaration: StageDeclaration,
    place: Place,
    hash: String,
    returned_future: AtomicBool,
}

macro_rules! common {
    () => {
        /// Returns the id.
        pub fn id(&self) -> &str {
            &self.common().id
        }

        /// Returns the name to show to people. If the attribute declares no name, the name is derived from the id.
        pub fn name(&self) -> &str {
            &self.common().name
        }

        /// Returns the doc comment of the function; empty if there is none.
        pub fn description(&self) -> &str {
            &self.common().description
        }

        /// Returns the path of the function: its module, then the text of `handler = "…"`. If the attribute does not
        /// have this key, the path ends with the name of the function.
        pub fn handler(&self) -> &str {
            &self.place.handler
        }

        /// Returns the function's signature as written.
        pub fn signature(&self) -> &str {
            &self.common().signature
        }

        /// Returns the source file, as the compiler names it.
        pub fn file(&self) -> &str {
            &self.place.file
        }

        /// Returns the line of the function's name; 0 if the line is not known.
        pub fn line(&self) -> u32 {
            self.place.line
        }

        /// Returns the declared keys of business context, in the order written.
        pub fn context(&self) -> &[ContextKey] {
            &self.common().context
        }

        /// Returns the ids of the declared dependencies.
        pub fn dependencies(&self) -> &[String] {
            &self.common().depends_on
        }

        /// Returns the `rejects` patterns as written.
        pub fn rejects(&self) -> &[String] {
            &self.common().rejects
        }

        /// Returns which destinations may receive the text of errors that the function returns.
        pub fn error_text(&self) -> ErrorText {
            self.common().error_text
        }

        /// Returns the hash of the definition: 32 hexadecimal digits, computed from the attribute (except `handler`),
        /// the doc comment and the signature. Moving the function does not change the hash.
        pub fn hash(&self) -> &str {
            &self.hash
        }

        pub(crate) fn common(&self) -> &Common {
            &self.declaration.common
        }

        /// Returns whether a run is a call of the function, or the execution of the future that the call returns.
        ///
        /// [`Shape::ByType`] means that the return type may be an alias of a boxed future, and that the function has
        /// not returned a future yet.
        pub fn shape(&self) -> Shape {
            match self.common().shape {
                Shape::ByType if self.returned_future.load(Ordering::Relaxed) => Shape::Awaited,
                shape => shape,
            }
        }

        /// Records that the function returns a future although its signature does not show it.
        pub(crate) fn note_future(&self) {
            // The flag changes only once. If every run stored it, threads would contend for its cache line.
            if !self.returned_future.load(Ordering::Relaxed) {
                self.returned_future.store(true, Ordering::Relaxed);
            }
        }
    };
}

impl ProcessDefinition {
    common!();

    /// Returns the semantic version.
    pub fn version(&self) -> &str {
        &self.declaration.version
    }

    /// Returns the SLA, which is the maximum duration of a run that is on time.
    pub fn sla(&self) -> Duration {
        self.declaration.sla.as_duration()
    }

    /// Returns the criticality, which states how much harm a failure of the process does.
    pub fn criticality(&self) -> Criticality {
        self.declaration.criticality
    }

    /// Returns the team that is responsible for the process; `None` if no owner is declared.
    pub fn owner(&self) -> Option<&str> {
        self.declaration.owner.as_deref()
    }

    /// Returns the path or URL of the runbook; `None` if no runbook is declared.
    pub fn runbook(&self) -> Option<&str> {
        self.declaration.runbook.as_deref()
    }

    /// Returns the objective: the percentage of runs that must be good. A good run is on time and has the outcome
    /// success or degraded. The percentage is computed without rejected runs.
    pub fn objective(&self) -> Objective {
        self.declaration.objective
    }

    /// Returns whether every cancelled run counts against the objective. If `false`, only late cancelled runs count
    /// against it.
    pub fn cancelled_is_bad(&self) -> bool {
        self.declaration.cancelled_is_bad
    }

    /// Returns the record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Declaration::Process(self.declaration.clone()).at(self.place.clone())
    }
}

impl StageDefinition {
    common!();

    /// Returns the id of the process that the stage belongs to; `None` for a shared stage.
    pub fn process(&self) -> Option<&str> {
        self.declaration.process.as_deref()
    }

    /// Returns the SLA, which is the maximum duration of a run that is on time; `None` if no SLA is declared.
    pub fn sla(&self) -> Option<Duration> {
        self.declaration.sla.map(|sla| sla.as_duration())
    }

    /// Returns the ids in `after`, which name the stages that must have ended before this stage starts.
    pub fn after(&self) -> &[String] {
        &self.declaration.after
    }

    /// Returns the record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Declaration::Stage(self.declaration.clone()).at(self.place.clone())
    }
}

/// The definition of a dependency. A dependency has no attribute. The first call to a dependency from each process
/// creates a definition for the calls of this process.
#[derive(Debug)]
pub(crate) struct DependencyDefinition(Common);

impl DependencyDefinition {
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }
}

/// The definition of an annotated function: a process or a stage.
#[derive(Debug)]
pub enum Runnable {
    /// A process.
    Process(ProcessDefinition),
    /// A stage.
    Stage(StageDefinition),
}

inventory::collect!(Entry<Runnable>);

impl Defined for Runnable {
    type With = ();

    fn define(Record { declaration, place }: Record, (): ()) -> Option<Runnable> {
        let hash = declaration.hash();
        let returned_future = AtomicBool::new(false);
        match declaration {
            Declaration::Process(declaration) => Some(Runnable::Process(ProcessDefinition {
                declaration,
                place,
                hash,
                returned_future,
                ordered_stages: OnceLock::new(),
            })),
            Declaration::Stage(declaration) => {
                Some(Runnable::Stage(StageDefinition { declaration, place, hash, returned_future }))
            }
            Declaration::Contract(_) | Declaration::Check(_) => None,
        }
    }

    fn order(&self) -> impl Ord + '_ {
        match self {
            Runnable::Process(process) => (None, process.id(), &process.place),
            Runnable::Stage(stage) => (Some(stage.process()), stage.id(), &stage.place),
        }
    }
}

/// The definition of a process, a stage or a dependency.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Definition {
    Process(&'static ProcessDefinition),
    Stage(&'static StageDefinition),
    Dependency(&'static DependencyDefinition),
}

impl From<&'static Runnable> for Definition {
    fn from(runnable: &'static Runnable) -> Definition {
        match runnable {
            Runnable::Process(process) => Definition::Process(process),
            Runnable::Stage(stage) => Definition::Stage(stage),
        }
    }
}

impl Definition {
    /// Creates the definition of a dependency. The definition exists until the program ends.
    pub(crate) fn dependency(id: &str) -> Definition {
        let common = Common { id: id.to_owned(), ..Common::default() };
        Definition::Dependency(Box::leak(Box::new(DependencyDefinition(common))))
    }

    pub(crate) fn common(&self) -> &'static Common {
        match self {
            Definition::Process(process) => process.common(),
            Definition::Stage(stage) => stage.common(),
            Definition::Dependency(dependency) => &dependency.0,
        }
    }

    /// Returns the place of the function in the source; `None` for a dependency, which is not a function.
    #[cfg(feature = "tracing")]
    pub(crate) fn place(&self) -> Option<&'static Place> {
        match self {
            Definition::Process(process) => Some(&process.place),
            Definition::Stage(stage) => Some(&stage.place),
            Definition::Dependency(_) => None,
        }
    }

    pub(crate) fn sla(&self) -> Option<Duration> {
        match self {
            Definition::Process(process) => Some(process.sla()),
            Definition::Stage(stage) => stage.sla(),
            Definition::Dependency(_) => None,
        }
    }

    /// Records that the function returns a future although its signature does not show it.
    pub(crate) fn note_future(&self) {
        match self {
            Definition::Process(process) => process.note_future(),
            Definition::Stage(stage) => stage.note_future(),
            Definition::Dependency(_) => {}
        }
    }
}
