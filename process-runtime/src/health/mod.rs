//! Health endpoints that tell whether processes work, and harm nothing (feature `health`). One needs them for uptime
//! monitors, load balancers and orchestrators.
//!
//! A [`health_check`](macro@crate::health_check) is the probe of a process: it runs the process for real, with input made
//! for it. A [`dependency_check`](macro@crate::dependency_check) looks at what processes depend on. [`Setup`] gives them
//! what they need of the application, and with feature `axum` what it starts is a service:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # async fn serve() {
//! use axum::Router;
//! use process_runtime::{critical_process, dependency_check, health, health_check};
//!
//! #[derive(Clone)]
//! struct Database;
//! # impl Database { async fn ping(&self) -> Result<(), std::io::Error> { Ok(()) } }
//!
//! #[critical_process(id = "save_entry", version = "1.0.0", sla = "3s", depends_on("sqlite"))]
//! async fn save(database: &Database, text: &str) -> Result<(), std::io::Error> {
//!     database.ping().await
//! }
//!
//! #[health_check(process = "save_entry", every = "5m")]
//! async fn an_entry_can_be_saved(database: Database) -> Result<(), std::io::Error> {
//!     save(&database, "a health check").await
//! }
//!
//! #[dependency_check(id = "sqlite", timeout = "2s")]
//! async fn sqlite_answers(database: Database) -> Result<(), std::io::Error> {
//!     database.ping().await
//! }
//!
//! let health = health::Setup::new().with(Database).needs(["sqlite"]).start();
//! let app: Router = Router::new().nest_service("/health", health);
//! # let _ = app;
//! # }
//! ```
//!
//! | below `/health` | tells |
//! |---|---|
//! | nothing | every process, and every dependency that has a check |
//! | `/live` | that this program goes on: no check of a process or dependency can be in it |
//! | `/started` | that start-up is finished |
//! | `/ready` | that, that it is not being stopped, and what [`Setup::needs`] and [`Setup::shows`] name |
//! | `/<process>` | its probe with the stages and dependencies as they went; of one without a probe, what real traffic shows |
//! | `/<dependency>` | its check |
//! | `/<alias>` | what [`Setup::alias`] names so |
//! | `/openapi.json` | all of this as OpenAPI |
//!
//! 200 is healthy or degraded, 503 unhealthy. Only an answer of 200 has `"serving":true` at its top level, for monitors
//! that look for a text (“unhealthy” contains “healthy”). `Accept: application/health+json` gets the form of
//! [draft-inadarei-api-health-check](https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06). Error
//! texts, versions and what is known of each part are told to whom [`Setup::detail`] allows it.
//!
//! # Bounded by construction
//!
//! * A check is executed once at a time, however many ask, in a task of its own. Whoever asks waits for that one,
//!   for 25 s at most ([`DEADLINE`]): less than any monitor does.
//! * Its result is good for `cached_for` (5 s), or until the next is due where it has a schedule (`every`, give or take
//!   a tenth). Nothing asks a scheduled check to run as long as the schedule works.
//! * What nothing refreshes ages: a pass is a warning after twice that time and the check's timeout, and everything is
//!   a failure after three times and the timeout. A check that is past its timeout and does not let go is a failure at once.
//! * A check that panics, is cancelled, or lacks what it takes, is a failure that says so.
//!
//! What a check runs is synthetic: in no statistics, no objective and no metric but `critical_process.synthetic.runs`,
//! with `critical_process.synthetic` on its spans and Sentry events. A probe that does not run its process, or whose
//! process did not succeed, fails whatever it returns; a degraded or late run is a warning.
//!
//! That holds for what the check awaits. What it spawns, and what it asks of this program over the network, is as real as
//! anything else, unless a [`Carrier`](crate::Carrier) takes the scope along.
//!
//! A process without a probe is judged by the last five minutes: it fails where half of at least five runs failed; it is a
//! warning where more were bad (failed or late) than its objective allows, where most were rejected or degraded, where a
//! run is overdue, and where none succeeded.
//!
//! # What is told to others
//!
//! The gauges `critical_process.check.status` (1 is pass, 0.5 warn, 0 fail) and `critical_process.check.age` (`s`), with
//! `critical_process.id` or `critical_process.dependency`, tell of each check's last state; `prometheus` exports them as
//! well. A scheduled probe checks in with Sentry, as the monitor of its process's id, at most once in ten seconds: Sentry
//! takes six in a minute, of all replicas together.

mod answer;
mod check;
#[cfg(feature = "sentry")]
mod checkin;
mod findings;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
mod registered;
mod report;
#[cfg(feature = "axum")]
mod service;
mod state;
mod status;
mod synthetic;
mod verdict;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

pub use process_model::CheckTarget;
use process_model::nearest;
use tokio::runtime::Handle;
use tokio::time::Instant;

pub use self::answer::{Answer, Detail, Request};
use self::answer::{Endpoint, Form};
use self::check::Check;
pub use self::registered::{CheckDefinition, checks};
#[doc(hidden)]
pub use self::registered::{CheckEntry, CheckSite};
pub use self::report::{PartReport, Report, Source};
pub use self::state::MissingState;
#[doc(hidden)]
pub use self::state::States;
pub use self::status::Status;
#[doc(hidden)]
pub use self::verdict::{CheckEnd, Checking, checking};
pub use self::verdict::{Judged, Verdict};
use crate::base::guard::attempt;
use crate::base::lock::lock;
use crate::base::notices;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;

/// The longest that anybody waits for an answer.
pub const DEADLINE: Duration = Duration::from_secs(25);

/// What the endpoints of a program need, before they are there.
#[derive(Debug, Default)]
#[must_use = "nothing is checked before `start`"]
pub struct Setup {
    states: States,
    needs: Vec<String>,
    shows: Vec<String>,
    vitals: Vec<(&'static str, Vital)>,
    aliases: BTreeMap<String, String>,
    detail: Detail,
    waits: bool,
}

/// A look at the program itself: a plain function, which holds nothing and cannot await. It must not block either.
pub type Vital = fn() -> Result<(), String>;

impl Setup {
    /// Without anything: readiness is then that start-up is finished.
    pub fn new() -> Setup {
        Setup::default()
    }

    /// Gives every check that takes a `T` a clone of this.
    pub fn with<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Setup {
        self.states.insert(state);
        self
    }

    /// Readiness fails where one of these processes or dependencies does. A dependency that all replicas share takes all
    /// of them out, where none is better off: [`shows`](Setup::shows) such a one instead, unless nothing works without.
    pub fn needs<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Setup {
        self.needs.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Readiness tells of these processes and dependencies, and is degraded where one fails: still 200.
    pub fn shows<T: Into<String>>(mut self, ids: impl IntoIterator<Item = T>) -> Setup {
        self.shows.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Liveness fails where this does: what only a restart mends, such as a thread that has gone. Nothing else can be
    /// asked of liveness, least of all a dependency, which no restart mends.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use process_runtime::health::Setup;
    ///
    /// /// Cleared by the thread that writes, where it goes.
    /// static WRITES: AtomicBool = AtomicBool::new(true);
    ///
    /// fn writes() -> Result<(), String> {
    ///     WRITES.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "the writer is gone".to_owned())
    /// }
    ///
    /// let health = Setup::new().alive("writer", writes).start();
    /// assert!(health.live().parts.contains_key("writer"));
    /// ```
    pub fn alive(mut self, name: &'static str, vital: Vital) -> Setup {
        self.vitals.push((name, vital));
        self
    }

    /// `/health/<name>` tells of this process or dependency.
    pub fn alias(mut self, name: impl Into<String>, id: impl Into<String>) -> Setup {
        self.aliases.insert(name.into(), id.into());
        self
    }

    /// Who may read error texts, versions and what is known of each part; nobody, unless this says otherwise.
    pub fn detail(mut self, detail: Detail) -> Setup {
        self.detail = detail;
        self
    }

    /// Start-up goes on until [`Health::started`] is called, and no schedule begins before; without this, it is finished
    /// at once.
    pub fn waits_for_start(mut self) -> Setup {
        self.waits = true;
        self
    }

    /// Starts the schedules, on the tokio runtime that this is called in. They end with the last clone of what is
    /// returned. What is wrong with the set-up, such as an id that no check has, is told once as everything that the
    /// toolkit has to say, and by the endpoints.
    pub fn start(self) -> Health {
        let runtime = Handle::try_current().ok();
        let checks = checks().map(Check::new).collect();
        let shared = Arc::new(Shared {
            checks,
            runtime,
            states: Arc::new(self.states),
            needs: self.needs,
            shows: self.shows,
            vitals: self.vitals,
            aliases: self.aliases,
            detail: self.detail,
            has_started: AtomicBool::new(!self.waits),
            is_stopping: AtomicBool::new(false),
        });
        shared.judge_setup();
        let mut all = lock(&ALL);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&shared));
        drop(all);
        for check in &shared.checks {
            match (check.definition.every(), &shared.runtime) {
                (Some(every), Some(runtime)) => {
                    runtime.spawn(schedule(Arc::clone(check), Arc::downgrade(&shared), every));
                }
                (Some(_), None) => notices::once(
                    "health checks have no schedule: `health::Setup::start` was called outside of a tokio runtime",
                ),
                (None, _) => {}
            }
        }
        Health { shared }
    }
}

/// Every one that is there.
static ALL: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// How often a schedule looks whether start-up is finished.
const STARTING: Duration = Duration::from_millis(100);

/// Executes a check again and again, as long as the endpoints are there.
async fn schedule(check: Arc<Check>, shared: Weak<Shared>, every: Duration) {
    let random = RandomState::new();
    for round in 0_u64.. {
        let states = loop {
            let Some(shared) = shared.upgrade().filter(|shared| !shared.is_stopping.load(Ordering::Acquire))
            else {
                return;
            };
            if shared.has_started.load(Ordering::Acquire) {
                break Arc::clone(&shared.states);
            }
            drop(shared);
            tokio::time::sleep(STARTING).await;
        };
        check.begin(&states, None);
        drop(states);
        // Long enough for it to tell of its timeout itself.
        check.settled(Instant::now() + check.definition.timeout() + 2 * check::GRACE).await;
        #[cfg(feature = "sentry")]
        checkin::send(&check);
        // Replicas that started together do not go on together.
        let share = random.hash_one(round) as f64 / u64::MAX as f64;
        tokio::time::sleep(every.mul_f64(0.9 + 0.2 * share)).await;
    }
}

struct Shared {
    checks: Vec<Arc<Check>>,
    runtime: Option<Handle>,
    states: Arc<States>,
    needs: Vec<String>,
    shows: Vec<String>,
    vitals: Vec<(&'static str, Vital)>,
    aliases: BTreeMap<String, String>,
    detail: Detail,
    has_started: AtomicBool,
    is_stopping: AtomicBool,
}

impl fmt::Debug for Shared {
    /// Without what checks said and take, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("checks", &self.checks.len()).finish_non_exhaustive()
    }
}

/// The endpoints. Clones are of the same; with feature `axum`, each is a `tower_service::Service`.
#[derive(Clone, Debug)]
#[must_use = "the schedules end with it"]
pub struct Health {
    shared: Arc<Shared>,
}

/// What there is to be asked.
#[derive(Clone, Copy, Debug)]
enum Subject<'s> {
    Process(&'static ProcessDefinition),
    Dependency(&'static str, &'s Arc<Check>),
}

impl Health {
    /// Start-up is finished.
    pub fn started(&self) {
        self.shared.has_started.store(true, Ordering::Release);
    }

    /// The program is being stopped: readiness fails from now on, so that nobody sends more while what is there is
    /// still served.
    pub fn stopping(&self) {
        self.shared.is_stopping.store(true, Ordering::Release);
    }

    /// Answers a request, within [`DEADLINE`]. For frameworks that are no tower.
    ///
    /// # Panics
    /// Outside of a tokio runtime with a timer, as `tokio::time::sleep` does.
    pub async fn answer(&self, request: Request<'_>) -> Answer {
        let is_head = request.method == "HEAD";
        let mut answer = match request.method {
            "GET" | "HEAD" => self.answer_get(&request).await,
            _ => Answer::method_not_allowed(),
        };
        if is_head {
            answer.body.clear();
        }
        answer
    }

    async fn answer_get(&self, request: &Request<'_>) -> Answer {
        let endpoint = Endpoint::of(request.path);
        let report = match endpoint {
            None => None,
            Some(Endpoint::OpenApi) => return Answer::openapi(&self.shared.names()),
            Some(Endpoint::Overall) => Some(self.overall().await),
            Some(Endpoint::Live) => Some(self.live()),
            Some(Endpoint::Started) => Some(self.startup()),
            Some(Endpoint::Ready) => Some(self.ready().await),
            Some(Endpoint::Of(id)) => self.of(id).await,
        };
        let Some(report) = report else { return Answer::not_found(endpoint, &self.shared.names()) };
        let with_detail = self.shared.detail.is_allowed(request.authorization);
        Answer::of(&report, Form::of(request.accept), with_detail)
    }

    /// Every process, and every dependency that has a check.
    pub async fn overall(&self) -> Report {
        let shared = &self.shared;
        let asked = shared.execute(shared.checks.iter()).await;
        let dependencies = shared.dependencies().map(|(id, check)| Subject::Dependency(id, check));
        let mut parts = BTreeMap::new();
        for subject in dependencies.chain(registry::all().map(Subject::Process)) {
            add_worse(&mut parts, subject.id(), shared.report(subject, asked).into_part());
        }
        Report::of_parts(parts)
    }

    /// Whether this program goes on.
    pub fn live(&self) -> Report {
        let vitals = self.shared.vitals.iter().map(|(name, vital)| {
            let said = attempt(vital).unwrap_or_else(|_| Err("it panicked".to_owned()));
            let status = if said.is_ok() { Status::Pass } else { Status::Fail };
            ((*name).to_owned(), PartReport::new(status, said.err()))
        });
        Report::of_parts(vitals.collect())
    }

    /// Whether start-up is finished.
    pub fn startup(&self) -> Report {
        let status =
            if self.shared.has_started.load(Ordering::Acquire) { Status::Pass } else { Status::Fail };
        let output = (status == Status::Fail).then(|| "start-up goes on".to_owned());
        Report::of_parts(BTreeMap::from([("startup".to_owned(), PartReport::new(status, output))]))
    }

    /// Whether requests are to be sent here.
    pub async fn ready(&self) -> Report {
        let shared = &self.shared;
        let mut parts = self.startup().parts;
        if shared.is_stopping.load(Ordering::Acquire) {
            let part = PartReport::new(Status::Fail, Some("it is being stopped".to_owned()));
            parts.insert("shutdown".to_owned(), part);
        }
        // What is not ready anyway asks nobody.
        if parts.values().all(|part| part.status != Status::Fail) {
            let subjects = shared.needs.iter().chain(&shared.shows).filter_map(|id| shared.of_id(id));
            let checks: Vec<_> = subjects.flat_map(|subject| shared.checks_of(subject)).collect();
            let asked = shared.execute(checks.into_iter()).await;
            let report = |id: &String| match shared.of_id(id) {
                Some(subject) => shared.report(subject, asked).into_part(),
                None => PartReport::new(Status::Fail, Some("there is no such check".to_owned())),
            };
            shared.needs.iter().for_each(|id| add_worse(&mut parts, id, report(id)));
            for id in &shared.shows {
                let part = report(id);
                add_worse(&mut parts, id, PartReport { status: part.status.as_part(), ..part });
            }
        }
        Report::of_parts(parts)
    }

    /// A process, a dependency that has a check, or what an alias names; `None` where there is no such thing.
    pub async fn of(&self, id: &str) -> Option<Report> {
        let subject = self.shared.subject(id)?;
        let asked = self.shared.execute(self.shared.checks_of(subject).into_iter()).await;
        Some(self.shared.report(subject, asked))
    }
}

impl Shared {
    /// Has these checks executed where that is due, all at once, and waits for those that go on. When that was asked for.
    async fn execute<'c>(&self, checks: impl Iterator<Item = &'c Arc<Check>>) -> Instant {
        let asked = Instant::now();
        let end = asked + DEADLINE;
        let checks: Vec<_> = checks.collect();
        checks.iter().for_each(|check| check.want(&self.states, self.runtime.as_ref()));
        for check in checks {
            check.settled(end).await;
        }
        asked
    }

    /// What is called so, or by an alias.
    fn subject(&self, name: &str) -> Option<Subject<'_>> {
        self.of_id(name).or_else(|| self.of_id(self.aliases.get(name)?))
    }

    fn of_id(&self, id: &str) -> Option<Subject<'_>> {
        let process = registry::get(id).ok().map(Subject::Process);
        process.or_else(|| self.dependency(id).map(|(id, check)| Subject::Dependency(id, check)))
    }

    /// Of every dependency that has one, its check.
    fn dependencies(&self) -> impl Iterator<Item = (&'static str, &Arc<Check>)> {
        self.checks.iter().filter_map(|check| match check.definition.target() {
            CheckTarget::Dependency(id) => Some((id.as_str(), check)),
            CheckTarget::Process(_) => None,
        })
    }

    fn dependency(&self, id: &str) -> Option<(&'static str, &Arc<Check>)> {
        self.dependencies().find(|(known, _)| *known == id)
    }

    fn probe(&self, process: &ProcessDefinition) -> Option<&Arc<Check>> {
        let is_probe =
            |target: &CheckTarget| matches!(target, CheckTarget::Process(id) if id == process.id());
        self.checks.iter().find(|check| is_probe(check.definition.target()))
    }

    /// What has to be checked for a report.
    fn checks_of<'s>(&'s self, subject: Subject<'s>) -> Vec<&'s Arc<Check>> {
        match subject {
            Subject::Dependency(_, check) => vec![check],
            Subject::Process(process) => {
                let of = |id: &'static str| match self.dependency(id) {
                    Some((_, check)) => Some(check),
                    None => self.probe(registry::get(id).ok()?),
                };
                self.probe(process).into_iter().chain(report::declared(process).filter_map(of)).collect()
            }
        }
    }

    /// What is known of it to somebody who asked then.
    fn report(&self, subject: Subject<'_>, asked: Instant) -> Report {
        let of_dependency = |id, check: &Arc<Check>| Report::of_dependency(id, check.reading_for(asked));
        let checked = |id: &str| match self.dependency(id) {
            Some((id, check)) => Some(of_dependency(id, check).into_part()),
            // Another process: as its own probe tells.
            None => {
                let probe = self.probe(registry::get(id).ok()?)?;
                Some(Report::of_check(probe.reading_for(asked)).into_part())
            }
        };
        match subject {
            Subject::Dependency(id, check) => of_dependency(id, check),
            Subject::Process(process) => match self.probe(process) {
                Some(probe) => Report::of_probe(process, probe.reading_for(asked), checked),
                None => Report::of_traffic(process, checked),
            },
        }
    }

    /// Every name that there is an answer for.
    fn names(&self) -> Vec<&str> {
        let processes = registry::all().map(|process| process.id());
        let dependencies = self.dependencies().map(|(id, _)| id);
        let names = processes.chain(dependencies).chain(self.aliases.keys().map(String::as_str));
        names.filter(|name| !RESERVED.contains(name) && self.subject(name).is_some()).collect()
    }

    /// Tells of ids that nothing has.
    fn judge_setup(&self) {
        let asked = self.needs.iter().chain(&self.shows).map(|id| ("readiness", id));
        let aliased = self.aliases.values().map(|id| ("an alias", id));
        for (who, id) in asked.chain(aliased).filter(|(_, id)| self.of_id(id).is_none()) {
            let near = nearest(id, self.names());
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            notices::once(format!("{who} is to tell of `{id}`, which is no process and has no check{near}"));
        }
        for check in &self.checks {
            // To begin one is to take what it needs, and to make a future that nobody polls.
            let begun = || check.definition.begin(&self.states).err();
            if let Ok(Some(missing)) = attempt(begun) {
                let (file, line) = (check.definition.file(), check.definition.line());
                notices::once(format!("the check at {file}:{line} cannot be executed: {missing}"));
            }
        }
        let ids = registry::all().map(|process| process.id()).chain(self.dependencies().map(|(id, _)| id));
        for name in ids.filter(|id| RESERVED.contains(id)) {
            notices::once(format!(
                "`{name}` is not to be had at `/health/{name}`, which is an endpoint: give it an alias"
            ));
        }
        for name in self.aliases.keys() {
            let is_reached = Endpoint::of(name) == Some(Endpoint::Of(name)) && self.of_id(name).is_none();
            if !is_reached {
                notices::once(format!(
                    "the alias `{name}` is never reached: it is an endpoint, an id, or no plain name"
                ));
            }
        }
    }
}

impl Subject<'_> {
    fn id(self) -> &'static str {
        match self {
            Subject::Process(process) => process.id(),
            Subject::Dependency(id, _) => id,
        }
    }
}

/// Adds a part; where one of its name is there, the worse of both stays.
fn add_worse(parts: &mut BTreeMap<String, PartReport>, name: &str, part: PartReport) {
    match parts.entry(name.to_owned()) {
        Entry::Vacant(entry) => drop(entry.insert(part)),
        Entry::Occupied(mut entry) if entry.get().status < part.status => drop(entry.insert(part)),
        Entry::Occupied(_) => {}
    }
}

/// Names that are endpoints themselves.
const RESERVED: [&str; 5] = ["health", "live", "ready", "started", "openapi.json"];
