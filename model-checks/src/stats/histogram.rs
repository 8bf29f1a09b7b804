//! Two buckets in place of the product's 304: every bucket is an atomic that a check must consider.

pub(crate) const BUCKETS: usize = 2;

pub(crate) fn bucket(ticks: u64) -> usize {
    ticks as usize % BUCKETS
}
