//! The sizes of lock-free structures. They have their own file because the crate `model-checks` replaces it with
//! smaller sizes: a model check tries every schedule, which is not feasible for a large structure.

/// The number of lanes with a single writer.
pub(crate) const OWNED_LANES: usize = 16;
/// The number of lanes that several threads share.
pub(crate) const SHARED_LANES: usize = 4;
/// The number of slots that the table of runs adds at a time.
pub(crate) const CHUNK: usize = 256;
/// The maximum number of samples that a thread can leave between two drains.
#[cfg(feature = "metrics")]
pub(crate) const SAMPLES: usize = 4096;
