//! Shows which cases of each process are proven. A contract writes evidence, and a policy defines which cases are
//! required. The matrix compares the evidence with the policy, a report prints the matrix, and the gate fails a test
//! while a case is open. Observing runs and injecting faults do not belong here.

mod case;
pub(crate) mod contracted;
pub(in crate::testing) mod date;
pub mod evidence;
mod findings;
pub(in crate::testing) mod gate;
pub mod matrix;
pub mod policy;
pub(in crate::testing) mod problem;
pub(crate) mod registered;
pub mod report;
