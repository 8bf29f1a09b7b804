//! Two buckets in place of the product's 304. Every bucket is an atomic, whose accesses loom must also consider.

pub(crate) const BUCKETS: usize = 2;

pub(crate) fn bucket(ticks: u64) -> usize {
    ticks as usize % BUCKETS
}
