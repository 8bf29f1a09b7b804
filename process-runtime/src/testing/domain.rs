//! A domain of a test's own: its clock is tokio's, so that paused time is what runs see; its figures, runs in flight and
//! sinks are nobody else's.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use tokio::time::Sleep;

use super::capture::Capture;
use super::fault::Plan;
use crate::base::lock::lock;
use crate::catalog::registry::UnknownProcess;
use crate::install::live;
use crate::observe::{self, Sink};
use crate::run::carrier::{Carried, Carrier};
use crate::run::domain::own::{Own, Surroundings, outermost, runtime_clock};
use crate::run::domain::{Core, InFlight};
use crate::run::inflight;
use crate::run::inject::Injected;
use crate::run::unit::Unit;
use crate::stats::Stats;

/// Where a test's runs belong: those inside of [`Domain::run`] and [`Domain::call`]. A task or thread that
/// they spawn leaves the domain, and its runs count in the program's: spawn
/// `Carrier::current().carry(task)`, or [`Domain::carrier`]'s.
///
/// Paused time is tokio's feature `test-util`, among the test's own dependencies.
///
/// ```
/// use std::time::Duration;
/// use process_runtime::critical_process;
/// use process_runtime::testing::Domain;
///
/// #[critical_process(id = "slow", version = "1.0.0", sla = "2m")]
/// async fn slow() {
///     tokio::time::sleep(Duration::from_secs(150)).await;
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let domain = Domain::new();
/// domain.run(slow()).await;
/// assert_eq!(domain.stats("slow").unwrap().ended.late(), 1);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Domain {
    pub(super) core: Arc<Core>,
    pub(super) around: Arc<Around>,
    scope: Carrier,
}

/// What a domain is made of.
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct Builder {
    sinks: Vec<Arc<dyn Sink>>,
    in_flight: usize,
    capture: Option<Arc<Capture>>,
}

impl Builder {
    /// Tells this sink of every run.
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> Builder {
        self.sinks.push(sink);
        self
    }

    /// Tracks at most this many runs in flight; the default is that of the global domain.
    pub fn in_flight_limit(mut self, runs: usize) -> Builder {
        self.in_flight = runs;
        self
    }

    /// Keeps spans and events too.
    pub(super) fn capture(mut self, capture: Arc<Capture>) -> Builder {
        self.capture = Some(capture);
        self
    }

    /// The domain. Its clock starts now and is tokio's: make it inside of the test's runtime. Where that is
    /// not paused, or there is none, it is the real time.
    pub fn build(self) -> Domain {
        let Builder { mut sinks, in_flight, capture } = self;
        sinks.extend(capture.clone().map(|capture| capture as Arc<dyn Sink>));
        let around = Arc::new_cyclic(|this| Around {
            this: Weak::clone(this),
            plan: Plan::default(),
            waiter: Waiter::default(),
            capture,
        });
        let own = Own::new(Arc::clone(&around) as Arc<dyn Surroundings>);
        let core = Arc::new(Core::new(runtime_clock(), in_flight, sinks, Some(own)));
        let scope = Carrier::of(Arc::new(outermost(Arc::clone(&core), Vec::new())));
        Domain { core, around, scope }
    }
}

impl Default for Domain {
    fn default() -> Self {
        Domain::new()
    }
}

impl Domain {
    /// A domain without sinks.
    pub fn new() -> Domain {
        Domain::builder().build()
    }

    /// A domain with sinks.
    pub fn builder() -> Builder {
        Builder { sinks: Vec::new(), in_flight: inflight::LIMIT, capture: None }
    }

    /// Polls `future` in this domain. While it runs, every run of the domain that passes its SLA is told of
    /// at that moment of the runtime's time, also those in other tasks.
    ///
    /// # Panics
    /// Outside of a tokio runtime with a timer, once a run with an SLA begins, as `tokio::time::sleep` does.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        self.enter(future).await
    }

    pub(super) fn enter<F: Future>(&self, future: F) -> InDomain<F> {
        let future = Box::pin(self.scope.clone().carry(future));
        InDomain { core: Arc::clone(&self.core), around: Arc::clone(&self.around), future, deadline: None }
    }

    /// Calls `f` in this domain.
    pub fn call<R>(&self, f: impl FnOnce() -> R) -> R {
        self.scope.run(f)
    }

    /// Takes the domain into another task or thread; [`Carrier::current`] takes the run as well.
    pub fn carrier(&self) -> Carrier {
        self.scope.clone()
    }

    /// The figures of a process in this domain.
    ///
    /// # Errors
    /// With the nearest id, where there is no such process.
    pub fn stats(&self, id: &str) -> Result<Stats, UnknownProcess> {
        self.call(|| live::stats(id))
    }

    /// The runs that are going on in this domain.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.core.in_flight()
    }

    /// Runs that found no room among those in flight.
    pub fn untracked(&self) -> u64 {
        self.core.untracked()
    }

    /// Tells of every run that is past its SLA now; [`Domain::run`] does so by itself.
    pub fn tell_overdue(&self) {
        observe::scan(&self.core);
    }
}

/// What surrounds the runs of a test's domain.
#[derive(Debug)]
pub(crate) struct Around {
    this: Weak<Around>,
    /// What the test breaks.
    pub(super) plan: Plan,
    /// The task that waits for the next deadline.
    pub(super) waiter: Waiter,
    /// What keeps spans and events, in a domain that is observed.
    pub(super) capture: Option<Arc<Capture>>,
}

impl Surroundings for Around {
    fn run_began(&self) {
        self.waiter.wake();
    }

    fn within(&self, f: &mut dyn FnMut()) {
        match &self.capture {
            Some(capture) => capture.within(f),
            None => f(),
        }
    }

    fn injected(&self, unit: &'static Unit, run: u64, core: &Arc<Core>) -> Option<Injected> {
        self.plan.injected(&self.this.upgrade()?, unit, run, core)
    }
}

/// A future in a domain, which tells of what passes its SLA meanwhile.
#[derive(Debug)]
pub(super) struct InDomain<F> {
    core: Arc<Core>,
    around: Arc<Around>,
    future: Pin<Box<Carried<F>>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for InDomain<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.around.waiter.register(cx.waker());
        if let Poll::Ready(value) = self.future.as_mut().poll(cx) {
            return Poll::Ready(value);
        }
        while let Some(next) = observe::scan(&self.core) {
            let sleep = self.deadline.insert(Box::pin(tokio::time::sleep(next)));
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        Poll::Pending
    }
}

/// The task that waits for a domain's next deadline.
#[derive(Debug, Default)]
pub(super) struct Waiter(Mutex<Option<Waker>>);

impl Waiter {
    fn register(&self, waker: &Waker) {
        *lock(&self.0) = Some(waker.clone());
    }

    /// A run came whose deadline may be the next.
    pub(crate) fn wake(&self) {
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
