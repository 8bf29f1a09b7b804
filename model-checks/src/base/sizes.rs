//! The sizes of the structures. They are so small that loom can try every schedule, and that a check can overflow
//! each structure.

pub(crate) const OWNED_LANES: usize = 2;
pub(crate) const SHARED_LANES: usize = 1;
pub(crate) const CHUNK: usize = 2;
pub(crate) const SAMPLES: usize = 2;
