//! Isolates the runs of a test in a domain of their own. A domain has a clock, statistics, a table of runs in flight,
//! sinks and planned faults. All of them are separate from those of the program and of other tests. The clock follows
//! tokio's clock, so runs use paused time if the test pauses tokio's clock. Captured data and expectations do not
//! belong here; they are in `observing`.

pub(in crate::testing) mod fault;
pub(in crate::testing) mod observe;
mod plan;
mod waiter;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Sleep;

use self::plan::Plan;
use self::waiter::Waiter;
use crate::catalog::registry::UnknownProcess;
use crate::install::live;
use crate::observe::{Sink, scan};
use crate::run::carrier::{Carried, Carrier};
use crate::run::domain::own::{Own, Surroundings, outermost, runtime_clock};
use crate::run::domain::sink::NamedSink;
use crate::run::domain::{Core, InFlight};
use crate::run::inflight;
use crate::run::inject::Injected;
use crate::run::unit::Unit;
use crate::stats::Stats;
use crate::testing::observing::capture::Capture;

/// An isolated domain for the runs of one test, with its own statistics, runs in flight, sinks and clock. All runs
/// inside [`Domain::run`] and [`Domain::call`] belong to the domain. A spawned task or thread is outside the domain,
/// and its runs count in the program's domain. To keep a task inside, spawn `Carrier::current().carry(task)`, or use
/// [`Domain::carrier`].
///
/// To pause time, add tokio's feature `test-util` to the dev-dependencies.
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
    core: Arc<Core>,
    around: Arc<Around>,
    scope: Carrier,
}

/// Configures a [`Domain`].
#[derive(Debug)]
#[must_use = "a builder does nothing before `build`"]
pub struct DomainBuilder {
    sinks: Vec<NamedSink>,
    in_flight: usize,
    capture: Option<Arc<Capture>>,
}

impl DomainBuilder {
    /// Adds a sink that receives every run in the domain.
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> DomainBuilder {
        self.sinks.push(NamedSink::of_test(sink));
        self
    }

    /// Sets how many runs in flight are tracked at most. [`Domain::untracked`] counts the runs beyond this limit. The
    /// default is the limit of the program's domain.
    pub fn in_flight_limit(mut self, runs: usize) -> DomainBuilder {
        self.in_flight = runs;
        self
    }

    /// Adds a capture of the runs, spans and Sentry events in the domain.
    fn capture(mut self, capture: Arc<Capture>) -> DomainBuilder {
        self.capture = Some(capture);
        self
    }

    /// Creates the domain. Its clock starts now and follows the clock of the current tokio runtime, so call this
    /// inside the test's runtime. Without a runtime, or if the runtime's clock is not paused, the domain uses
    /// real time.
    pub fn build(self) -> Domain {
        let DomainBuilder { mut sinks, in_flight, capture } = self;
        sinks.extend(capture.clone().map(NamedSink::new));
        let waiter = Arc::new(Waiter::default());
        let plan = Arc::new(Plan::new(Arc::clone(&waiter), capture.clone()));
        let around = Arc::new(Around { plan, waiter, capture });
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
    /// Creates a domain without sinks.
    pub fn new() -> Domain {
        Domain::builder().build()
    }

    /// Returns a builder, which can add sinks and limit the number of tracked runs.
    pub fn builder() -> DomainBuilder {
        DomainBuilder { sinks: Vec::new(), in_flight: inflight::LIMIT, capture: None }
    }

    /// Runs a future in this domain. While the future is running, a run of the domain is reported as overdue as soon
    /// as the run exceeds its SLA, even if the run is in another task. Time is measured by the runtime's clock.
    ///
    /// # Panics
    /// Outside of a tokio runtime with a timer, if the future waits while a run with an SLA is in flight. The domain
    /// then calls `tokio::time::sleep`, which panics there.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        self.enter(future).await
    }

    fn enter<F: Future>(&self, future: F) -> InDomain<F> {
        let future = Box::pin(self.scope.clone().carry(future));
        InDomain { core: Arc::clone(&self.core), around: Arc::clone(&self.around), future, deadline: None }
    }

    /// Calls `f` in this domain.
    pub fn call<R>(&self, f: impl FnOnce() -> R) -> R {
        self.scope.run(f)
    }

    /// Returns a carrier that carries the domain into another task or thread, without the current run.
    /// [`Carrier::current`] carries the domain and the current run.
    pub fn carrier(&self) -> Carrier {
        self.scope.clone()
    }

    /// Returns the statistics of a process in this domain.
    ///
    /// # Errors
    /// If no process has this id. The error suggests a similar id if there is one.
    pub fn stats(&self, id: &str) -> Result<Stats, UnknownProcess> {
        self.call(|| live::stats(id))
    }

    /// Returns the tracked runs of this domain that have not ended.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.core.in_flight()
    }

    /// Returns how many runs of this domain were not tracked because the limit of runs in flight was reached.
    pub fn untracked(&self) -> u64 {
        self.core.untracked()
    }

    /// Reports as overdue every run that has exceeded its SLA and was not reported before. Use this with
    /// [`Domain::call`]; [`Domain::run`] reports overdue runs automatically.
    pub fn report_overdue(&self) {
        scan(&self.core);
    }
}

/// The parts that a test's domain has in addition to those of every domain.
#[derive(Debug)]
struct Around {
    plan: Arc<Plan>,
    waiter: Arc<Waiter>,
    /// The captured runs, spans and events; `None` unless the domain belongs to an observation.
    capture: Option<Arc<Capture>>,
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
        self.plan.injected(unit, run, core)
    }
}

/// A future that runs in a domain. Each poll that leaves the future pending also reports the runs that have exceeded
/// their SLA.
#[derive(Debug)]
struct InDomain<F> {
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
        while let Some(next) = scan(&self.core) {
            let sleep = self.deadline.insert(Box::pin(tokio::time::sleep(next)));
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        Poll::Pending
    }
}
