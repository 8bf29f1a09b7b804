//! One run, accounted for exactly once: whichever of return, error, panic or drop comes first ends it.
//! [`Run`] is the drop guard, [`Scoped`] the poll wrapper; the expansion holds the one and awaits the other.

use std::any::Any;
use std::future::Future;
use std::mem::{ManuallyDrop, replace};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use process_model::Outcome;

use crate::context::Value;
use crate::domain::{Core, Domain};
use crate::ending::{Ending, ErrorRef};
use crate::frame;
use crate::inflight::Ticket;
use crate::observe::{self, End};
use crate::observed::Observed;
use crate::unit::{Site, Unit};

/// The `error.type` of a panic.
const PANIC: &str = "panic";

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Turns all instrumentation off: annotated functions then do nothing but what is written in them. Runs
/// that are going on end as usual.
pub fn disable() {
    ENABLED.store(false, Ordering::Relaxed);
}

/// Turns instrumentation on again.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// One run of an annotated function.
#[derive(Debug)]
pub struct Run {
    unit: Option<&'static Unit>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not begun, with the context that was taken at entry.
    New(Vec<(&'static str, Value)>),
    Running(Running),
    Ended,
}

#[derive(Debug)]
struct Running {
    observed: Option<Arc<Observed>>,
    started: u64,
    ticket: Ticket,
}

impl Running {
    fn core(&self) -> &Core {
        match &self.observed {
            Some(observed) => observed.domain.core(),
            None => Core::global(),
        }
    }
}

impl Run {
    /// A run of the function at `site`, which has not begun.
    #[inline]
    pub fn new(site: &'static Site) -> Run {
        let unit = if ENABLED.load(Ordering::Relaxed) {
            site.unit()
        } else {
            None
        };
        Run {
            unit,
            state: State::New(Vec::new()),
        }
    }

    /// Takes the context of entry, if some sink wants it. A value that panics is left out.
    pub fn capture(&mut self, take: &mut dyn FnMut(&mut Capture)) {
        let Some(unit) = self.unit else { return };
        if !observe::is_wanted(unit, Domain::current().core()) {
            return;
        }
        let mut capture = Capture { values: Vec::new() };
        if catch_unwind(AssertUnwindSafe(|| take(&mut capture))).is_err() {
            crate::report::once(format!(
                "an expression in the context of `{}` panicked",
                unit.name
            ));
        }
        self.state = State::New(capture.values);
    }

    /// Begins, on the thread that first polls or calls.
    #[inline]
    fn begin(&mut self) {
        let Some(mut unit) = self.unit else { return };
        let State::New(values) = replace(&mut self.state, State::Ended) else {
            return;
        };
        let outer = if frame::is_outermost() {
            None
        } else {
            frame::nearest()
        };
        if outer.is_some() || !frame::is_outermost() {
            unit = unit.within(frame::enclosing_process());
            self.unit = Some(unit);
        }
        let domain = Domain::of(outer.as_deref());
        let core = domain.core();
        let started = core.clock.now();
        let wanted = !values.is_empty() || domain.is_own() || observe::is_wanted(unit, core);
        let observed = wanted.then(|| observed(unit, outer.as_ref(), domain.clone(), values));
        let ticket = core.enter(unit, started, observed.as_ref());
        if let Some(observed) = &observed {
            observe::started(core, unit, observed);
        }
        self.state = State::Running(Running {
            observed,
            started,
            ticket,
        });
    }

    /// Calls `f` inside of the run.
    #[inline]
    fn inside<R>(&self, visit: Visit, f: impl FnOnce() -> R) -> R {
        match &self.state {
            State::Running(Running { observed: None, .. }) => frame::within(self.unit, None, f),
            State::Running(Running {
                observed: Some(observed),
                ..
            }) => frame::within(self.unit, Some(observed), || enter(observed, visit, f)),
            State::New(_) | State::Ended => f(),
        }
    }

    /// Polls `future` inside of the run, and drops it there.
    #[inline]
    pub fn scope<F: Future>(&mut self, future: F) -> Scoped<'_, F> {
        Scoped {
            run: self,
            future: ManuallyDrop::new(future),
        }
    }

    /// Calls `body` inside of the run.
    #[inline]
    fn call<R>(&mut self, body: impl FnOnce() -> R) -> R {
        self.begin();
        match catch_unwind(AssertUnwindSafe(|| self.inside(Visit::First, body))) {
            Ok(value) => value,
            Err(payload) => self.panicked(payload),
        }
    }

    #[cold]
    fn panicked(&mut self, payload: Box<dyn Any + Send>) -> ! {
        let message = match payload.downcast_ref::<&'static str>() {
            Some(message) => Some(*message),
            None => payload.downcast_ref::<String>().map(String::as_str),
        };
        let error = message
            .as_ref()
            .map_or(ErrorRef::Opaque, |message| ErrorRef::Text(message));
        self.end(Ending {
            error_type: Some(PANIC),
            error,
            ..Ending::of(Outcome::Panic)
        });
        resume_unwind(payload)
    }

    /// Ends the run, if nothing has yet.
    #[inline]
    pub fn end(&mut self, ending: Ending<'_>) {
        if let (State::Running(running), Some(unit)) =
            (replace(&mut self.state, State::Ended), self.unit)
        {
            finish(unit, running, &ending);
        }
    }
}

impl Drop for Run {
    #[inline]
    fn drop(&mut self) {
        if let State::Running(_) = self.state {
            let ending = match crate::timeout::stops() {
                true => Ending::failure().error_type(crate::timeout::ERROR_TYPE),
                false => Ending::of(Outcome::Cancelled),
            };
            self.end(ending);
        }
    }
}

/// Which visit to its own scope this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    First,
    Later,
}

#[inline]
fn enter<R>(observed: &Arc<Observed>, visit: Visit, f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "sentry")]
    let outside =
        (visit == Visit::First && observe::sentry::is_active()).then(observe::sentry::current_hub);
    #[cfg(feature = "tracing")]
    let _span = observed.span.as_ref().map(|span| span.enter());
    #[cfg(feature = "sentry")]
    if let (Some(outside), Some(unit)) = (outside, observed.unit) {
        observe::sentry::open(unit, observed, outside);
    }
    #[cfg(feature = "sentry")]
    let _hub = observed.sentry.enter();
    let _ = (observed, visit);
    f()
}

#[cold]
fn observed(
    unit: &'static Unit,
    outer: Option<&Arc<Observed>>,
    domain: Domain,
    values: Vec<(&'static str, Value)>,
) -> Arc<Observed> {
    let mut observed = Observed::run(unit, outer, domain, values);
    unharmed(|| observe::open(unit, &mut observed));
    Arc::new(observed)
}

/// Accounts for the end. Everything that calls foreign code comes last, and may panic.
#[inline]
fn finish(unit: &'static Unit, running: Running, ending: &Ending<'_>) {
    let core = running.core();
    let ticks = core.clock.now().saturating_sub(running.started);
    let nanos = ticks as f64 * core.clock.nanos_per_tick();
    let told = core.leave(unit, running.ticket);
    let late = told || unit.sla_nanos.is_some_and(|sla| nanos > sla as f64);
    let account = core.account(unit);
    account.end(ending.outcome, late, ticks);
    let error_type = ending
        .error_type
        .map(|kind| account.error(ending.outcome, late, kind));
    #[cfg(feature = "metrics")]
    if running
        .observed
        .as_ref()
        .is_none_or(|observed| !observed.domain.is_own())
    {
        observe::metrics::sample(unit, ending.outcome, ticks);
    }
    if running.observed.is_some() || ending.outcome.is_error() {
        let duration = core.clock.duration(ticks);
        let end = End {
            outcome: ending.outcome,
            late,
            duration,
            error_type,
        };
        unharmed(|| tell(core, unit, running.observed.as_ref(), ending, &end, told));
    }
}

#[cold]
fn tell(
    core: &Core,
    unit: &'static Unit,
    observed: Option<&Arc<Observed>>,
    ending: &Ending<'_>,
    end: &End,
    told: bool,
) {
    let is_sent = observed.is_some_and(|observed| observed.has_hub());
    if end.outcome.is_error() && unit.stage().is_none() && !is_sent {
        crate::report::failure(unit, ending, end);
    }
    let Some(observed) = observed else { return };
    if end.late && !told {
        observe::overdue(core, unit, Some(observed), end.duration);
    }
    observe::ended(core, unit, observed, ending, end);
}

/// Calls foreign code that must not take the application down.
fn unharmed(f: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(f)).is_err() {
        crate::report::once("a subscriber, client or sink panicked while it was told of a run");
    }
}

/// A future inside of its run.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Scoped<'r, F> {
    run: &'r mut Run,
    future: ManuallyDrop<F>,
}

impl<F: Future> Future for Scoped<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned with `self`: nothing moves it, and `drop` drops it in place.
        let (run, future) = unsafe {
            let this = self.get_unchecked_mut();
            (&mut *this.run, Pin::new_unchecked(&mut *this.future))
        };
        let visit = match run.state {
            State::New(_) => Visit::First,
            State::Running(_) | State::Ended => Visit::Later,
        };
        if visit == Visit::First {
            run.begin();
        }
        match catch_unwind(AssertUnwindSafe(|| run.inside(visit, || future.poll(cx)))) {
            Ok(poll) => poll,
            Err(payload) => run.panicked(payload),
        }
    }
}

impl<F> Drop for Scoped<'_, F> {
    #[inline]
    fn drop(&mut self) {
        let future = &mut self.future;
        // SAFETY: it is dropped once, here, and not used afterwards.
        self.run
            .inside(Visit::Later, || unsafe { ManuallyDrop::drop(future) });
    }
}

/// The context of one run, while it is taken.
#[derive(Debug)]
pub struct Capture {
    values: Vec<(&'static str, Value)>,
}

impl Capture {
    /// Takes a value, if there is one.
    pub fn put(&mut self, name: &'static str, value: Option<Value>) {
        self.values.extend(value.map(|value| (name, value)));
    }
}

/// A key that `later(…)` declared.
#[derive(Clone, Copy, Debug)]
pub struct LaterKey {
    site: &'static Site,
    name: &'static str,
}

impl LaterKey {
    /// Of the function at `site`.
    pub const fn new(site: &'static Site, name: &'static str) -> LaterKey {
        LaterKey { site, name }
    }

    /// Adds the value to the innermost run of the function, if some sink wants it.
    pub fn record(self, value: impl FnOnce() -> Option<Value>) {
        let Some(unit) = self.site.unit() else { return };
        let Some(observed) = frame::run_of(unit) else {
            return;
        };
        if let Some(value) = value() {
            unharmed(|| observed.record(self.name, value));
        }
    }
}

/// A function that returns a value.
#[derive(Debug)]
pub struct Plain;
/// A function that returns a boxed future.
#[derive(Debug)]
pub struct Boxed;
/// A function that returns a boxed future which stays on its thread.
#[derive(Debug)]
pub struct BoxedLocal;
/// A function that returns a boxed future which can be shared.
#[derive(Debug)]
pub struct BoxedSync;

impl Plain {
    /// Calls the body, and judges what it returned.
    #[inline]
    pub fn run<R>(
        self,
        mut run: Run,
        body: impl FnOnce() -> R,
        judge: impl FnOnce(&mut Run, &R),
    ) -> R {
        let value = run.call(body);
        judge(&mut run, &value);
        value
    }
}

macro_rules! boxed {
    ($($kind:ident: $($bound:ident),*;)+) => {$(
        impl $kind {
            /// Calls the body, whose future is the run, and judges what that returned.
            pub fn run<'a, T: 'a>(
                self,
                run: Run,
                body: impl FnOnce() -> Pin<Box<dyn Future<Output = T> $(+ $bound)* + 'a>>,
                judge: impl FnOnce(&mut Run, &T) $(+ $bound)* + 'a,
            ) -> Pin<Box<dyn Future<Output = T> $(+ $bound)* + 'a>> {
                Box::pin(future(run, body(), judge))
            }
        }
    )+};
}

boxed! {
    Boxed: Send;
    BoxedLocal: ;
    BoxedSync: Send, Sync;
}

/// A future that is a run.
pub async fn future<F: Future>(
    mut run: Run,
    future: F,
    judge: impl FnOnce(&mut Run, &F::Output),
) -> F::Output {
    let value = run.scope(future).await;
    judge(&mut run, &value);
    value
}

/// Gives the body of an async function its type; never called.
pub fn unreachable_value<T>() -> T {
    unreachable!("only its type is used")
}
