//! Two buckets in place of the product's 304. Each bucket is an atomic, and loom must consider every access to it.
//! Fewer buckets therefore mean fewer schedules.

pub(crate) const BUCKETS: usize = 2;

pub(crate) fn bucket(ticks: u64) -> usize {
    ticks as usize % BUCKETS
}
