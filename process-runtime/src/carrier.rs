//! Taking the current scope along where a task, a thread or a channel would lose it: the business context,
//! the span that new spans are children of, the Sentry hub, and the run that a failure is told to.
//!
//! ```
//! use process_runtime::Carrier;
//!
//! let carrier = Carrier::current();
//! let worker = std::thread::spawn(move || carrier.run(|| 6 * 7));
//! assert_eq!(worker.join().unwrap(), 42);
//! ```

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::frame;
use crate::observed::Observed;

/// The scope that was current where the carrier was made. It can outlive its run: what runs in it then is
/// still part of the same trace and has the same context, but no longer keeps anything of the run open.
#[derive(Clone, Debug, Default)]
pub struct Carrier(Option<Arc<Observed>>);

impl Carrier {
    /// Of the innermost run or scope of this thread; without one, a carrier that carries nothing.
    pub fn current() -> Carrier {
        Carrier(frame::nearest())
    }

    pub(crate) fn of(observed: Arc<Observed>) -> Carrier {
        Carrier(Some(observed))
    }

    /// Calls `f` in the carried scope.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(observed) => frame::within(observed.unit, Some(observed), || observed.visit(f)),
            None => f(),
        }
    }

    /// Polls `future`, and drops it, in the carried scope: `tokio::spawn(carrier.carry(work()))`.
    pub fn carry<F: Future>(self, future: F) -> Carried<F> {
        Carried {
            carrier: self,
            future: ManuallyDrop::new(future),
        }
    }
}

/// The future of [`Carrier::carry`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Carried<F> {
    carrier: Carrier,
    future: ManuallyDrop<F>,
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned with `self`: nothing moves it, and `drop` drops it in place.
        let (carrier, future) = unsafe {
            let this = self.get_unchecked_mut();
            (&this.carrier, Pin::new_unchecked(&mut *this.future))
        };
        carrier.run(|| future.poll(cx))
    }
}

impl<F> Drop for Carried<F> {
    fn drop(&mut self) {
        let future = &mut self.future;
        // SAFETY: it is dropped once, here, and not used afterwards.
        self.carrier.run(|| unsafe { ManuallyDrop::drop(future) });
    }
}
