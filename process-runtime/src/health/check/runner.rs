//! Executes one check, at most once at a time, and keeps the latest result. If a result is not replaced in time, a
//! pass becomes a warning and later a failure. A response therefore never relies on a check whose executions
//! have stopped. The rules of ageing do not belong here (`age`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::age::{Aged, Ageing};
use super::conclusion::{bounded, conclude};
use super::linked_checks::CheckDefinition;
use super::state::States;
use super::status::Status;
use super::synthetic::{EndedRun, Synthetic};
use super::verdict::{CheckVerdict, Checking};
use crate::base::guard::attempt;
use crate::base::lock::lock;
use crate::run::deadline;

/// The time for which a request still waits after a check has passed its timeout. An execution that times out records
/// its failure within this time.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// A check, its latest result, and the start time of its running execution, if there is one.
#[derive(Debug)]
pub(crate) struct CheckRunner {
    pub(crate) definition: &'static CheckDefinition,
    progress: Mutex<Progress>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Progress {
    /// When the running execution began. `None` if no execution is running.
    since: Option<Instant>,
    last: Option<Arc<Completed>>,
}

/// An execution that has ended.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) status: Status,
    /// The reason if the status is not a pass.
    pub(crate) output: Option<String>,
    /// The runs that ended during the execution.
    pub(crate) runs: Vec<EndedRun>,
    pub(crate) took: Duration,
    /// When the execution ended, on the runtime's clock. `checked_at` is the same time on the wall clock.
    at: Instant,
    pub(crate) checked_at: SystemTime,
}

/// The state of a check at one moment.
#[derive(Clone, Debug)]
pub(crate) struct CheckReading {
    pub(crate) status: Status,
    pub(crate) output: Option<String>,
    pub(crate) last: Option<Arc<Completed>>,
    pub(crate) age: Option<Duration>,
    /// Whether an execution is still running after its timeout.
    #[cfg(feature = "metrics")]
    is_stuck: bool,
}

impl CheckRunner {
    pub(crate) fn new(definition: &'static CheckDefinition) -> Arc<CheckRunner> {
        Arc::new(CheckRunner { definition, progress: Mutex::default(), ended: Notify::new() })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    fn ageing(&self) -> Ageing {
        Ageing { cached_for: self.definition.cached_for(), timeout: self.definition.timeout() }
    }

    /// Starts an execution for a request, unless an execution is running or the latest result is recent enough.
    /// Without a schedule, a result is recent enough as long as it is valid. With a schedule, the schedule should
    /// replace the result. A request therefore starts an execution only if age would make the result a warning.
    pub(crate) fn refresh(self: &Arc<CheckRunner>, states: &Arc<States>, runtime: Option<&Handle>) {
        let is_scheduled = self.definition.every().is_some();
        let age = if is_scheduled { self.ageing().warns_after() } else { self.definition.cached_for() };
        self.execute_unless_younger(age, states, runtime);
    }

    /// Starts an execution, unless an execution is running.
    pub(crate) fn execute(self: &Arc<CheckRunner>, states: &Arc<States>, runtime: Option<&Handle>) {
        self.execute_unless_younger(Duration::ZERO, states, runtime);
    }

    fn execute_unless_younger(
        self: &Arc<CheckRunner>,
        age: Duration,
        states: &Arc<States>,
        runtime: Option<&Handle>,
    ) {
        let mut progress = self.progress();
        let is_young = progress.last.as_ref().is_some_and(|last| last.at.elapsed() < age);
        if progress.since.is_some() || is_young {
            return;
        }
        progress.since = Some(Instant::now());
        drop(progress);
        let execution = Execution { check: Arc::clone(self), synthetic: Synthetic::new(), verdict: None };
        let states = Arc::clone(states);
        match runtime.cloned().or_else(|| Handle::try_current().ok()) {
            // The execution is a separate task, because the request that started it may end early while other
            // requests still wait for the result.
            Some(runtime) => drop(runtime.spawn(execution.run(states))),
            None => execution.end(CheckVerdict::Fail(
                "the check needs a tokio runtime; call `health::Setup::start` inside one".to_owned(),
            )),
        }
    }

    /// Waits until the running execution ends. Stops waiting at `end`, or when the execution has passed its timeout
    /// by [`GRACE`], whichever is earlier. Returns at once if no execution is running.
    pub(crate) async fn wait(&self, end: Instant) {
        let mut ended = std::pin::pin!(self.ended.notified());
        ended.as_mut().enable();
        let since = self.progress().since;
        if let Some(since) = since {
            let end = end.min(since + self.definition.timeout() + GRACE);
            let _ = timeout_at(end, ended).await;
        }
    }

    /// Returns how long the running execution has taken so far. If no execution is running, returns how long the last
    /// execution took, or `None` if there was none.
    #[cfg(feature = "sentry")]
    pub(crate) fn took(&self) -> Option<Duration> {
        let progress = self.progress();
        progress.since.map(|since| since.elapsed()).or_else(|| progress.last.as_ref().map(|last| last.took))
    }

    /// Returns the status for the metrics: a failure if the running execution is past its timeout, otherwise the
    /// status of the latest result, or `None` if no execution has ended yet. If the check has a schedule, age
    /// makes the status worse. Without a schedule it does not, because the result may be old only because no request
    /// came.
    #[cfg(feature = "metrics")]
    pub(crate) fn last_status(&self) -> Option<Status> {
        let CheckReading { status, last, is_stuck, .. } = self.reading();
        if is_stuck {
            return Some(status);
        }
        let is_scheduled = self.definition.every().is_some();
        last.map(|last| if is_scheduled { status } else { last.status })
    }

    /// Returns the state of the check now.
    #[cfg(any(feature = "metrics", feature = "sentry"))]
    pub(crate) fn reading(&self) -> CheckReading {
        self.reading_for(Instant::now())
    }

    /// Returns the state of the check for a request that came in at `asked`. The age of the result is measured at
    /// that time, so the time that the request has waited since then does not count.
    pub(crate) fn reading_for(&self, asked: Instant) -> CheckReading {
        let progress = self.progress();
        let (since, last) = (progress.since, progress.last.clone());
        drop(progress);
        let age = last.as_ref().map(|last| asked.saturating_duration_since(last.at));
        let ageing = self.ageing();
        let running = since.map(|since| since.elapsed());
        let aged = last.as_ref().zip(age).map(|(last, age)| Aged {
            status: last.status,
            output: last.output.as_deref(),
            age,
        });
        let (status, output) = ageing.status(aged, running);
        CheckReading {
            status,
            output,
            last,
            age,
            #[cfg(feature = "metrics")]
            is_stuck: ageing.is_stuck(running),
        }
    }
}

/// One execution of a check. When this value is dropped, it records the result of the execution. A cancelled
/// execution therefore has a result too.
#[derive(Debug)]
struct Execution {
    check: Arc<CheckRunner>,
    synthetic: Synthetic,
    verdict: Option<CheckVerdict>,
}

impl Execution {
    async fn run(self, states: Arc<States>) {
        let timeout = self.check.definition.timeout();
        let begun = attempt(|| self.check.definition.begin(&states));
        let verdict = match begun {
            Err(_) => panicked(),
            Ok(Err(missing)) => CheckVerdict::Fail(missing.to_string()),
            Ok(Ok(checking)) => {
                let checking = self.synthetic.carry(catching(checking));
                let within = deadline::timeout(timeout, checking).await;
                within.unwrap_or_else(|_| CheckVerdict::Fail(format!("no answer within {timeout:?}")))
            }
        };
        self.end(verdict);
    }

    fn end(mut self, verdict: CheckVerdict) {
        self.verdict = Some(verdict);
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        let verdict = self.verdict.take();
        let verdict = verdict.unwrap_or_else(|| CheckVerdict::Fail(CANCELLED.to_owned()));
        let runs = self.synthetic.take();
        let (status, output) = conclude(verdict, self.check.definition.target(), &runs);
        let output = output.map(bounded);
        let mut progress = self.check.progress();
        let took = progress.since.take().map(|since| since.elapsed()).unwrap_or_default();
        let (at, checked_at) = (Instant::now(), SystemTime::now());
        progress.last = Some(Arc::new(Completed { status, output, runs, took, at, checked_at }));
        drop(progress);
        self.check.ended.notify_waiters();
    }
}

/// The reason for the failure of an execution that was dropped before it ended. This happens when a runtime shuts
/// down.
const CANCELLED: &str =
    "the check was cancelled, probably because the runtime that called `health::Setup::start` has shut down";

fn panicked() -> CheckVerdict {
    CheckVerdict::Fail("the check panicked".to_owned())
}

/// Awaits the future of a check, and turns a panic of the future into a verdict. Ignores a panic that occurs while
/// the future is dropped.
async fn catching(checking: Checking) -> CheckVerdict {
    struct Guarded(Option<Checking>);
    impl Drop for Guarded {
        fn drop(&mut self) {
            let _ = attempt(|| drop(self.0.take()));
        }
    }
    let mut guarded = Guarded(Some(checking));
    std::future::poll_fn(|cx| {
        let Some(checking) = &mut guarded.0 else { return Poll::Ready(panicked()) };
        let polled = attempt(|| Pin::new(checking).poll(cx));
        polled.unwrap_or_else(|_| Poll::Ready(panicked()))
    })
    .await
}
