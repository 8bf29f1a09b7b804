//! What is captured of the runs of a test, and what a test can expect of it. How a run is started or broken, and which
//! case it proves, is not decided here.

pub(in crate::testing) mod capture;
#[cfg(feature = "sentry")]
pub(in crate::testing) mod events;
pub(in crate::testing) mod expect;
#[cfg(feature = "metrics")]
pub(in crate::testing) mod metrics;
pub(in crate::testing) mod missing;
pub(in crate::testing) mod observation;
#[cfg(feature = "tracing")]
pub(in crate::testing) mod spans;
pub(in crate::testing) mod witness;
