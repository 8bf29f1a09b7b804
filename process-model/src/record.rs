//! The records that attributes leave behind: what was said, and where. Their encoding is in [`crate::wire`].

use crate::check::CheckRecord;
use crate::contract::ContractRecord;
use crate::grammar::{Criticality, ErrorText, Objective, Sla};

/// One record of the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// From `#[critical_process]`.
    Process(ProcessRecord),
    /// From `#[stage]`.
    Stage(StageRecord),
    /// From `#[contract]`.
    Contract(ContractRecord),
    /// From `#[health_check]` or `#[dependency_check]`.
    Check(CheckRecord),
}

impl Record {
    /// What processes and stages have in common, where this is either.
    pub fn common(&self) -> Option<&Common> {
        match self {
            Record::Process(process) => Some(&process.common),
            Record::Stage(stage) => Some(&stage.common),
            Record::Contract(_) | Record::Check(_) => None,
        }
    }
}

/// A critical process as its attribute said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRecord {
    /// What it shares with a stage.
    pub common: Common,
    /// Semantic version, as written.
    pub version: String,
    /// The longest a good run may take.
    pub sla: Sla,
    /// How much harm its failure does.
    pub criticality: Criticality,
    /// The team to call.
    pub owner: Option<String>,
    /// Path or URL of the runbook.
    pub runbook: Option<String>,
    /// Percent of runs that must be good.
    pub objective: Objective,
    /// Whether every cancellation counts against the objective (`cancelled = bad`).
    pub cancelled_is_bad: bool,
}

/// A stage as its attribute said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRecord {
    /// What it shares with a process.
    pub common: Common,
    /// The process it belongs to; `None` for a shared stage, which belongs to the run that encloses it.
    pub process: Option<String>,
    /// The longest it may take, if it said so.
    pub sla: Option<Sla>,
    /// Ids of the stages that must have ended before it starts.
    pub after: Vec<String>,
}

/// What a process and a stage both say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// The id, unique among processes, or among the stages of one process.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The doc comment.
    pub description: String,
    /// The business context it declares, in the order written.
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
    /// Ids of what it depends on.
    pub depends_on: Vec<String>,
    /// The function's signature as written.
    pub signature: String,
    /// Path of the function.
    pub handler: String,
    /// Source file, as the compiler names it.
    pub file: String,
    /// Line of the function's name in that file; 0 where the compiler would not tell.
    pub line: u32,
}

/// One declared key of business context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextKey {
    /// The key as it appears on spans and events.
    pub name: String,
    /// Where its value comes from.
    pub source: ContextSource,
}

/// Where a context value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextSource {
    /// An argument or an expression, taken at entry.
    Entry,
    /// `inherit(…)`: an enclosing process or scope, which is stated and not enforced.
    Inherit,
    /// `later(…)`: `record!` inside the run.
    Later,
}
