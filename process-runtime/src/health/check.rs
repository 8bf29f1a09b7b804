//! One check: executed once at a time, however many ask, and never waited for longer than its deadline. Its result is
//! good for a stated time, and then ages from pass to warn to fail, so that nobody trusts what nobody looks at any more.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use process_model::CheckTarget;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::registered::CheckDefinition;
use super::state::States;
use super::status::Status;
use super::synthetic::{Ran, Synthetic};
use super::verdict::{Checking, Verdict};
use crate::base::guard::attempt;
use crate::base::lock::lock;
use crate::catalog::registry;
use crate::instrument::execution;
use crate::run::deadline;

/// How long after its deadline a check may still tell of it itself.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// A check, and what came of it so far.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) definition: &'static CheckDefinition,
    slot: Mutex<Slot>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Slot {
    /// When the execution that goes on began.
    since: Option<Instant>,
    last: Option<Arc<Done>>,
}

/// One execution.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: Status,
    /// Why it is not a pass.
    pub(super) output: Option<String>,
    /// What ran meanwhile.
    pub(super) ran: Vec<Ran>,
    pub(super) took: Duration,
    /// When it ended.
    at: Instant,
    pub(super) when: SystemTime,
}

/// What is known of a check now.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) status: Status,
    pub(super) output: Option<String>,
    pub(super) done: Option<Arc<Done>>,
    pub(super) age: Option<Duration>,
    /// Whether an execution is past its deadline and does not let go.
    #[cfg(feature = "metrics")]
    is_stuck: bool,
}

impl Check {
    pub(super) fn new(definition: &'static CheckDefinition) -> Arc<Check> {
        Arc::new(Check { definition, slot: Mutex::default(), ended: Notify::new() })
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        lock(&self.slot)
    }

    /// How old a result may be, though nothing has refreshed it, before it is a warning.
    fn warns_after(&self) -> Duration {
        2 * self.definition.cached_for() + self.definition.timeout()
    }

    /// And before it is a failure.
    fn fails_after(&self) -> Duration {
        3 * self.definition.cached_for() + self.definition.timeout()
    }

    /// Has it executed, unless it is being executed, or was not long ago. One with a schedule is left to that, as long
    /// as that works.
    pub(super) fn want(self: &Arc<Check>, states: &Arc<States>, runtime: Option<&Handle>) {
        let is_scheduled = self.definition.every().is_some();
        let age = if is_scheduled { self.warns_after() } else { self.definition.cached_for() };
        self.begin_unless_younger(age, states, runtime);
    }

    /// Has it executed, unless it is being executed.
    pub(super) fn begin(self: &Arc<Check>, states: &Arc<States>, runtime: Option<&Handle>) {
        self.begin_unless_younger(Duration::ZERO, states, runtime);
    }

    fn begin_unless_younger(
        self: &Arc<Check>,
        age: Duration,
        states: &Arc<States>,
        runtime: Option<&Handle>,
    ) {
        let mut slot = self.slot();
        let is_young = slot.last.as_ref().is_some_and(|last| last.at.elapsed() < age);
        if slot.since.is_some() || is_young {
            return;
        }
        slot.since = Some(Instant::now());
        drop(slot);
        let running = Running { check: Arc::clone(self), synthetic: Synthetic::new(), verdict: None };
        let states = Arc::clone(states);
        match runtime.cloned().or_else(|| Handle::try_current().ok()) {
            // Without anybody who waits: whoever asked may go, and others have come.
            Some(runtime) => drop(runtime.spawn(running.execute(states))),
            None => running.end(Verdict::Fail("health checks need a tokio runtime".to_owned())),
        }
    }

    /// Waits for the execution that is going on, if one is, but not longer than until `end` or its deadline.
    pub(super) async fn settled(&self, end: Instant) {
        let mut ended = std::pin::pin!(self.ended.notified());
        ended.as_mut().enable();
        let since = self.slot().since;
        if let Some(since) = since {
            let end = end.min(since + self.definition.timeout() + GRACE);
            let _ = timeout_at(end, ended).await;
        }
    }

    /// How long the execution that goes on has, or the last one took.
    #[cfg(feature = "sentry")]
    pub(super) fn took(&self) -> Option<Duration> {
        let slot = self.slot();
        slot.since.map(|since| since.elapsed()).or_else(|| slot.last.as_ref().map(|last| last.took))
    }

    /// The last state. That ages where a schedule should refresh it, and not where perhaps nobody has asked.
    #[cfg(feature = "metrics")]
    pub(super) fn last_state(&self) -> Option<Status> {
        let Reading { status, done, is_stuck, .. } = self.reading();
        if is_stuck {
            return Some(status);
        }
        let is_scheduled = self.definition.every().is_some();
        done.map(|done| if is_scheduled { status } else { done.status })
    }

    /// What is known now.
    #[cfg(any(feature = "metrics", feature = "sentry"))]
    pub(super) fn reading(&self) -> Reading {
        self.reading_for(Instant::now())
    }

    /// What is known to somebody who asked then, and has waited since: what was young is not old for that.
    pub(super) fn reading_for(&self, asked: Instant) -> Reading {
        let slot = self.slot();
        let (since, last) = (slot.since, slot.last.clone());
        drop(slot);
        let age = last.as_ref().map(|last| asked.saturating_duration_since(last.at));
        let timeout = self.definition.timeout();
        let is_stuck = since.is_some_and(|since| since.elapsed() > timeout);
        let (status, output) = match (&last, age) {
            _ if is_stuck => {
                (Status::Fail, Some(format!("no answer within {timeout:?}, and it is still going on")))
            }
            // It is being refreshed, as it should be.
            (Some(last), Some(age)) if since.is_some() && age > self.warns_after() => {
                (last.status.max(Status::Warn), Some(format!("{}, and the next goes on", aged(age))))
            }
            (Some(_), Some(age)) if age > self.fails_after() => (Status::Fail, Some(aged(age))),
            (Some(last), Some(age)) if age > self.warns_after() && last.status == Status::Pass => {
                (Status::Warn, Some(aged(age)))
            }
            (Some(last), _) => (last.status, last.output.clone()),
            (None, _) if since.is_some() => (Status::Fail, Some("the first check goes on".to_owned())),
            (None, _) => (Status::Fail, Some("it has not been checked yet".to_owned())),
        };
        Reading {
            status,
            output,
            done: last,
            age,
            #[cfg(feature = "metrics")]
            is_stuck,
        }
    }
}

fn aged(age: Duration) -> String {
    format!("the last check was {:.0?} ago", Duration::from_secs(age.as_secs()))
}

/// An execution. However it ends, that is told.
#[derive(Debug)]
struct Running {
    check: Arc<Check>,
    synthetic: Synthetic,
    verdict: Option<Verdict>,
}

impl Running {
    async fn execute(self, states: Arc<States>) {
        let timeout = self.check.definition.timeout();
        let begun = attempt(|| self.check.definition.begin(&states));
        let verdict = match begun {
            Err(_) => panicked(),
            Ok(Err(missing)) => Verdict::Fail(missing.to_string()),
            Ok(Ok(checking)) => {
                let checking = self.synthetic.carry(unwinding(checking));
                let within = deadline::timeout(timeout, checking).await;
                within.unwrap_or_else(|_| Verdict::Fail(format!("no answer within {timeout:?}")))
            }
        };
        self.end(verdict);
    }

    fn end(mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let verdict = self.verdict.take();
        let verdict = verdict.unwrap_or_else(|| Verdict::Fail(CANCELLED.to_owned()));
        let ran = self.synthetic.take();
        let (status, output) = judge(verdict, self.check.definition.target(), &ran);
        let output = output.map(bounded);
        let mut slot = self.check.slot();
        let took = slot.since.take().map(|since| since.elapsed()).unwrap_or_default();
        let done = Done { status, output, ran, took, at: Instant::now(), when: SystemTime::now() };
        slot.last = Some(Arc::new(done));
        drop(slot);
        self.check.ended.notify_waiters();
    }
}

/// What becomes of a check whose runtime ends.
const CANCELLED: &str = "it was cancelled: has the runtime ended that `health::Setup::start` was called in?";

/// The longest text that is kept of a check, in bytes: it is in every answer.
const LONGEST: usize = 1024;

/// As much of a text as is kept.
pub(super) fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

fn panicked() -> Verdict {
    Verdict::Fail("it panicked".to_owned())
}

/// A panic of the check as a verdict, also where it is dropped.
async fn unwinding(checking: Checking) -> Verdict {
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

/// What a check says, and what it really did: a probe must have run its process, and well.
fn judge(verdict: Verdict, target: &CheckTarget, ran: &[Ran]) -> (Status, Option<String>) {
    let (said, text) = match verdict {
        Verdict::Pass => (Status::Pass, None),
        Verdict::Warn(text) => (Status::Warn, Some(text)),
        Verdict::Fail(text) => (Status::Fail, Some(text)),
    };
    let CheckTarget::Process(id) = target else { return (said, text) };
    if said == Status::Fail {
        return (said, text);
    }
    let of_process = |ran: &&Ran| ran.process == Some(id.as_str()) && ran.part.is_none();
    let Some(run) = ran.iter().find(of_process) else {
        return match execution::is_enabled() {
            true => (Status::Fail, Some(format!("the probe did not run `{id}`"))),
            false => {
                (said.max(Status::Warn), Some("instrumentation is off: only the check tells".to_owned()))
            }
        };
    };
    let went = run.status();
    if went <= said {
        return (said, text);
    }
    let sla = registry::get(id).map(|process| process.sla()).unwrap_or_default();
    let late = if run.late { format!(", late: it took {:.1?} of {sla:?}", run.took) } else { String::new() };
    let kind = run.error_type.map(|kind| format!(", {kind}")).unwrap_or_default();
    (went, Some(format!("{}{late}{kind}", run.outcome)))
}
