//! Records: what an attribute declares, and the place of the function below it. [`crate::wire`] encodes them.

use crate::case::Case;
use crate::duration::{Millis, Sla};
use crate::grammar::{Criticality, ErrorText, Objective, Shape};
use crate::schedule::Freshness;

/// One record of the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the attribute declares. The hash covers all of it.
    pub declaration: Declaration,
    /// Where the function is. It can move without a change of the hash.
    pub place: Place,
}

/// The place of an annotated function.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Source file, as the compiler names it.
    pub file: String,
    /// Line of the function's name in that file; 0 if the compiler does not know it.
    pub line: u32,
    /// Path of the function.
    pub handler: String,
}

/// What an attribute declares, with the doc comment and the signature of its function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declaration {
    /// From `#[critical_process]`.
    Process(ProcessDeclaration),
    /// From `#[stage]`.
    Stage(StageDeclaration),
    /// From `#[contract]`.
    Contract(ContractDeclaration),
    /// From `#[health_check]` or `#[dependency_check]`.
    Check(CheckDeclaration),
}

impl Declaration {
    /// Returns the part that processes and stages share.
    pub fn common(&self) -> Option<&Common> {
        match self {
            Declaration::Process(process) => Some(&process.common),
            Declaration::Stage(stage) => Some(&stage.common),
            Declaration::Contract(_) | Declaration::Check(_) => None,
        }
    }

    /// Returns the record of this declaration at a place.
    pub fn at(self, place: Place) -> Record {
        Record { declaration: self, place }
    }
}

/// A critical process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessDeclaration {
    /// The part that it shares with stages.
    pub common: Common,
    /// Semantic version, as written.
    pub version: String,
    /// The longest that a good run may take.
    pub sla: Sla,
    /// How much harm its failure does.
    pub criticality: Criticality,
    /// The team to call.
    pub owner: Option<String>,
    /// Path or URL of the runbook.
    pub runbook: Option<String>,
    /// Percentage of runs that must be good.
    pub objective: Objective,
    /// Whether every cancellation counts against the objective (`cancelled = bad`).
    pub cancelled_is_bad: bool,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDeclaration {
    /// The part that it shares with processes.
    pub common: Common,
    /// Id of the process that it belongs to; `None` for a shared stage, which belongs to the run that encloses it.
    pub process: Option<String>,
    /// The longest that it may take, if declared.
    pub sla: Option<Sla>,
    /// Ids of the stages that must have ended before it starts.
    pub after: Vec<String>,
}

/// The part of a declaration that processes and stages share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// The id, unique among processes, or among the stages of one process.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The doc comment.
    pub description: String,
    /// The keys of business context, in the order written.
    pub context: Vec<ContextKey>,
    /// The `rejects` patterns as written.
    pub rejects: Vec<String>,
    /// The `fails` patterns as written.
    pub fails: Vec<String>,
    /// The `degraded` path as written.
    pub degraded: Option<String>,
    /// The `outcome` path as written.
    pub outcome: Option<String>,
    /// The `error_type` path as written.
    pub error_type: Option<String>,
    /// Where error text may go.
    pub error_text: ErrorText,
    /// Ids of its dependencies.
    pub depends_on: Vec<String>,
    /// The function's signature as written.
    pub signature: String,
    /// Whether a run is a call or a future.
    pub shape: Shape,
}

/// One declared key of business context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextKey {
    /// The key as it appears on spans and events.
    pub name: String,
    /// Where its value comes from.
    pub source: ContextSource,
}

/// The source of a context value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextSource {
    /// An argument or an expression, taken at entry.
    Entry,
    /// `inherit(…)`: an enclosing process or scope. This is documentation; nothing enforces it.
    Inherit,
    /// `later(…)`: `record!` inside the run.
    Later,
}

/// A contract: a test that proves one case of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractDeclaration {
    /// Id of the process.
    pub process: String,
    /// The case that the test proves.
    pub case: Case,
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckDeclaration {
    /// What it checks.
    pub target: CheckTarget,
    /// The longest that it may take: less than [`TIMEOUT_BOUND`](crate::schedule::TIMEOUT_BOUND).
    pub timeout: Millis,
    /// How long its answer is valid.
    pub freshness: Freshness,
}

/// The target of a check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckTarget {
    /// The process with this id, by `#[health_check]`.
    Process(String),
    /// The dependency with this id, by `#[dependency_check]`.
    Dependency(String),
}

impl CheckTarget {
    /// Returns the id.
    pub fn id(&self) -> &str {
        match self {
            CheckTarget::Process(id) | CheckTarget::Dependency(id) => id,
        }
    }

    /// Returns the timeout of a check without the key `timeout`: 10 s for a process, which runs for real, and 2 s for
    /// a dependency.
    pub const fn default_timeout(&self) -> Millis {
        match self {
            CheckTarget::Process(_) => Millis::seconds(10),
            CheckTarget::Dependency(_) => Millis::seconds(2),
        }
    }
}
