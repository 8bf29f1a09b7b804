//! Carriers. A carrier keeps the scope in which it is created, and makes this scope the current one in another task
//! or thread. The stack of scopes of each thread belongs to `frame`.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::domain::observed::Observed;
use super::frame;
#[cfg(feature = "metrics")]
use super::trace;
use super::unit::Unit;

/// A handle that carries the current scope into another task or thread, or through a channel. Without a carrier, code
/// there runs outside the scope.
///
/// The scope consists of the business context, the parent of new spans, the Sentry hub, and the current run.
/// [`record!`](crate::record) adds values to this run, and inner runs report their failures to it. In a test, the
/// test's domain also belongs to the scope.
///
/// A carrier can outlive the run in which it was created. Code that the carrier then runs still belongs to the same
/// trace and has the same context, but the run's span is closed and stays closed.
///
/// ```
/// use process_runtime::Carrier;
///
/// let carrier = Carrier::current();
/// let worker = std::thread::spawn(move || carrier.run(|| 6 * 7));
/// assert_eq!(worker.join().unwrap(), 42);
/// ```
///
/// To carry the scope into a task, write `tokio::spawn(Carrier::current().carry(work()))`. Without a carrier, runs in
/// the task start a new trace and have no context. `in_current_span` of `tracing` keeps the trace, but loses the
/// context.
#[derive(Clone, Debug, Default)]
pub struct Carrier {
    observed: Option<Arc<Observed>>,
    /// The unit of the innermost run, if `observed` is `None`. Stages and calls to dependencies in the carrier then
    /// still belong to the process of this unit.
    unit: Option<&'static Unit>,
    trace: Trace,
}

/// The OpenTelemetry span that was current when the carrier was created. It is the parent of new spans if the carried
/// run has no `tracing` span, or if that span is closed.
#[derive(Clone, Debug, Default)]
struct Trace {
    #[cfg(feature = "metrics")]
    span: Option<opentelemetry::trace::SpanContext>,
}

impl Carrier {
    /// Creates a carrier of the innermost run or scope of this thread. If the thread is in no run and no scope, the
    /// carrier has no effect.
    pub fn current() -> Carrier {
        let observed = frame::nearest();
        let unit = if observed.is_none() { frame::innermost_unit() } else { None };
        Carrier { observed, unit, trace: Trace::current() }
    }

    /// Returns whether both carriers carry the same scope.
    #[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "only contracts compare scopes"))]
    pub(crate) fn is_same(&self, other: &Carrier) -> bool {
        self.observed.as_ref().map(Arc::as_ptr) == other.observed.as_ref().map(Arc::as_ptr)
    }

    pub(crate) fn of(observed: Arc<Observed>) -> Carrier {
        Carrier { observed: Some(observed), ..Carrier::default() }
    }

    /// Calls `f` in the carried scope.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let domain = self.observed.as_ref().and_then(|observed| observed.domain.own());
        let Some(surroundings) = domain.and_then(|core| core.surroundings()) else { return self.run_here(f) };
        let (mut f, mut value) = (Some(f), None);
        surroundings.within(&mut || value = f.take().map(|f| self.run_here(f)));
        value.expect("the surroundings of a domain call the closure that they receive")
    }

    fn run_here<R>(&self, f: impl FnOnce() -> R) -> R {
        let Some(observed) = &self.observed else {
            return if self.unit.is_some() { frame::within(self.unit, None, f) } else { f() };
        };
        let run = observed.run_around();
        let is_inside = run.as_ref().is_some_and(frame::is_inside);
        frame::within(observed.unit, Some(observed), || {
            // A thread that is already inside the run is also inside its span and hub.
            if is_inside {
                return f();
            }
            let span = run.as_ref().and_then(|run| run.visit_span());
            let _trace = if span.is_none() { self.trace.attach() } else { None };
            let _hub = observed.visit_hub();
            f()
        })
    }

    /// Returns a future that polls and drops `future` in the carried scope: `tokio::spawn(carrier.carry(work()))`.
    pub fn carry<F: Future>(self, future: F) -> Carried<F> {
        Carried { carrier: self, future: ManuallyDrop::new(future) }
    }
}

#[cfg(feature = "metrics")]
impl Trace {
    fn current() -> Trace {
        Trace { span: trace::current_span() }
    }

    fn attach(&self) -> Option<trace::Attached> {
        trace::attach(self.span.clone()?)
    }
}

#[cfg(not(feature = "metrics"))]
impl Trace {
    fn current() -> Trace {
        Trace::default()
    }

    fn attach(&self) -> Option<()> {
        None
    }
}

/// The future that [`Carrier::carry`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Carried<F> {
    carrier: Carrier,
    future: ManuallyDrop<F>,
}

impl<F: Future> Future for Carried<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned with `self`, because nothing moves `future`, and `drop` drops it in place.
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
        // SAFETY: `future` is dropped only here, and is not used afterwards.
        self.carrier.run(|| unsafe { ManuallyDrop::drop(future) });
    }
}
