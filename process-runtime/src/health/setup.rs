//! The set-up of the endpoints, and the detection of those mistakes in a set-up that appear only at run time.
//! Responding to requests does not belong here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_model::nearest;

use super::check::{CheckRunner, MissingState, States};
#[cfg(feature = "metrics")]
use super::check_metrics;
use super::detail::Detail;
use super::endpoints::Health;
use super::liveness::{LivenessCheck, LivenessSetup};
use super::response::{Endpoint, RESERVED};
use super::schedule;
use super::shared::{Config, Shared};
use crate::base::foreign::guard::attempt;
use crate::base::lock::lock;
use crate::base::notices;
use crate::catalog::findings::{Finding, FindingsOfFeature, place};
use crate::catalog::registry;

/// The set-up of the health endpoints. [`Setup::start`] completes it.
#[derive(Debug, Default)]
#[must_use = "no check runs before `start`"]
pub struct Setup {
    states: States,
    config: Config,
    liveness: LivenessSetup,
    waits: bool,
}

impl Setup {
    /// Creates a set-up in which readiness depends only on start-up and shutdown.
    pub fn new() -> Setup {
        Setup::default()
    }

    /// Provides the state for checks that take an argument of type `T`. Each call of such a check receives a clone. A
    /// later state of the same type replaces an earlier one.
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Setup {
        self.states.insert(state);
        self
    }

    /// Makes readiness fail when one of these processes or dependencies fails. A process without a health check never
    /// fails, so `registry::validate` reports it.
    ///
    /// If all replicas share a required dependency, a failure of the dependency takes all replicas out of service at
    /// once. Require such a dependency only if nothing works without it. Otherwise use
    /// [`report_only`](Setup::report_only).
    pub fn require<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Setup {
        self.config.required.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Adds these processes and dependencies to the report of readiness. If one of them fails, readiness is degraded,
    /// but does not fail, and the HTTP status stays 200.
    pub fn report_only<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Setup {
        self.config.report_only.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Sets how long the runtime that calls [`Setup::start`] may run no task before liveness fails with the reason
    /// `stale`. The default is 30 s, and the shortest time is 100 ms. `None` turns this off.
    ///
    /// A runtime runs no task while all of its workers are blocked, or while no thread drives it. While a test has
    /// paused the clock of the runtime, the heartbeat is off. After the runtime has shut down, liveness always fails,
    /// also with `None`.
    ///
    /// A limit below 30 s is also the limit of the checks that [`Setup::liveness`] adds.
    pub fn heartbeat(mut self, limit: impl Into<Option<Duration>>) -> Setup {
        self.liveness.limit = limit.into();
        self
    }

    /// Makes liveness fail when this check fails. Use such a check for faults that only a restart repairs, such as a
    /// thread that has ended.
    ///
    /// The check must be a function without captured state. A dependency check cannot be part of liveness, because a
    /// restart does not repair a dependency.
    ///
    /// The check runs on a thread of its own, in the context of the runtime. It fails if it panics, or if it takes
    /// longer than 30 s, or than the limit of [`Setup::heartbeat`] if that is shorter. `name` is its name in reports.
    /// In `application/health+json`, a colon in the name is written as `_`.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use process_runtime::health::Setup;
    ///
    /// /// The writer thread clears it when it ends.
    /// static WRITER_RUNS: AtomicBool = AtomicBool::new(true);
    ///
    /// fn writer_runs() -> Result<(), String> {
    ///     WRITER_RUNS.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "the writer has ended".to_owned())
    /// }
    ///
    /// let health = Setup::new().liveness("writer", writer_runs).start();
    /// assert!(health.liveness().parts.contains_key("writer"));
    /// ```
    pub fn liveness(mut self, name: &'static str, check: LivenessCheck) -> Setup {
        self.liveness.checks.push((name, check));
        self
    }

    /// Makes `/health/<name>` report on the process or dependency with this id.
    pub fn alias(mut self, name: impl Into<String>, id: impl Into<String>) -> Setup {
        self.config.aliases.insert(name.into(), id.into());
        self
    }

    /// Sets which clients may read error texts, versions and the details of each part. The default is
    /// [`Detail::Never`].
    pub fn detail(mut self, detail: Detail) -> Setup {
        self.config.detail = detail;
        self
    }

    /// Keeps start-up unfinished, and the schedules waiting, until [`Health::mark_started`] is called. Without
    /// `wait_for_mark_started`, start-up is finished at once.
    pub fn wait_for_mark_started(mut self) -> Setup {
        self.waits = true;
        self
    }

    /// Starts the schedules in the current tokio runtime, and returns the endpoints. Call it inside the runtime that
    /// serves the application. Outside a tokio runtime, no schedule starts. The runtime of the first request is then
    /// the one in which checks run and whose heartbeat liveness reports.
    ///
    /// A mistake in the set-up, such as an id that neither a process nor a check has, is reported once to standard
    /// error.
    pub fn start(self) -> Health {
        let shared = Arc::new(Shared::new(self.states, self.config, self.liveness, !self.waits));
        report_mistakes(&shared);
        #[cfg(feature = "metrics")]
        check_metrics::track(&shared);
        for check in &shared.checks {
            match (check.definition.every(), shared.home()) {
                (Some(every), Some(home)) => {
                    home.spawn(schedule::run(Arc::clone(check), Arc::downgrade(&shared), every));
                }
                (Some(_), None) => notices::once(
                    "health checks are not scheduled; call `health::Setup::start` inside a tokio runtime",
                ),
                (None, _) => {}
            }
        }
        Health::new(shared)
    }
}

/// The ids of the processes without a check that a set-up requires.
static REQUIRED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

inventory::submit! { FindingsOfFeature(findings) }

/// Returns a finding for each process without a check that a set-up requires.
fn findings() -> Vec<Finding> {
    let required = lock(&REQUIRED).clone();
    required.into_iter().filter_map(required_without_check).collect()
}

fn required_without_check(id: &str) -> Option<Finding> {
    let process = registry::get(id).ok()?;
    let place = place(process.file(), process.line());
    Some(Finding::RequiredWithoutCheck { process: id.to_owned(), place })
}

/// Reports the mistakes in a set-up.
fn report_mistakes(shared: &Shared) {
    let Config { required, report_only, aliases, .. } = &shared.config;
    let required = required.iter().map(|id| ("require", id));
    let report_only = report_only.iter().map(|id| ("report_only", id));
    let aliased = aliases.values().map(|id| ("alias", id));
    let ids = required.chain(report_only).chain(aliased);
    for (method, id) in ids.filter(|(_, id)| shared.by_id(id).is_none()) {
        let near = nearest(id, shared.names());
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        notices::once(format!(
            "unknown id `{id}` in `health::Setup::{method}`: neither a process nor a check has this id{near}"
        ));
    }
    for subject in shared.config.required.iter().filter_map(|id| shared.by_id(id)) {
        if shared.has_check(subject) {
            continue;
        }
        lock(&REQUIRED).insert(subject.id());
        if let Some(finding) = required_without_check(subject.id()) {
            notices::once(finding.to_string());
        }
    }
    for check in &shared.checks {
        if let Some(missing) = missing_state(check, &shared.states) {
            let (file, line) = (check.definition.file(), check.definition.line());
            notices::once(format!("the check at {file}:{line} cannot run: {missing}"));
        }
    }
    let dependencies = shared.dependencies().map(|(id, _)| id);
    let ids = registry::all().map(|process| process.id()).chain(dependencies);
    for id in ids.filter(|id| RESERVED.contains(id)) {
        notices::once(format!(
            "`{id}` has no endpoint, because `/health/{id}` is a built-in endpoint; give it an alias with \
             `health::Setup::alias`"
        ));
    }
    for name in aliases.keys() {
        if shared.by_id(name).is_some() {
            notices::once(format!(
                "alias `{name}` is ignored, because a check or process has this id; use another"
            ));
        } else if RESERVED.contains(&name.as_str()) {
            notices::once(format!(
                "alias `{name}` is ignored, because it is a built-in endpoint; use another"
            ));
        } else if Endpoint::parse(name) != Some(Endpoint::Named(name)) {
            notices::once(format!(
                "invalid alias `{name}`: use at most 64 letters, digits, `_` and `-`; the alias is ignored"
            ));
        }
    }
}

/// Returns the missing state, if a check takes an argument that `states` does not have. To find out, this function
/// creates the future of the check. It never polls the future.
fn missing_state(check: &CheckRunner, states: &States) -> Option<MissingState> {
    attempt(|| check.definition.begin(states).err()).ok().flatten()
}
