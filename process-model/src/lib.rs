//! A critical process as data: the grammar of its attribute, the record that the attribute leaves in the binary, and
//! the arithmetic of its objective.
//!
//! The macros, the runtime and the command line share this crate. Therefore the runtime and the command line can read
//! every value that the macros accept. Tokens, tracing and Sentry do not belong here.

pub mod case;
pub mod duration;
pub mod grammar;
pub mod nearest;
pub mod outcome;
pub mod record;
pub mod schedule;
pub mod wire;

pub use case::Case;
pub use duration::{Millis, Sla};
pub use grammar::{Criticality, ErrorText, GrammarError, Objective, Shape};
pub use nearest::nearest;
pub use outcome::Outcome;
pub use record::{
    CheckDeclaration, CheckTarget, Common, ContextKey, ContextSource, ContractDeclaration, Declaration,
    Place, ProcessDeclaration, Record, StageDeclaration,
};
pub use schedule::Freshness;
pub use wire::{DecodeError, SectionFrame};
