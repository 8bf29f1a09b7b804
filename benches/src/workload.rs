//! The business function that every row runs. Its body reads no clock and allocates nothing, and its async form
//! is pending a given number of times. The difference between a row and the row `bare` is the cost of the row's
//! attribute.

use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The form of the function, and how often it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A plain function.
    Sync,
    /// An async function that is ready at its first poll.
    Ready,
    /// An async function that is pending three times.
    Yield3,
    /// An async function that is pending 35 times. The difference from `Yield3`, divided by 32, is the cost of
    /// one more poll.
    Yield35,
}

impl Shape {
    pub(crate) const TABLED: [Shape; 3] = [Shape::Sync, Shape::Ready, Shape::Yield3];
    pub(crate) const ALL: [Shape; 4] = [Shape::Sync, Shape::Ready, Shape::Yield3, Shape::Yield35];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Sync => "sync",
            Shape::Ready => "ready",
            Shape::Yield3 => "yield3",
            Shape::Yield35 => "yield35",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Shape> {
        Shape::ALL.into_iter().find(|shape| shape.name() == name)
    }

    /// Returns how often the async function is pending.
    pub(crate) fn pends(self) -> u32 {
        match self {
            Shape::Sync | Shape::Ready => 0,
            Shape::Yield3 => 3,
            Shape::Yield35 => 35,
        }
    }
}

/// The error of the function. No run returns it, but the attributes must check for it.
#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// Does the work of the function. It is not inlined, so that the optimiser treats it the same in all rows.
#[inline(never)]
pub(crate) fn work(order: u64, customer: u64, region: &str) -> Result<u64, Refused> {
    let total = black_box(order).wrapping_mul(customer) ^ region.len() as u64;
    if total == u64::MAX { Err(Refused) } else { Ok(total) }
}

/// A future that is pending `left` times. It never wakes its task, because [`finish`] polls it again at once.
pub(crate) struct Pending {
    left: u32,
}

pub(crate) fn pending(times: u32) -> Pending {
    Pending { left: times }
}

impl Future for Pending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.left.checked_sub(1) {
            None => Poll::Ready(()),
            Some(left) => {
                self.left = left;
                Poll::Pending
            }
        }
    }
}

/// Polls a future until it is ready, without an executor, so that the figures do not contain the cost of one.
/// It is not inlined, because an async runtime also polls through a pointer.
#[inline(never)]
pub(crate) fn finish<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
