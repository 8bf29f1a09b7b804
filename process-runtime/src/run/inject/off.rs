//! The same items as in `on`, for a program without the feature `testing`. Nothing is injected, and nothing that
//! costs time or memory may go in here.

use std::task::{Context, Poll};

/// Whether this program can inject faults.
pub(crate) const IS_POSSIBLE: bool = false;

/// A fault that is planned for a run. Without `testing` no value of this type exists.
#[derive(Debug)]
pub(crate) enum Injected {}

impl Injected {
    /// Lets the fault decide a poll. Without `testing`, this method is never called.
    pub(crate) fn poll<R>(&mut self, _: &mut Context<'_>) -> Option<Poll<R>> {
        match *self {}
    }

    /// Lets the fault decide a call. Without `testing`, this method is never called.
    pub(crate) fn call<R>(&mut self) -> Option<R> {
        match *self {}
    }
}

/// The storage in which the fault of a run is kept between polls. Without `testing` it is empty.
#[derive(Debug, Default)]
pub(crate) struct Boundary(());

impl Boundary {
    pub(crate) fn take(&self) -> Option<Injected> {
        None
    }

    pub(crate) fn put(&self, _: Option<Injected>) {}

    /// Returns the ticks that a test added to the duration of the run.
    pub(crate) fn added(&self) -> u64 {
        0
    }

    /// Adds ticks to the duration of the run.
    pub(crate) fn delay(&self, _: u64) {}

    pub(crate) fn clear(&mut self) {}
}

/// Does nothing. With `testing`, records `Result<T, E>` as a type that runs return.
pub(crate) fn learn<T, E>() {}
