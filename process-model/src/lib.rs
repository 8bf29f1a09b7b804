//! What a critical process *is*, as data: the grammar of its attribute, the record it leaves in the
//! binary, and the arithmetic of its objective.
//!
//! The macro, the runtime and the command line share this crate, so a value that the macro accepts is
//! one that the others can read. Nothing here knows tokens, tracing or Sentry.

pub mod check;
pub mod contract;
pub mod grammar;
pub mod nearest;
pub mod outcome;
pub mod record;
pub mod wire;

pub use check::{CheckRecord, CheckTarget, Freshness};
pub use contract::{Case, ContractRecord};
pub use grammar::{Criticality, ErrorText, GrammarError, Objective, Sla};
pub use nearest::nearest;
pub use outcome::Outcome;
pub use record::{Common, ContextKey, ContextSource, ProcessRecord, Record, StageRecord};
pub use wire::{DecodeError, SectionFrame};
