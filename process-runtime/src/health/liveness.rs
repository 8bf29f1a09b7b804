//! Liveness: the heartbeat of the runtime, and the checks of the program itself. A report of liveness awaits nothing,
//! and takes no lock while foreign code runs. Checks of processes and dependencies do not belong here, because a
//! restart does not repair them.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::check::{Condition, Reason, Status, within_limit};
use super::health_report::{PartReport, Report, add_worse};
use super::runtime::Home;
use crate::base::foreign::guard::attempt;
use crate::base::lock::{lock, unpoisoned};
use crate::base::notices;

/// A check of the program itself. It is a plain function, so it holds no state and cannot await. It should not block.
pub type LivenessCheck = fn() -> Result<(), String>;

/// The name of the heartbeat in a report.
const HEARTBEAT: &str = "runtime";
/// The maximum time for which a report waits for the checks.
const PATIENCE: Duration = Duration::from_millis(50);
/// The longest interval of the heartbeat.
const INTERVAL: Duration = Duration::from_secs(1);
/// The shortest limit of the heartbeat.
const SHORTEST: Duration = Duration::from_millis(100);

/// What liveness consists of.
#[derive(Debug)]
pub(super) struct LivenessSetup {
    pub(super) checks: Vec<(&'static str, LivenessCheck)>,
    /// How long the heartbeat may be missing. `None` turns it off.
    pub(super) limit: Option<Duration>,
}

impl Default for LivenessSetup {
    fn default() -> LivenessSetup {
        LivenessSetup { checks: Vec::new(), limit: Some(Duration::from_secs(30)) }
    }
}

/// The liveness of the program.
#[derive(Debug)]
pub(super) struct Liveness {
    checks: Vec<Arc<Watched>>,
    home: Option<Home>,
    limit: Option<Duration>,
}

impl Liveness {
    /// Starts the heartbeat in the current runtime, if there is one.
    pub(super) fn start(setup: LivenessSetup) -> Liveness {
        let limit = setup.limit.map(|limit| limit.max(SHORTEST));
        let home = Home::with_heartbeat(limit.map_or(INTERVAL, |limit| INTERVAL.min(limit / 4)));
        if home.is_none() && limit.is_some() {
            notices::once(
                "liveness has no heartbeat; call `health::Setup::start` inside a tokio runtime, or turn the heartbeat \
                 off with `health::Setup::heartbeat`",
            );
        }
        let watched =
            |(name, check)| Arc::new(Watched { name, check, run: Mutex::default(), ended: Condvar::new() });
        Liveness { checks: setup.checks.into_iter().map(watched).collect(), home, limit }
    }

    /// Returns the runtime that has the heartbeat.
    pub(super) fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    /// Reports on the heartbeat and the checks.
    pub(super) fn report(&self) -> Report {
        let mut parts = BTreeMap::new();
        self.checks.iter().for_each(Watched::start);
        for check in &self.checks {
            add_worse(&mut parts, check.name, PartReport::new(check.condition(self.limit)));
        }
        if let (Some(home), Some(limit)) = (&self.home, self.limit) {
            add_worse(&mut parts, HEARTBEAT, PartReport::new(heartbeat(home, limit)));
        }
        Report::from_parts(parts)
    }
}

/// Returns the condition of a runtime whose heartbeat may be missing for `limit`.
fn heartbeat(home: &Home, limit: Duration) -> Condition {
    let stalled = |text| Condition::new(Status::Fail, Reason::RuntimeStalled, text);
    let silent_for = home.silent_for();
    match () {
        () if home.has_ended() => {
            stalled("the runtime that called `health::Setup::start` has shut down".to_owned())
        }
        () if silent_for > limit => stalled(format!("the runtime has run no task for {silent_for:.1?}")),
        () => Condition::PASS,
    }
}

/// A check of the program itself, with its latest result. It runs on a thread of its own, at most once at a time.
#[derive(Debug)]
struct Watched {
    name: &'static str,
    check: LivenessCheck,
    run: Mutex<Run>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Run {
    /// When the running execution began. `None` if no execution is running.
    since: Option<Instant>,
    last: Option<Condition>,
}

impl Watched {
    fn run(&self) -> MutexGuard<'_, Run> {
        lock(&self.run)
    }

    /// Starts an execution, unless one is running.
    fn start(self: &Arc<Watched>) {
        let mut run = self.run();
        if run.since.is_some() {
            return;
        }
        run.since = Some(Instant::now());
        drop(run);
        let watched = Arc::clone(self);
        if let Err(error) =
            thread::Builder::new().name("liveness".to_owned()).spawn(move || watched.execute())
        {
            notices::once(format!("cannot start a thread for the liveness check `{}`: {error}", self.name));
            self.run().since = None;
        }
    }

    fn execute(&self) {
        let result = attempt(self.check).unwrap_or_else(|_| Err("the check panicked".to_owned()));
        let failed = |text| Condition::new(Status::Fail, Reason::CheckFailed, within_limit(text));
        let mut run = self.run();
        run.last = Some(result.map_or_else(failed, |()| Condition::PASS));
        run.since = None;
        drop(run);
        self.ended.notify_all();
    }

    /// Returns the condition of the check. Waits until an execution that has just begun has ended, at most for
    /// [`PATIENCE`]. An execution that takes longer changes nothing until it has taken `limit`.
    fn condition(&self, limit: Option<Duration>) -> Condition {
        let run = self.run();
        let left = run.since.map(|since| PATIENCE.saturating_sub(since.elapsed())).unwrap_or_default();
        let waited = self.ended.wait_timeout_while(run, left, |run| run.since.is_some());
        let (run, _) = unpoisoned(waited);
        match (run.since.map(|since| since.elapsed()), &run.last) {
            (Some(running), _) if limit.is_some_and(|limit| running > limit) => {
                let text = format!("the check has not returned for {running:.1?}");
                Condition::new(Status::Fail, Reason::CheckTimedOut, text)
            }
            (_, Some(last)) => last.clone(),
            (_, None) => Condition::new(
                Status::Unknown,
                Reason::Starting,
                "the check has not returned for the first time",
            ),
        }
    }
}
