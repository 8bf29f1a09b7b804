//! Windows without content. The product's are under a lock, and have nothing to check here.

#[derive(Debug)]
pub(crate) struct Windows;

impl Windows {
    pub(crate) fn new(_now: u64) -> Windows {
        Windows
    }

    pub(crate) fn memory(&self) -> usize {
        0
    }
}
