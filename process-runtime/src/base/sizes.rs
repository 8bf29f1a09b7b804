//! The sizes of lock-free structures. They are in a file of their own because the crate `model-checks` uses smaller
//! ones: a model check tries every schedule, which a large structure makes impossible.

/// Lanes with a single writer.
pub(crate) const OWNED_LANES: usize = 16;
/// Lanes that several threads share.
pub(crate) const SHARED_LANES: usize = 4;
/// Slots that the table of runs adds at a time.
pub(crate) const CHUNK: usize = 256;
/// Samples that a thread can leave between two drains.
#[cfg(feature = "metrics")]
pub(crate) const SAMPLES: usize = 4096;
