//! The content of the binary: definitions, the records that hold them, and the registry that finds them. Nothing that
//! changes while the program runs may go in here.

pub mod definition;
pub(crate) mod findings;
pub(crate) mod linked;
pub(crate) mod registry;
mod stage_order;
