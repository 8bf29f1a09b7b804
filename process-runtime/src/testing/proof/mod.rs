//! What is proven of each process: contracts, the evidence that they leave, the policy that says what is required, and
//! the matrix, reports and gate that compare the two. How a run is observed or broken is not decided here.

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
