//! The sizes of lock-free structures. They are in a file of their own, so that the crate `model-checks` can replace
//! this file by one with smaller sizes. A model check tries the possible schedules of its threads, and a large
//! structure has too many of them.

/// The number of owned lanes. Only one thread at a time writes to an owned lane.
pub(crate) const OWNED_LANES: usize = 16;
/// The number of lanes that several threads share.
pub(crate) const SHARED_LANES: usize = 4;
/// The number of slots by which the table of runs in flight grows at a time.
pub(crate) const CHUNK: usize = 256;
/// The maximum number of samples in the buffer of a lane. If the buffer is full, new samples are dropped and counted.
#[cfg(feature = "metrics")]
pub(crate) const SAMPLES: usize = 4096;
