//! Liveness: the heartbeat of the runtime, and the checks of the program itself. A report of liveness awaits nothing,
//! and takes no lock while foreign code runs. Checks of processes and dependencies do not belong here, because a
//! restart does not repair them.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
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
/// The default limit of the heartbeat, and the longest time that a check may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The shortest limit of the heartbeat.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest interval of the heartbeat.
const INTERVAL: Duration = Duration::from_secs(1);
/// The maximum time for which a report waits for the checks.
const PATIENCE: Duration = Duration::from_millis(50);
/// The duration of an execution above which no report waits for the next execution.
const QUICK: Duration = Duration::from_millis(5);

/// What liveness consists of.
#[derive(Debug)]
pub(super) struct LivenessSetup {
    pub(super) checks: Vec<(&'static str, LivenessCheck)>,
    /// How long the heartbeat may be missing. `None` turns it off.
    pub(super) limit: Option<Duration>,
}

impl Default for LivenessSetup {
    fn default() -> LivenessSetup {
        LivenessSetup { checks: Vec::new(), limit: Some(LIMIT) }
    }
}

/// The liveness of the program.
#[derive(Debug)]
pub(super) struct Liveness {
    checks: Vec<Arc<Watched>>,
    /// The runtime of the program, once it is known.
    home: OnceLock<Home>,
    limit: Option<Duration>,
}

impl Liveness {
    /// Starts the heartbeat in the current runtime, if there is one.
    pub(super) fn start(setup: LivenessSetup) -> Liveness {
        let limit = setup.limit.map(|limit| limit.max(SHORTEST));
        let liveness = Liveness {
            checks: setup.checks.into_iter().map(|(name, check)| Watched::new(name, check, limit)).collect(),
            home: OnceLock::new(),
            limit,
        };
        liveness.adopt();
        if liveness.home().is_none() && limit.is_some() {
            notices::once(
                "`health::Setup::start` was called outside a tokio runtime, so the heartbeat of liveness begins with \
                 the first request; call it inside a runtime, or turn the heartbeat off with \
                 `health::Setup::heartbeat(None)`",
            );
        }
        liveness
    }

    /// Makes the current runtime, if there is one, the runtime of the program, unless this runtime is known.
    pub(super) fn adopt(&self) {
        if self.home.get().is_none() {
            let interval = self.limit.map(|limit| INTERVAL.min(limit / 4));
            // A concurrent call may have been faster. Its heartbeat remains, and the other one ends here.
            let _ = Home::with_heartbeat(interval).map(|home| self.home.set(home));
        }
    }

    /// Returns the runtime of the program, if it is known.
    pub(super) fn home(&self) -> Option<&Home> {
        self.home.get()
    }

    /// Reports on the heartbeat and the checks.
    pub(super) fn report(&self) -> Report {
        let mut parts = BTreeMap::new();
        self.checks.iter().for_each(|check| check.start(self.home()));
        for check in &self.checks {
            add_worse(&mut parts, check.name, PartReport::new(check.condition()));
        }
        if let Some(condition) = self.home().and_then(|home| heartbeat(home, self.limit)) {
            add_worse(&mut parts, HEARTBEAT, PartReport::new(condition));
        }
        Report::from_parts(parts)
    }
}

/// Returns the condition of a runtime whose heartbeat may be missing for `limit`. Returns `None` if the heartbeat is
/// off and the runtime has not shut down.
fn heartbeat(home: &Home, limit: Option<Duration>) -> Option<Condition> {
    let stale = |text| Some(Condition::new(Status::Fail, Reason::Stale, text));
    if home.has_ended() {
        return stale("the runtime of the program has shut down".to_owned());
    }
    let (limit, silent_for) = (limit?, home.silent_for());
    if silent_for > limit {
        return stale(format!("the runtime has run no task for {silent_for:.1?}"));
    }
    Some(Condition::PASS)
}

/// A check of the program itself, with its latest result. It runs on a thread of its own, at most once at a time.
#[derive(Debug)]
struct Watched {
    name: &'static str,
    check: LivenessCheck,
    /// The longest time that an execution may take.
    limit: Duration,
    run: Mutex<Run>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Run {
    /// When the running execution began. `None` if no execution is running.
    since: Option<Instant>,
    last: Option<Condition>,
    /// Whether the latest execution that ended took longer than [`QUICK`].
    was_slow: bool,
}

impl Watched {
    /// Creates a check in a set-up whose heartbeat has this limit. A longer limit of the heartbeat, or none, does not
    /// make the limit of the check longer than [`LIMIT`].
    fn new(name: &'static str, check: LivenessCheck, heartbeat: Option<Duration>) -> Arc<Watched> {
        let limit = heartbeat.map_or(LIMIT, |limit| limit.min(LIMIT));
        Arc::new(Watched { name, check, limit, run: Mutex::default(), ended: Condvar::new() })
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        lock(&self.run)
    }

    /// Starts an execution in the context of this runtime, or of the current one, unless an execution is running.
    fn start(self: &Arc<Watched>, home: Option<&Home>) {
        let mut run = self.run();
        if run.since.is_some() {
            return;
        }
        let began = Instant::now();
        run.since = Some(began);
        drop(run);
        let (watched, home) = (Arc::clone(self), home.cloned().or_else(Home::current));
        let execute = move || watched.execute(began, home.as_ref());
        if let Err(error) = thread::Builder::new().name("liveness".to_owned()).spawn(execute) {
            notices::once(format!("cannot start a thread for the liveness check `{}`: {error}", self.name));
            self.run().since = None;
        }
    }

    fn execute(&self, began: Instant, home: Option<&Home>) {
        let result = attempt(|| match home {
            Some(home) => home.call(self.check),
            None => (self.check)(),
        });
        let took = began.elapsed();
        let failed = |text| Condition::new(Status::Fail, Reason::CheckFailed, within_limit(text));
        let condition = match result {
            _ if took > self.limit => timed_out(format!("the check returned after {took:.1?}")),
            Ok(Ok(())) => Condition::PASS,
            Ok(Err(text)) => failed(text),
            Err(_) => failed("the check panicked".to_owned()),
        };
        let mut run = self.run();
        *run = Run { since: None, last: Some(condition), was_slow: took > QUICK };
        drop(run);
        self.ended.notify_all();
    }

    /// Returns the condition of the check. Waits until an execution that has just begun has ended, at most for
    /// [`PATIENCE`], and not at all if the execution before was slow. An execution that takes longer changes nothing
    /// until it has taken longer than the limit.
    fn condition(&self) -> Condition {
        let run = self.run();
        let left = match run.since {
            Some(since) if !run.was_slow => PATIENCE.saturating_sub(since.elapsed()),
            _ => Duration::ZERO,
        };
        let waited = self.ended.wait_timeout_while(run, left, |run| run.since.is_some());
        let (run, _) = unpoisoned(waited);
        match (run.since.map(|since| since.elapsed()), &run.last) {
            (Some(running), _) if running > self.limit => {
                timed_out(format!("the check has not returned for {running:.1?}"))
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

fn timed_out(text: String) -> Condition {
    Condition::new(Status::Fail, Reason::CheckTimedOut, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_has_a_limit_whatever_the_limit_of_the_heartbeat() {
        let limit = |heartbeat: Option<u64>| {
            Watched::new("any", || Ok(()), heartbeat.map(Duration::from_secs)).limit.as_secs()
        };
        assert_eq!((limit(None), limit(Some(u64::MAX)), limit(Some(7))), (30, 30, 7));
        assert_eq!(LivenessSetup::default().limit, Some(Duration::from_secs(30)));
    }
}
