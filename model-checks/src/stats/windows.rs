//! An empty type in place of the windows of 1, 5 and 60 minutes of `process-runtime`. Those are behind a lock, so
//! there is nothing to check.

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
