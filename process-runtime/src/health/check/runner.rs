//! Executes one check, at most once at a time, and keeps the latest result. If a result is not replaced in time, a
//! pass becomes a warning and later a failure. A response therefore never relies on a check whose executions
//! have stopped. An execution may block its thread, which belongs to it alone. The rules of ageing do not belong here
//! (`age`), and neither do threads (`runtime`).

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::age::Ageing;
use super::conclusion::conclude;
use super::condition::Condition;
use super::linked_checks::CheckDefinition;
use super::reason::Reason;
use super::state::States;
use super::status::Status;
use super::synthetic::{EndedRun, Synthetic};
use super::verdict::{CheckVerdict, Checking};
use crate::base::foreign::guard::attempt;
use crate::base::lock::lock;
use crate::base::notices;
use crate::health::runtime::{Home, Timer, sleep_until};
use crate::run::deadline;

/// The time for which a request still waits after a check has passed its timeout. An execution that times out records
/// its failure within this time.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// The duration of a call to the code of a check above which the check blocks its thread. A check whose timeout is
/// shorter blocks its thread above its timeout.
const BLOCKING: Duration = Duration::from_secs(1);

/// A check, its latest result, and the start time of its running execution, if there is one.
#[derive(Debug)]
pub(crate) struct CheckRunner {
    pub(crate) definition: &'static CheckDefinition,
    progress: Mutex<Progress>,
    /// Whether a thread is in the code of the check.
    is_called: AtomicBool,
    /// Whether the code of the check has blocked its thread during the latest execution.
    has_blocked: AtomicBool,
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
    pub(crate) condition: Condition,
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
    pub(crate) condition: Condition,
    pub(crate) last: Option<Arc<Completed>>,
    pub(crate) age: Option<Duration>,
    /// How long an execution that is past its timeout has run so far.
    #[cfg(feature = "metrics")]
    stuck_for: Option<Duration>,
}

impl CheckRunner {
    pub(crate) fn new(definition: &'static CheckDefinition) -> Arc<CheckRunner> {
        Arc::new(CheckRunner {
            definition,
            progress: Mutex::default(),
            is_called: AtomicBool::new(false),
            has_blocked: AtomicBool::new(false),
            ended: Notify::new(),
        })
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
    pub(crate) fn refresh(self: &Arc<CheckRunner>, states: &Arc<States>, home: Option<&Home>) {
        let is_scheduled = self.definition.every().is_some();
        let age = if is_scheduled { self.ageing().warns_after() } else { self.definition.cached_for() };
        self.execute_unless_younger(age, states, home);
    }

    /// Starts an execution, unless an execution is running.
    pub(crate) fn execute(self: &Arc<CheckRunner>, states: &Arc<States>, home: Option<&Home>) {
        self.execute_unless_younger(Duration::ZERO, states, home);
    }

    fn execute_unless_younger(
        self: &Arc<CheckRunner>,
        age: Duration,
        states: &Arc<States>,
        home: Option<&Home>,
    ) {
        let mut progress = self.progress();
        let is_young = progress.last.as_ref().is_some_and(|last| last.at.elapsed() < age);
        if progress.since.is_some() || is_young {
            return;
        }
        let Some(home) = home.cloned().or_else(Home::current) else {
            drop(progress);
            let mut execution = Execution::new(self, Instant::now());
            execution.ended = Some(Ok(CheckVerdict::Fail(NO_RUNTIME.to_owned())));
            return;
        };
        let began = home.within(Instant::now);
        progress.since = Some(began);
        drop(progress);
        self.has_blocked.store(false, Ordering::Relaxed);
        let (check, states) = (Arc::clone(self), Arc::clone(states));
        let name = format!("check {}", self.definition.target().id());
        // The execution does not run inside the request that started it, because the request may end early while other
        // requests still wait for the result.
        let begin = |timer| Execution::new(&check, began).run(states, timer);
        if let Err(error) = home.run(name, self.definition.timeout(), begin) {
            notices::once(format!("cannot start a thread for the check {}: {error}", self.place()));
        }
    }

    /// Waits until the running execution ends. Stops waiting at `end`, or when the execution has passed its timeout
    /// by [`GRACE`], whichever is earlier. Returns at once if no execution is running.
    pub(crate) async fn wait(&self, end: Instant) {
        let mut ended = pin!(self.ended.notified());
        ended.as_mut().enable();
        let since = self.progress().since;
        if let Some(since) = since {
            let end = end.min(since + self.definition.timeout() + GRACE);
            let mut end = pin!(sleep_until(end));
            let has_ended = poll_fn(|cx| match ended.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => end.as_mut().poll(cx).map(|()| false),
            });
            if !has_ended.await && self.is_stuck_in_a_call() {
                self.report_blocking();
            }
        }
    }

    /// Calls the code of the check. Returns `None` if it panics. Reports the check if the call has blocked its thread.
    fn call<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let began = std::time::Instant::now();
        self.is_called.store(true, Ordering::Relaxed);
        let returned = attempt(f).ok();
        self.is_called.store(false, Ordering::Relaxed);
        if began.elapsed() > BLOCKING.min(self.definition.timeout()) {
            self.has_blocked.store(true, Ordering::Relaxed);
            self.report_blocking();
        }
        returned
    }

    /// Returns whether the running execution is past its timeout, and its thread is still in the code of the check.
    fn is_stuck_in_a_call(&self) -> bool {
        let running = self.progress().since.map(|since| since.elapsed());
        self.ageing().is_stuck(running) && self.is_called.load(Ordering::Relaxed)
    }

    fn report_blocking(&self) {
        let place = self.place();
        notices::once(format!(
            "the check {place} blocks its thread, so its timeout cannot stop it; await in it instead, or use \
             `tokio::task::spawn_blocking`"
        ));
    }

    fn place(&self) -> String {
        let definition = self.definition;
        format!("`{}` at {}:{}", definition.handler(), definition.file(), definition.line())
    }

    /// Returns the condition of an execution that is past its timeout. It names a check that blocks its thread.
    fn timed_out(&self) -> Condition {
        let blocks = self.has_blocked.load(Ordering::Relaxed) || self.is_called.load(Ordering::Relaxed);
        let blocks = if blocks { format!("; {} blocks its thread", self.place()) } else { String::new() };
        let text = format!("no answer within {:?}{blocks}", self.definition.timeout());
        Condition::new(Status::Fail, Reason::CheckTimedOut, text)
    }

    /// Returns how long the running execution has taken so far. If no execution is running, returns how long the last
    /// execution took, or `None` if there was none.
    #[cfg(feature = "sentry")]
    pub(crate) fn took(&self) -> Option<Duration> {
        let progress = self.progress();
        progress.since.map(|since| since.elapsed()).or_else(|| progress.last.as_ref().map(|last| last.took))
    }

    /// Returns the status and the age for the metrics, or `None` if no execution has ended or is past its timeout yet.
    /// The status is a failure if the running execution is past its timeout, otherwise the status of the latest result.
    /// If the check has a schedule, age makes the status worse. Without a schedule it does not, because the result may
    /// be old only because no request came. The age is that of the latest result, or without one the time since the
    /// execution began.
    #[cfg(feature = "metrics")]
    pub(crate) fn measured(&self) -> Option<(Status, Duration)> {
        let CheckReading { condition, last, age, stuck_for } = self.reading();
        let is_current = stuck_for.is_some() || self.definition.every().is_some();
        let of_last = last.filter(|_| !is_current).map(|last| last.condition.status);
        Some((of_last.unwrap_or(condition.status), age.or(stuck_for)?))
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
        let is_stuck = ageing.is_stuck(running);
        let condition = match last.as_ref().zip(age) {
            _ if is_stuck => self.timed_out(),
            Some((last, age)) => ageing.condition(Some((&last.condition, age)), running),
            None => ageing.condition(None, running),
        };
        CheckReading {
            condition,
            last,
            age,
            #[cfg(feature = "metrics")]
            stuck_for: running.filter(|_| is_stuck),
        }
    }
}

/// One execution of a check. When this value is dropped, it records the result of the execution. A cancelled
/// execution therefore has a result too.
#[derive(Debug)]
struct Execution {
    check: Arc<CheckRunner>,
    began: Instant,
    synthetic: Synthetic,
    /// The verdict of the check, or a condition that has another source. `None` while the check runs.
    ended: Option<Result<CheckVerdict, Condition>>,
}

impl Execution {
    fn new(check: &Arc<CheckRunner>, began: Instant) -> Execution {
        Execution {
            check: Arc::clone(check),
            began,
            synthetic: Synthetic::new(),
            ended: Some(Ok(CheckVerdict::Fail(NOT_STARTED.to_owned()))),
        }
    }

    /// Runs the check until it ends, but not longer than `timer`. A check that ends after its timeout has failed.
    async fn run(mut self, states: Arc<States>, timer: Timer) {
        self.ended = None;
        let ended = self.execute(&states, timer).await;
        let is_late = self.began.elapsed() > self.check.definition.timeout();
        let in_time = ended.filter(|_| !is_late);
        self.ended = Some(in_time.ok_or_else(|| self.check.timed_out()));
    }

    /// Returns the verdict, or `None` if the check is still running when the timer ends.
    async fn execute(&self, states: &States, timer: Timer) -> Option<CheckVerdict> {
        match self.check.call(|| self.check.definition.begin(states)) {
            None => Some(panicked()),
            Some(Err(missing)) => Some(CheckVerdict::Fail(missing.to_string())),
            Some(Ok(checking)) => {
                let checking = self.synthetic.carry(catching(Arc::clone(&self.check), checking));
                deadline::stop_after(timer, checking).await
            }
        }
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        let ended = self.ended.take().unwrap_or_else(|| Ok(CheckVerdict::Fail(CANCELLED.to_owned())));
        let runs = self.synthetic.take();
        let condition = match ended {
            Ok(verdict) => conclude(verdict, self.check.definition.target(), &runs),
            Err(condition) => condition,
        };
        let took = self.began.elapsed();
        let mut progress = self.check.progress();
        progress.since = None;
        let (at, checked_at) = (Instant::now(), SystemTime::now());
        progress.last = Some(Arc::new(Completed { condition, runs, took, at, checked_at }));
        drop(progress);
        self.check.ended.notify_waiters();
    }
}

/// The reason for the failure of an execution that no runtime can run.
const NO_RUNTIME: &str = "the check needs a tokio runtime; call `health::Setup::start` inside one";

/// The reason for the failure of an execution whose thread or task has not started.
const NOT_STARTED: &str = "the check could not be started";

/// The reason for the failure of an execution that was dropped before it ended. This happens when a runtime shuts
/// down.
const CANCELLED: &str =
    "the check was cancelled, probably because the runtime that called `health::Setup::start` has shut down";

fn panicked() -> CheckVerdict {
    CheckVerdict::Fail("the check panicked".to_owned())
}

/// Awaits the future of a check, and turns a panic of the future into a verdict. Ignores a panic that occurs while
/// the future is dropped.
async fn catching(check: Arc<CheckRunner>, checking: Checking) -> CheckVerdict {
    struct Guarded(Arc<CheckRunner>, Option<Checking>);
    impl Drop for Guarded {
        fn drop(&mut self) {
            let Guarded(check, checking) = self;
            if let Some(checking) = checking.take() {
                check.call(|| drop(checking));
            }
        }
    }
    let mut guarded = Guarded(check, Some(checking));
    poll_fn(|cx| {
        let Guarded(check, Some(checking)) = &mut guarded else { return Poll::Ready(panicked()) };
        let polled = check.call(|| Pin::new(checking).poll(cx));
        polled.unwrap_or_else(|| Poll::Ready(panicked()))
    })
    .await
}
