//! One run, which is counted exactly once. A return, an error, a panic or a drop ends the run, whichever comes first.
//! An expansion holds a [`Run`]. Dropping a `Run` that has not ended ends it as cancelled, or as a failure if `timeout`
//! dropped it. If the body is a future, the expansion awaits a [`Driven`], which polls the body inside the run.
//! [`Run::end`] counts the run, and then calls metrics, standard error, Sentry, the span and the sinks, in this order.
//! How a destination reports a run does not belong here.

use std::future::Future;
use std::mem::{ManuallyDrop, forget, replace};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::entry_context::EntryContext;
use crate::base::destination::calls::Destination;
use crate::base::destination::unharmed;
use crate::base::foreign::guard::{Payload, attempt, evaluate};
use crate::base::lane::Lane;
use crate::observe::{self, Wanted, standard_error};
use crate::run::context::NamedValues;
use crate::run::domain::observed::{self, Observed};
use crate::run::domain::{Core, DomainRef};
use crate::run::ending::{End, Ending, ErrorRef};
use crate::run::frame;
use crate::run::inflight::Ticket;
use crate::run::inject::{self, Injected};
use crate::run::unit::{Site, Unit};

static ENABLED: AtomicBool = AtomicBool::new(true);

/// Turns off the instrumentation of the whole program. From then on, a call of an annotated function runs only the
/// body. Runs that are already in flight end as usual.
pub fn disable() {
    ENABLED.store(false, Ordering::Relaxed);
}

/// Returns whether instrumentation is on.
#[cfg_attr(not(feature = "health"), allow(dead_code, reason = "only health reports it"))]
pub(crate) fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Turns on the instrumentation again.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// One run of an annotated function.
#[derive(Debug)]
pub struct Run {
    unit: Option<&'static Unit>,
    observed: Option<Arc<Observed>>,
    /// The context that was taken at the call, if the run begins later than the call.
    values: Option<Box<NamedValues>>,
    started: u64,
    ticket: Ticket,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Running,
    Ended,
}

impl Run {
    /// Creates a run of the function at `site`, but does not begin it. If instrumentation is off at this time, or the
    /// record of the function cannot be decoded, the run never begins.
    #[inline(never)]
    pub fn new(site: &'static Site) -> Run {
        let unit = if ENABLED.load(Ordering::Relaxed) { site.unit() } else { None };
        Run::of_unit(unit)
    }

    /// Creates a run of a unit that has no site, such as a call to a dependency, but does not begin the run.
    pub(crate) fn of(unit: &'static Unit) -> Run {
        Run::of_unit(ENABLED.load(Ordering::Relaxed).then_some(unit))
    }

    #[inline(always)]
    fn of_unit(unit: Option<&'static Unit>) -> Run {
        let phase = if unit.is_some() { Phase::New } else { Phase::Ended };
        Run { unit, observed: None, values: None, started: 0, ticket: Ticket::UNTRACKED, phase }
    }

    /// Begins the run immediately before its body is called or first polled. Takes the context of the run if a
    /// destination receives the run.
    #[inline(never)]
    pub fn begin(&mut self, take: &mut dyn FnMut(&mut EntryContext)) {
        self.start(Some(take));
    }

    /// Takes the context at the call of a function whose run begins later. Does nothing if the run would not be
    /// observed if it began now.
    pub fn capture(&mut self, take: &mut dyn FnMut(&mut EntryContext)) {
        let Some(unit) = self.unit else { return };
        let now = Core::global().clock.now();
        if wanted(unit, &frame::current_domain(), now).is_some() {
            self.values = Some(Box::new(EntryContext::taken(unit, take)));
        }
    }

    /// Records in the definition that the annotated function returns a boxed future.
    pub(super) fn note_future(&self) {
        if let Some(unit) = self.unit {
            unit.definition.note_future();
        }
    }

    /// Begins the run on this thread, which calls the body or polls it for the first time. Does nothing if the run
    /// has already begun, or if instrumentation was off when the run was created.
    #[inline(always)]
    fn start(&mut self, take: Option<&mut dyn FnMut(&mut EntryContext)>) {
        let (Some(unit), Phase::New) = (self.unit, self.phase) else { return };
        if !frame::is_outermost() {
            return self.start_inside(unit, take);
        }
        let core = Core::global();
        self.started = core.clock.now();
        if let Some(wanted) = observe::wanted(unit, core, self.started) {
            self.observe(unit, None, DomainRef::Global, wanted, take);
        }
        self.enter(unit, core);
    }

    /// Begins the run inside another run or scope.
    #[inline(never)]
    fn start_inside(&mut self, unit: &'static Unit, take: Option<&mut dyn FnMut(&mut EntryContext)>) {
        let unit = unit.within(frame::enclosing_process());
        self.unit = Some(unit);
        let outer = frame::nearest();
        let domain = DomainRef::of(outer.as_deref());
        let core = domain.core();
        self.started = core.clock.now();
        let now = if core.is_global() { self.started } else { Core::global().clock.now() };
        if let Some(wanted) = wanted(unit, &domain, now) {
            self.observe(unit, outer.as_ref(), domain.clone(), wanted, take);
        }
        self.enter(unit, core);
    }

    #[inline(never)]
    fn observe(
        &mut self,
        unit: &'static Unit,
        outer: Option<&Arc<Observed>>,
        domain: DomainRef,
        wanted: Wanted,
        take: Option<&mut dyn FnMut(&mut EntryContext)>,
    ) {
        // The run's own values are taken before the run inherits values from the outer run. An expression in
        // `context(…)` may record a value on the outer run, and this run must inherit that value too.
        let values = match (self.values.take(), take) {
            (Some(own), _) => observed::inherited(outer).with(*own),
            (None, Some(take)) => {
                let own = EntryContext::taken(unit, take);
                observed::inherited(outer).with(own)
            }
            (None, None) => observed::inherited(outer),
        };
        self.observed = Some(observe::open(unit, outer, domain, values, wanted));
    }

    #[inline(always)]
    fn enter(&mut self, unit: &'static Unit, core: &Core) {
        self.ticket = core.enter(unit, self.started, self.observed.as_ref());
        self.phase = Phase::Running;
        if let Some(observed) = &self.observed {
            observe::started(core, unit, observed);
            if let Some(core) = observed.domain.own()
                && let Some(surroundings) = core.surroundings()
            {
                observed.boundary.put(surroundings.injected(unit, observed.id, core));
            }
        }
    }

    /// Takes the fault that a test has planned for this run, and returns `None` if there is none. Begins the run if
    /// it has not begun.
    #[inline(always)]
    fn injected(&mut self) -> Option<Injected> {
        if !inject::IS_POSSIBLE {
            return None;
        }
        self.start(None);
        self.observed.as_ref()?.boundary.take()
    }

    /// Begins the run if it has not begun, and does the work inside it. If the work panics, ends the run and then
    /// resumes the panic. Neither this function nor a function that it calls is generic over the body, so all
    /// annotated functions share their code.
    fn guard(&mut self, work: &mut dyn Work) {
        self.start(None);
        if let Err(payload) = attempt(|| self.inside(work)) {
            self.panicked(payload);
        }
    }

    /// Does the work inside the run. If the run is not in flight, this function only does the work.
    #[inline(always)]
    fn inside(&self, work: &mut dyn Work) {
        match (&self.observed, self.phase) {
            (Some(observed), Phase::Running) => {
                frame::within(self.unit, Some(observed), || inside(observed, work))
            }
            (None, Phase::Running) => frame::within(self.unit, None, || work.work()),
            (_, Phase::New | Phase::Ended) => work.work(),
        }
    }

    /// Does the same as `inside`, but is not inlined. It is called only if a [`Driven`] is dropped before its future
    /// is ready. This is rare, so the call need not be fast.
    #[inline(never)]
    fn inside_at_drop(&self, work: &mut dyn Work) {
        self.inside(work);
    }

    /// Returns a future that polls and drops `future` inside the run.
    #[inline]
    pub fn drive<F: Future>(&mut self, future: F) -> Driven<'_, F> {
        Driven { run: self, future: ManuallyDrop::new(future), is_alive: true }
    }

    /// Calls `body` inside the run, and returns its value.
    #[inline]
    pub(crate) fn call<R>(&mut self, body: impl FnOnce() -> R) -> R {
        let mut call = Call { body: Some(body), value: None, injected: self.injected() };
        self.guard(&mut call);
        call.value.expect("`guard` returns only after the body, and resumes its panic")
    }

    #[cold]
    fn panicked(&mut self, payload: Payload) -> ! {
        let message = payload.message();
        let message = message.as_ref().map_or(ErrorRef::Opaque, |message| ErrorRef::Text(message));
        self.end(Ending::panic(message));
        payload.resume()
    }

    /// Ends the run. Counts the run first, then reports it to the destinations. Does nothing if the run has not begun
    /// or has already ended.
    pub fn end(&mut self, ending: Ending<'_>) {
        let (Some(unit), Phase::Running) = (self.unit, self.phase) else { return };
        self.phase = Phase::Ended;
        let observed = self.observed.take();
        let (core, added) = match &observed {
            Some(observed) => (observed.domain.core(), observed.added()),
            None => (Core::global(), 0),
        };
        let ticks = core.clock.now().saturating_sub(self.started) + added;
        let account = core.account(unit);
        let lane = Lane::current();
        let was_overdue = core.leave(lane, account, self.ticket);
        let late = was_overdue || core.is_late(unit, account, ticks);
        account.end(lane, ending.outcome, late, ticks);
        #[cfg(feature = "metrics")]
        if core.is_global() {
            observe::metrics::sample(lane, unit, ending.outcome, ticks);
        }
        let is_quiet = match &observed {
            Some(observed) => !late && observe::is_quiet(core, observed, ending.outcome),
            None => ending.error.is_none(),
        };
        if !is_quiet {
            let error = ending.error.as_ref();
            let error_type = error.map(|error| account.error(ending.outcome, error.error_type));
            let duration = core.clock.duration(ticks);
            let end = End { outcome: ending.outcome, late, duration, error_type };
            report(core, unit, observed.as_ref(), &ending, &end, was_overdue);
        }
        if let Some(observed) = observed {
            observed::let_go(observed);
        }
    }

    /// Ends the run with the ending that the attribute's `rules` return for `by_type`. `by_type` is the ending that
    /// follows from the type of the return value. If a rule panics, the run ends with `by_type`. A run that a rule or
    /// another expression of an attribute has started also ends with `by_type`, and the rules are not called.
    pub fn judge<'a>(&mut self, by_type: Ending<'a>, rules: &mut dyn FnMut(Ending<'a>) -> Ending<'a>) {
        let mut ending = by_type;
        if let Some(Err(_)) = evaluate(|| ending = rules(by_type)) {
            let name = self.unit.map_or("", |unit| unit.name);
            crate::base::notices::once(format!(
                "a rule of `{name}` (`rejects`, `fails`, `degraded`, `outcome` or `error_type`) panicked; the outcome is that of \
                 the return value without rules"
            ));
        }
        self.end(ending);
    }

    #[cold]
    fn dropped(&mut self) {
        self.end(if crate::run::deadline::stops() {
            Ending::failure().error_type(crate::run::deadline::ERROR_TYPE)
        } else {
            Ending::cancelled()
        });
    }
}

impl Drop for Run {
    #[inline]
    fn drop(&mut self) {
        if self.phase == Phase::Running {
            self.dropped();
        }
    }
}

// A panic cannot make the shared state of a run inconsistent. A run ends only once, and the locks around its state
// can still be taken after a panic.
impl UnwindSafe for Run {}
impl RefUnwindSafe for Run {}
impl<F: UnwindSafe> UnwindSafe for Driven<'_, F> {}

/// Returns whether the run is observed. Every run in the domain of a test or health check is.
fn wanted(unit: &'static Unit, domain: &DomainRef, now: u64) -> Option<Wanted> {
    observe::wanted(unit, domain.core(), now).or_else(|| domain.own().map(|_| Wanted::by_domain()))
}

#[inline(never)]
fn inside(observed: &Arc<Observed>, work: &mut dyn Work) {
    #[cfg(feature = "tracing")]
    let _span = observed.span.as_ref().map(|span| span.enter());
    #[cfg(feature = "sentry")]
    if let (true, Some(unit)) = (observed.hub.is_to_open(), observed.unit) {
        unharmed(Destination::Sentry, || observe::sentry::open(unit, observed));
    }
    #[cfg(feature = "sentry")]
    let _hub = observed.hub.enter();
    let _ = observed;
    work.work();
}

#[cold]
fn report(
    core: &Core,
    unit: &'static Unit,
    observed: Option<&Arc<Observed>>,
    ending: &Ending<'_>,
    end: &End,
    was_overdue: bool,
) {
    let is_sent = observed.is_some_and(|observed| observed.has_hub());
    if let Some(error) = &ending.error
        && end.outcome.is_error()
        && unit.is_process()
        && !is_sent
    {
        let observed = observed.map(|observed| &**observed);
        unharmed(Destination::StandardError, || standard_error::failed(unit, observed, error, end));
    }
    let Some(observed) = observed else { return };
    if end.late && !was_overdue {
        observe::overdue(core, unit, Some(observed), end.duration);
    }
    observe::ended(core, unit, observed, ending, end);
}

/// Polls and drops a future inside its run. The future is dropped as soon as it is ready.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Driven<'r, F> {
    run: &'r mut Run,
    /// `poll` sets `is_alive` to `false` and then drops this future. If `is_alive` is still `true`, the drop of
    /// `Driven` drops this future.
    future: ManuallyDrop<F>,
    is_alive: bool,
}

impl<F: Future> Future for Driven<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `future` is pinned together with `self`. No code moves `future`, and `future` is dropped in place.
        let Driven { run, future, is_alive } = unsafe { self.get_unchecked_mut() };
        let mut poll = OnePoll { future, is_alive, cx, polled: Poll::Pending, injected: run.injected() };
        run.guard(&mut poll);
        if let (Some(observed), Some(injected)) = (&run.observed, poll.injected) {
            observed.boundary.put(Some(injected));
        }
        poll.polled
    }
}

impl<F> Drop for Driven<'_, F> {
    #[inline]
    fn drop(&mut self) {
        if self.is_alive {
            self.run.inside_at_drop(&mut Release { future: &mut self.future });
        }
    }
}

/// Work that is done inside a run. Each annotated function creates trait objects for its work. This trait is used
/// instead of `FnMut`, because the vtables of `FnMut` also contain `call_once` and are therefore larger.
trait Work {
    fn work(&mut self);
}

/// A call of the body.
struct Call<B, R> {
    body: Option<B>,
    value: Option<R>,
    injected: Option<Injected>,
}

impl<R, B: FnOnce() -> R> Work for Call<B, R> {
    fn work(&mut self) {
        if let Some(value) = self.injected.as_mut().and_then(|injected| injected.call()) {
            self.value = Some(value);
            return;
        }
        if let Some(body) = self.body.take() {
            self.value = Some(body());
        }
    }
}

/// One poll of a pinned future.
struct OnePoll<'p, 'w, F: Future> {
    future: &'p mut ManuallyDrop<F>,
    is_alive: &'p mut bool,
    cx: &'p mut Context<'w>,
    polled: Poll<F::Output>,
    injected: Option<Injected>,
}

impl<F: Future> Work for OnePoll<'_, '_, F> {
    fn work(&mut self) {
        if !*self.is_alive {
            return;
        }
        let polled = match self.injected.as_mut().and_then(|injected| injected.poll(self.cx)) {
            Some(polled) => polled,
            // SAFETY: the future is alive, because `is_alive` is true. The future is pinned, because the `Driven`
            // that contains it is pinned.
            None => unsafe { Pin::new_unchecked(&mut **self.future) }.poll(self.cx),
        };
        // The old value of `polled` is `Pending`, which need not be dropped. With `forget`, the compiler generates no
        // code for this drop.
        forget(replace(&mut self.polled, polled));
        if self.polled.is_ready() {
            *self.is_alive = false;
            // SAFETY: the future was alive. `is_alive` is already false, so the future is not dropped again, even if
            // this drop panics.
            unsafe { ManuallyDrop::drop(self.future) };
        }
    }
}

/// Drops a future that has not been dropped yet.
struct Release<'f, F> {
    future: &'f mut ManuallyDrop<F>,
}

impl<F> Work for Release<'_, F> {
    fn work(&mut self) {
        // SAFETY: only the drop of `Driven` creates a `Release`. It does so while the future is alive, and calls
        // `work` once.
        unsafe { ManuallyDrop::drop(self.future) }
    }
}
