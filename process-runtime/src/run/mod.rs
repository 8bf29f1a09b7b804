//! One run, and the run that a thread is in.

pub(crate) mod carrier;
pub mod context;
pub(crate) mod deadline;
pub(crate) mod domain;
pub(crate) mod ending;
pub(crate) mod frame;
pub(crate) mod inflight;
pub(crate) mod observed;
pub(crate) mod unit;
