//! The contract that a test is, while it runs: what it observes is weighed against its case.

use super::observation::Observation;

/// A test has observed this.
pub(super) fn observed<T>(observation: &Observation<T>) {
    let _ = observation;
}

/// The process that the contract is of.
pub(super) fn process() -> Option<&'static str> {
    None
}
