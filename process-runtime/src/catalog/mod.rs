//! What the binary contains: definitions, the records that hold them, and the registry that finds them. Nothing here
//! runs.

pub mod definition;
pub(crate) mod findings;
pub(crate) mod linked;
pub(crate) mod registry;
mod stage_order;
