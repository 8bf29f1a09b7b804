//! Nothing is injected.

use std::task::{Context, Poll};

/// Whether a fault can be injected.
pub(crate) const IS_POSSIBLE: bool = false;

/// A fault that is about to happen to a run: there is none.
#[derive(Debug)]
pub(crate) enum Injected {}

impl Injected {
    /// Returns the result of a poll that takes the place of the body's.
    pub(crate) fn poll<R>(&mut self, _: &mut Context<'_>) -> Option<Poll<R>> {
        match *self {}
    }

    /// Returns the value that takes the place of the body's.
    pub(crate) fn call<R>(&mut self) -> Option<R> {
        match *self {}
    }
}

/// Where the fault of a run waits between its polls.
#[derive(Debug, Default)]
pub(crate) struct Boundary(());

impl Boundary {
    pub(crate) fn take(&self) -> Option<Injected> {
        None
    }

    pub(crate) fn put(&self, _: Option<Injected>) {}

    /// Returns the ticks that a test added to the time of the run.
    pub(crate) fn added(&self) -> u64 {
        0
    }

    /// Adds to the time of the run.
    pub(crate) fn delay(&self, _: u64) {}

    pub(crate) fn clear(&mut self) {}
}

/// Makes known that a boundary returns `Result<T, E>`.
pub(crate) fn learn<T, E>() {}
