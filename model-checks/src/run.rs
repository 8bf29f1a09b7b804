//! The table of runs in flight.

#[path = "../../process-runtime/src/run/inflight.rs"]
pub(crate) mod inflight;
