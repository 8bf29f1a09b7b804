//! The parts of which a run consists, and the run that a thread is in. `instrument::execution` puts the parts together:
//! its `Run` begins and ends a run. All features share this code, so the implementation of a single feature does not
//! belong here. Destinations, and the reports that they receive, belong to `observe`.

pub(crate) mod carrier;
pub(crate) mod context;
pub(crate) mod deadline;
pub(crate) mod domain;
pub(crate) mod ending;
#[cfg(any(feature = "metrics", feature = "sentry"))]
pub(crate) mod ending_thread;
pub(crate) mod frame;
#[cfg(feature = "sentry")]
pub(crate) mod hub;
pub(crate) mod inflight;
pub(crate) mod inject;
pub(crate) mod scope;
#[cfg(feature = "tracing")]
pub(crate) mod span;
#[cfg(feature = "metrics")]
pub(crate) mod trace;
pub(crate) mod unit;
