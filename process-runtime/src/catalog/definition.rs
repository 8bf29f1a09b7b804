//! What the attributes said, and where. A definition is decoded from the very bytes that the binary
//! carries in its section, and lives as long as the program. One needs it to show or export what a service does: each
//! process with its owner, SLA, runbook and stages, from [`registry::all`](crate::registry::all).

use std::sync::OnceLock;
use std::time::Duration;

use process_model::wire::{DecodeError, Problem};
use process_model::{Common, ProcessRecord, Record, StageRecord};
pub use process_model::{ContextKey, ContextSource, Criticality, ErrorText, Objective};

/// A critical process, as `#[critical_process]` defined it.
#[derive(Debug)]
pub struct ProcessDefinition {
    record: ProcessRecord,
    hash: String,
    /// Filled by the registry, which knows all stages.
    pub(super) ordered_stages: OnceLock<Vec<&'static StageDefinition>>,
}

/// A stage, as `#[stage]` defined it.
#[derive(Debug)]
pub struct StageDefinition {
    record: StageRecord,
    hash: String,
}

macro_rules! common {
    () => {
        /// The id.
        pub fn id(&self) -> &str {
            &self.common().id
        }

        /// The name for people.
        pub fn name(&self) -> &str {
            &self.common().name
        }

        /// The doc comment.
        pub fn description(&self) -> &str {
            &self.common().description
        }

        /// Path of the function, with `handler = "…"` in place of its name where that was given.
        pub fn handler(&self) -> &str {
            &self.common().handler
        }

        /// The function's signature as written.
        pub fn signature(&self) -> &str {
            &self.common().signature
        }

        /// The source file, as the compiler names it.
        pub fn file(&self) -> &str {
            &self.common().file
        }

        /// The line of the function's name; 0 where the compiler would not tell.
        pub fn line(&self) -> u32 {
            self.common().line
        }

        /// The declared keys of business context, in the order written.
        pub fn context(&self) -> &[ContextKey] {
            &self.common().context
        }

        /// Ids of what it depends on.
        pub fn dependencies(&self) -> &[String] {
            &self.common().depends_on
        }

        /// The `rejects` patterns as written.
        pub fn rejects(&self) -> &[String] {
            &self.common().rejects
        }

        /// Where the text of its errors may go.
        pub fn error_text(&self) -> ErrorText {
            self.common().error_text
        }

        /// The identity of the definition: 32 hexadecimal digits over what the attribute, the doc comment
        /// and the signature say. It does not change when code moves.
        pub fn hash(&self) -> &str {
            &self.hash
        }

        pub(crate) fn common(&self) -> &Common {
            &self.record.common
        }
    };
}

impl ProcessDefinition {
    common!();

    /// Semantic version.
    pub fn version(&self) -> &str {
        &self.record.version
    }

    /// The longest a good run may take.
    pub fn sla(&self) -> Duration {
        self.record.sla.as_duration()
    }

    /// How much harm its failure does.
    pub fn criticality(&self) -> Criticality {
        self.record.criticality
    }

    /// The team to call.
    pub fn owner(&self) -> Option<&str> {
        self.record.owner.as_deref()
    }

    /// Path or URL of the runbook.
    pub fn runbook(&self) -> Option<&str> {
        self.record.runbook.as_deref()
    }

    /// Percent of runs that must be good.
    pub fn objective(&self) -> Objective {
        self.record.objective
    }

    /// Whether every cancellation counts against the objective, not only the late ones.
    pub fn cancelled_is_bad(&self) -> bool {
        self.record.cancelled_is_bad
    }

    /// The record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Record::Process(self.record.clone())
    }
}

impl StageDefinition {
    common!();

    /// The id of the process that it belongs to; `None` for a shared stage.
    pub fn process(&self) -> Option<&str> {
        self.record.process.as_deref()
    }

    /// The longest it may take, if it said so.
    pub fn sla(&self) -> Option<Duration> {
        self.record.sla.map(|sla| sla.as_duration())
    }

    /// Ids of the stages that come before it.
    pub fn after(&self) -> &[String] {
        &self.record.after
    }

    /// The record, which has a versioned wire form ([`process_model::wire`]).
    pub fn record(&self) -> Record {
        Record::Stage(self.record.clone())
    }
}

/// A dependency, as the first call to it made it known.
#[derive(Debug)]
pub(crate) struct DependencyDefinition(Common);

impl DependencyDefinition {
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }
}

/// What can run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Definition {
    Process(&'static ProcessDefinition),
    Stage(&'static StageDefinition),
    Dependency(&'static DependencyDefinition),
}

impl Definition {
    /// Keeps a decoded record for the rest of the program: there is one for each attribute, decoded once.
    ///
    /// # Errors
    /// For the record of a contract or a check, which is no definition of what runs.
    pub(crate) fn keep(record: Record) -> Result<Definition, DecodeError> {
        let hash = record.definition_hash();
        match record {
            Record::Process(record) => {
                let definition = ProcessDefinition { record, hash, ordered_stages: OnceLock::new() };
                Ok(Definition::Process(Box::leak(Box::new(definition))))
            }
            Record::Stage(record) => {
                Ok(Definition::Stage(Box::leak(Box::new(StageDefinition { record, hash }))))
            }
            Record::Contract(_) | Record::Check(_) => {
                Err(DecodeError { offset: 0, problem: Problem::Malformed("kind") })
            }
        }
    }

    /// A dependency, kept for the rest of the program.
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

    pub(crate) fn sla(&self) -> Option<Duration> {
        match self {
            Definition::Process(process) => Some(process.sla()),
            Definition::Stage(stage) => stage.sla(),
            Definition::Dependency(_) => None,
        }
    }
}
