//! The annotated functions that the binary contains. Each of them leaves a record in the binary, a definition is
//! decoded from the record, and the registry lists the definitions. Statistics and runs do not belong here.

pub mod definition;
pub(crate) mod findings;
pub(crate) mod linked;
pub(crate) mod registry;
mod stage_order;
