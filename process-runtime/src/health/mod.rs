//! Health endpoints for uptime monitors, load balancers and orchestrators (feature `health`).
//!
//! Write a [`health_check`](macro@crate::health_check) for each process and a
//! [`dependency_check`](macro@crate::dependency_check) for each dependency. Give [`Setup`] the application state that
//! the checks take as arguments. With feature `axum`, nest the service that [`Setup::start`] returns:
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
//! let health = health::Setup::new().with(Database).require(["sqlite"]).start();
//! let app: Router = Router::new().nest_service("/health", health);
//! # let _ = app;
//! # }
//! ```
//!
//! In other frameworks, call [`Health::respond`].
//!
//! # Endpoints
//!
//! | path below `/health` | reports on |
//! |---|---|
//! | none | every process, and every dependency that has a check |
//! | `/live` | whether the runtime runs tasks, and the checks of [`Setup::liveness`]; never a process or dependency |
//! | `/started` | whether start-up is finished ([`Health::mark_started`]) |
//! | `/ready` | start-up, shutdown, and everything that [`Setup::require`] and [`Setup::report_only`] name |
//! | `/<process>` | the process, with the stages and dependencies that its probe ran; without a probe, its traffic |
//! | `/<dependency>` | the check of the dependency |
//! | `/<alias>` | the process or dependency that [`Setup::alias`] gives this name |
//! | `/openapi.json` | the endpoints, as an OpenAPI description |
//!
//! | HTTP status | `status` in the response | meaning |
//! |---|---|---|
//! | 200 | `healthy` | everything that is known works |
//! | 200 | `unknown` | nothing shows whether the subject of the report works; it has no check and no recent traffic |
//! | 200 | `degraded` | the subject of the report works, but it or a part of it is degraded, late or out of date |
//! | 503 | `unhealthy` | the subject of the report does not work, or its check shows nothing |
//! | 404 | | no process, check or alias has this name |
//! | 405 | | the method is neither `GET` nor `HEAD` |
//!
//! What is unknown does not count for the program, for readiness, or for a process that depends on it. A program that
//! has just started is therefore healthy before its first request.
//!
//! Every status except `healthy` has a `reason`, which is one of a closed list ([`Reason`]). The reasons of the parts
//! are in `reasons`. Every client may read them.
//!
//! | `reason` | meaning |
//! |---|---|
//! | `no_traffic` | without a check, no run counts; with a check, no run of the stage or process was seen |
//! | `overdue` | a run is past its SLA now, or the run of a probe was late |
//! | `error_rate` | more runs failed or were late than the objective allows, or most of them were degraded |
//! | `check_failed` | the check, or a run inside it, reported a problem, panicked or was cancelled |
//! | `check_timed_out` | the check did not end within its timeout |
//! | `stale` | the latest result of the check, or the latest heartbeat of the runtime, is too old |
//! | `starting` | start-up is not finished, or the first execution of the check has not ended |
//! | `stopping` | the program is shutting down |
//!
//! A monitor that searches the body for a text should search for `"serving":true`, which only a response with status
//! 200 contains. The text `healthy` is unsuitable, because `unhealthy` contains it. A request whose header `Accept`
//! names `application/health+json` receives the form of
//! [draft-inadarei-api-health-check](https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06). The
//! draft has no unknown status: there, it is a `pass` with the `output` `unknown: no_traffic`. Only
//! clients that [`Setup::detail`] admits receive error texts, versions and the details of each part.
//!
//! # Checks
//!
//! The check of a process is called a *probe*. It really runs the process, with input made for this purpose. A probe
//! fails if the process did not run, failed, panicked, was rejected or was cancelled, even if the probe itself returns
//! a success. If the run of the process was late or degraded, the status is at least a warning. Every check also fails
//! if it panics, if it is cancelled, or if it takes an argument of a type for which no value was passed to
//! [`Setup::with`]. While instrumentation is [disabled](crate::disable), only the value that a probe returns is known,
//! and a pass becomes a warning.
//!
//! * At most one execution of a check runs at a time, however many requests arrive. A request waits for this execution
//!   for at most 25 s ([`RESPONSE_TIMEOUT`]). Common monitors have longer timeouts.
//! * An execution runs on a thread of its own, inside the runtime that called [`Setup::start`]. A check that blocks
//!   its thread therefore delays no endpoint. Nothing can stop it, so its thread is in use until it returns, and the
//!   check is not executed again before that. Its result and a notice on standard error name it. While a test has
//!   paused the clock of the runtime, an execution is a task of the runtime.
//! * A check that ends after its timeout has failed, whatever it returns.
//! * The validity period of a result is `cached_for`, by default 5 s. The first request after this period executes
//!   the check again.
//! * A check with a schedule is executed without requests, at the interval `every`, which varies at random by up to a
//!   tenth. The validity period is then `every`. A request executes such a check only if the check has no result, or
//!   if the schedule is so late that age would make the result a warning.
//! * A result that is not replaced becomes worse with age. A pass becomes a warning after two validity periods plus
//!   the timeout of the check. Any result becomes a failure after three validity periods plus the timeout, unless the
//!   next execution is already running. If an execution is still running after its timeout, the check fails at once.
//!
//! The runs that a check causes in this program are called synthetic. They do not count in statistics and objectives.
//! Their spans and Sentry events carry `critical_process.synthetic`. The only metric that counts the
//! runs is `critical_process.synthetic.runs`, which counts runs of processes. A run is synthetic if it is part of the
//! check's own future. A run in a task that the check spawns is synthetic only if the task runs in a
//! [`Carrier`](crate::Carrier) of the check. If the check sends a network request to this program, the runs that
//! respond to the request are not synthetic.
//!
//! # Liveness
//!
//! Liveness awaits nothing and waits for no check of a process or dependency. A task on the runtime that called
//! [`Setup::start`] runs once a second. If it has not run for 30 s ([`Setup::heartbeat`]), or the runtime has shut
//! down, liveness fails with the reason `stale`. The runtime needs no timer for this. If all workers of the runtime
//! that serves `/live` are blocked, `/live` does not respond at all, which a monitor also counts as a failure. To read
//! the reason in that case, serve [`Health::liveness`] from another runtime or thread. It reports the same heartbeat
//! there.
//!
//! The checks that [`Setup::liveness`] adds run on threads of their own. A report does not wait for a check that takes
//! long; its previous result counts. A check that takes longer than 30 s, or than a shorter limit of
//! [`Setup::heartbeat`], has failed.
//!
//! # Processes without a probe
//!
//! The status of such a process follows from its runs in the last five minutes. Runs that were rejected, or cancelled
//! within their SLA, do not count. Any client can cause runs that fail, so such a process never fails. Its status is a
//! warning in each of these cases:
//!
//! * A run is past its SLA now.
//! * More runs failed or were late than the objective allows.
//! * More than half of the runs that count were degraded.
//!
//! If no run counts, the status is unknown. Readiness can never fail for such a process, so `registry::validate`
//! reports it if [`Setup::require`] names it. The same rules apply to the calls to a dependency without a check.
//!
//! # Metrics and Sentry
//!
//! Two gauges describe the latest result of each check: `critical_process.check.status` (1 for pass, 0.5 for warn, 0
//! for fail) and `critical_process.check.age` (in seconds). A check without a result, and a process without a check,
//! have no sample. If the first execution of a check does not end within its timeout, its status is a failure, and its
//! age is the time since the execution began. The attribute of the gauges is `critical_process.id` or
//! `critical_process.dependency`. Feature `prometheus` exports these gauges too.
//!
//! Each scheduled probe sends check-ins to Sentry Crons. The name of its monitor there is the id of the process. Sentry
//! accepts at most six check-ins per minute for one monitor, from all replicas together. A program therefore sends at
//! most one every ten seconds for each process.

// This file only declares modules and re-exports items. The other files of this folder must not import it.

mod body;
pub(crate) mod check;
#[cfg(feature = "metrics")]
mod check_metrics;
#[cfg(feature = "sentry")]
mod checkin;
mod detail;
mod endpoints;
mod health_report;
mod liveness;
mod response;
mod runtime;
mod schedule;
#[cfg(feature = "axum")]
mod service;
mod setup;
mod shared;
mod traffic;

pub use process_model::CheckTarget;

pub use self::check::{CheckDefinition, CheckVerdict, IntoVerdict, MissingState, Reason, Status, checks};
pub use self::detail::Detail;
pub use self::endpoints::Health;
pub use self::health_report::{PartReport, Report, StatusSource};
pub use self::liveness::LivenessCheck;
pub use self::response::{Request, Response};
pub use self::setup::Setup;
pub use self::shared::RESPONSE_TIMEOUT;
