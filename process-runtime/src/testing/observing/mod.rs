//! Observes runs of a test: what is kept of each, and what a test can expect of it. Nothing here judges a contract.

#[cfg(feature = "sentry")]
pub(in crate::testing) mod events;
pub(in crate::testing) mod expect;
#[cfg(feature = "metrics")]
pub(in crate::testing) mod metrics;
pub(in crate::testing) mod missing;
pub(in crate::testing) mod observation;
pub(in crate::testing) mod observe;
#[cfg(feature = "tracing")]
pub(in crate::testing) mod spans;
pub(in crate::testing) mod witness;
