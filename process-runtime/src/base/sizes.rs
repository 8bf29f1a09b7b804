//! The sizes of lock-free structures. They are in a file of their own, which the crate `model-checks` replaces with
//! smaller sizes. A model check tries every schedule of its threads, and a large structure allows too many schedules.

/// The number of owned lanes, which have a single writer.
pub(crate) const OWNED_LANES: usize = 16;
/// The number of lanes that several threads share.
pub(crate) const SHARED_LANES: usize = 4;
/// The number of slots by which the table of runs in flight grows at a time.
pub(crate) const CHUNK: usize = 256;
/// The maximum number of samples that a lane stores between two drains. Further samples are dropped and counted.
#[cfg(feature = "metrics")]
pub(crate) const SAMPLES: usize = 4096;
