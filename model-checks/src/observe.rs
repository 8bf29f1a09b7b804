//! The buffers that destinations drain.

#[path = "../../process-runtime/src/observe/samples.rs"]
pub(crate) mod samples;
