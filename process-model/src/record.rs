//! The content of records. An attribute leaves a record in the binary: what the attribute declares, and the place of
//! the function below it. [`crate::wire`] encodes and decodes records.

use crate::case::Case;
use crate::duration::{Millis, Sla};
use crate::grammar::{Criticality, ErrorText, Objective, Shape};
use crate::schedule::Freshness;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the attribute declares. The hash of the definition covers the whole declaration.
    pub declaration: Declaration,
    /// Where the function is. The hash does not cover the place, so the function can move without a change of the
    /// hash.
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

/// What an attribute declares. For a process or a stage this includes the doc comment and the signature of the
/// function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declaration {
    /// A process, declared by `#[critical_process]`.
    Process(ProcessDeclaration),
    /// A stage, declared by `#[stage]`.
    Stage(StageDeclaration),
    /// A contract, declared by `#[contract]`.
    Contract(ContractDeclaration),
    /// A check, declared by `#[health_check]` or `#[dependency_check]`.
    Check(CheckDeclaration),
}

impl Declaration {
    /// Returns the part that processes and stages share, or `None` for a contract or a check.
    pub fn common(&self) -> Option<&Common> {
        match self {
            Declaration::Process(process) => Some(&process.common),
            Declaration::Stage(stage) => Some(&stage.common),
            Declaration::Contract(_) | Declaration::Check(_) => None,
        }
    }

    /// Creates the record of this declaration for a function at this place.
    pub fn at(self, place: Place) -> Record {
        Record { declaration: self, place }
    }
}

/// A critical process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessDeclaration {
    /// The part that a process shares with stages.
    pub common: Common,
    /// Semantic version, as written.
    pub version: String,
    /// The longest time that a good run may take.
    pub sla: Sla,
    /// The harm that a failure of the process does.
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
    /// The part that a stage shares with processes.
    pub common: Common,
    /// Id of the process that the stage belongs to. `None` for a shared stage: each of its runs belongs to the
    /// process whose run encloses it.
    pub process: Option<String>,
    /// The longest time that the stage may take, if declared.
    pub sla: Option<Sla>,
    /// Ids of the stages that must have ended before this one starts.
    pub after: Vec<String>,
}

/// The part of a declaration that processes and stages share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// The id. It is unique among processes, or among the stages of one process.
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
    /// Ids of the dependencies.
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
    /// Where the value comes from.
    pub source: ContextSource,
}

/// The source of a context value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextSource {
    /// An argument or an expression, which is evaluated before the body runs.
    Entry,
    /// `inherit(…)`: an enclosing run or scope. The declaration is documentation; nothing checks that the run
    /// inherits a value.
    Inherit,
    /// `later(…)`: a call of `record!` inside the run.
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
    /// The process or dependency that the check is for.
    pub target: CheckTarget,
    /// The longest time that the check may take. It is less than [`TIMEOUT_BOUND`](crate::schedule::TIMEOUT_BOUND).
    pub timeout: Millis,
    /// How often the check runs, or how long its answer is valid.
    pub freshness: Freshness,
}

/// The target of a check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckTarget {
    /// The process with this id. The attribute is `#[health_check]`.
    Process(String),
    /// The dependency with this id. The attribute is `#[dependency_check]`.
    Dependency(String),
}

impl CheckTarget {
    /// Returns the id of the process or dependency.
    pub fn id(&self) -> &str {
        match self {
            CheckTarget::Process(id) | CheckTarget::Dependency(id) => id,
        }
    }

    /// Returns the timeout of a check that declares none. It is 10 s for a process, because the check runs the
    /// process, and 2 s for a dependency.
    pub const fn default_timeout(&self) -> Millis {
        match self {
            CheckTarget::Process(_) => Millis::seconds(10),
            CheckTarget::Dependency(_) => Millis::seconds(2),
        }
    }
}
