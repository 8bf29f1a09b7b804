//! The state that all clones of one [`Health`](super::endpoints::Health) share, with methods that find the checks for
//! a name and create reports from their results. Requests and responses do not belong here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use process_model::CheckTarget;
use tokio::time::Instant;

use super::check::{CheckRunner, States, checks};
use super::detail::Detail;
use super::health_report::{Report, declared_dependencies};
use super::liveness::{Liveness, LivenessSetup};
use super::response::RESERVED;
use super::runtime::Home;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;

/// The maximum time for which a response waits for checks.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(25);

/// The configuration of the endpoints.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) required: Vec<String>,
    pub(super) report_only: Vec<String>,
    pub(super) aliases: BTreeMap<String, String>,
    pub(super) detail: Detail,
}

pub(super) struct Shared {
    pub(super) checks: Vec<Arc<CheckRunner>>,
    pub(super) liveness: Liveness,
    pub(super) states: Arc<States>,
    pub(super) config: Config,
    has_started: AtomicBool,
    is_stopping: AtomicBool,
}

impl fmt::Debug for Shared {
    /// Omits the states and the results, which may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("checks", &self.checks.len()).finish_non_exhaustive()
    }
}

/// The process or dependency that a report is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'s> {
    Process(&'static ProcessDefinition),
    Dependency(&'static str, &'s Arc<CheckRunner>),
}

impl Subject<'_> {
    pub(super) fn id(self) -> &'static str {
        match self {
            Subject::Process(process) => process.id(),
            Subject::Dependency(id, _) => id,
        }
    }
}

impl Shared {
    pub(super) fn new(states: States, config: Config, liveness: LivenessSetup, has_started: bool) -> Shared {
        Shared {
            checks: checks().map(CheckRunner::new).collect(),
            liveness: Liveness::start(liveness),
            states: Arc::new(states),
            config,
            has_started: AtomicBool::new(has_started),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Returns the runtime of the program, which executes the checks. Returns `None` if the set-up was started outside
    /// a runtime and no request has arrived yet.
    pub(super) fn home(&self) -> Option<&Home> {
        self.liveness.home()
    }

    pub(super) fn mark_started(&self) {
        self.has_started.store(true, Ordering::Release);
    }

    pub(super) fn has_started(&self) -> bool {
        self.has_started.load(Ordering::Acquire)
    }

    pub(super) fn begin_shutdown(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Starts those of the checks that need a new result, all at the same time. Waits until none of the checks is
    /// running, but at most for [`RESPONSE_TIMEOUT`]. Returns the time at which this function was called, which
    /// counts as the arrival of the request.
    pub(super) async fn execute<'c>(&self, checks: impl Iterator<Item = &'c Arc<CheckRunner>>) -> Instant {
        self.liveness.adopt();
        let asked = Instant::now();
        let end = asked + RESPONSE_TIMEOUT;
        let checks: Vec<_> = checks.collect();
        checks.iter().for_each(|check| check.refresh(&self.states, self.home()));
        for check in checks {
            check.wait(end).await;
        }
        asked
    }

    /// Returns the process or dependency with this id, otherwise the process or dependency with this alias. A
    /// dependency without a check is not found.
    pub(super) fn by_name(&self, name: &str) -> Option<Subject<'_>> {
        self.by_id(name).or_else(|| self.by_id(self.config.aliases.get(name)?))
    }

    /// Returns the process with this id, otherwise the dependency with this id. A dependency without a check is not
    /// found.
    pub(super) fn by_id(&self, id: &str) -> Option<Subject<'_>> {
        let process = registry::get(id).ok().map(Subject::Process);
        process.or_else(|| self.dependency(id).map(|(id, check)| Subject::Dependency(id, check)))
    }

    /// Returns every dependency that has a check, with that check.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = (&'static str, &Arc<CheckRunner>)> {
        self.checks.iter().filter_map(|check| match check.definition.target() {
            CheckTarget::Dependency(id) => Some((id.as_str(), check)),
            CheckTarget::Process(_) => None,
        })
    }

    fn dependency(&self, id: &str) -> Option<(&'static str, &Arc<CheckRunner>)> {
        self.dependencies().find(|(known, _)| *known == id)
    }

    fn probe(&self, process: &ProcessDefinition) -> Option<&Arc<CheckRunner>> {
        let is_probe =
            |target: &CheckTarget| matches!(target, CheckTarget::Process(id) if id == process.id());
        self.checks.iter().find(|check| is_probe(check.definition.target()))
    }

    /// Returns whether the subject has a check of its own.
    pub(super) fn has_check(&self, subject: Subject<'_>) -> bool {
        match subject {
            Subject::Process(process) => self.probe(process).is_some(),
            Subject::Dependency(..) => true,
        }
    }

    /// Returns the checks that a report on this subject needs.
    pub(super) fn checks_of<'s>(&'s self, subject: Subject<'s>) -> Vec<&'s Arc<CheckRunner>> {
        match subject {
            Subject::Dependency(_, check) => vec![check],
            Subject::Process(process) => {
                let check_of = |id: &'static str| match self.dependency(id) {
                    Some((_, check)) => Some(check),
                    None => self.probe(registry::get(id).ok()?),
                };
                let dependencies = declared_dependencies(process).filter_map(check_of);
                self.probe(process).into_iter().chain(dependencies).collect()
            }
        }
    }

    /// Reports on a subject, for a request that came in at `asked`.
    pub(super) fn report(&self, subject: Subject<'_>, asked: Instant) -> Report {
        let on_dependency =
            |id, check: &Arc<CheckRunner>| Report::from_dependency(id, check.reading_for(asked));
        let checked = |id: &str| match self.dependency(id) {
            Some((id, check)) => Some(on_dependency(id, check).into_part()),
            // The id of a dependency may be the id of another process. The result then comes from the probe of that
            // process, if it has a probe.
            None => {
                let probe = self.probe(registry::get(id).ok()?)?;
                Some(Report::from_check(probe.reading_for(asked)).into_part())
            }
        };
        match subject {
            Subject::Dependency(id, check) => on_dependency(id, check),
            Subject::Process(process) => match self.probe(process) {
                Some(probe) => Report::from_probe(process, probe.reading_for(asked), checked),
                None => Report::from_traffic(process, checked),
            },
        }
    }

    /// Returns every name that has an endpoint.
    pub(super) fn names(&self) -> Vec<&str> {
        let processes = registry::all().map(|process| process.id());
        let dependencies = self.dependencies().map(|(id, _)| id);
        let aliases = self.config.aliases.keys().map(String::as_str);
        let names = processes.chain(dependencies).chain(aliases);
        names.filter(|name| !RESERVED.contains(name) && self.by_name(name).is_some()).collect()
    }
}
