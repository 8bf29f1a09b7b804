//! Sizes that are small enough for every schedule to be tried, and large enough for each structure to overflow.

pub(crate) const OWNED_LANES: usize = 2;
pub(crate) const SHARED_LANES: usize = 1;
pub(crate) const CHUNK: usize = 2;
pub(crate) const SAMPLES: usize = 2;
