//! The table of runs in flight.

#[path = "../../process-runtime/src/run/inflight/mod.rs"]
pub(crate) mod inflight;
