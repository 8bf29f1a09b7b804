//! What the binary contains: definitions, and the registry that finds them. Nothing here runs.

pub mod definition;
pub mod registry;
