//! Captures the runs of a test with their spans, Sentry events and metrics, and checks them against expectations.
//! Code that starts runs, injects faults or decides whether a contract's case is proven does not belong here.

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
