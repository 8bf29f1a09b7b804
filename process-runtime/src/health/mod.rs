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
//! Other frameworks call [`Health::respond`].
//!
//! # Endpoints
//!
//! | path below `/health` | reports on |
//! |---|---|
//! | none | every process, and every dependency that has a check |
//! | `/live` | the program itself: the checks of [`Setup::liveness`], and never a process or dependency |
//! | `/started` | whether start-up is finished ([`Health::mark_started`]) |
//! | `/ready` | start-up, shutdown, and everything that [`Setup::require`] and [`Setup::report_only`] name |
//! | `/<process>` | the process, with the stages and dependencies that its probe ran; without a probe, its traffic |
//! | `/<dependency>` | the check of the dependency |
//! | `/<alias>` | the process or dependency that [`Setup::alias`] gives this name |
//! | `/openapi.json` | the endpoints, as an OpenAPI description |
//!
//! | HTTP status | `status` in the response | meaning |
//! |---|---|---|
//! | 200 | `healthy` | everything works |
//! | 200 | `degraded` | it works, but something is degraded, late or out of date |
//! | 503 | `unhealthy` | it does not work, or nothing shows that it does |
//! | 404 | | no process, check or alias has this name |
//! | 405 | | the method is neither `GET` nor `HEAD` |
//!
//! A monitor that searches the body for a text should search for `"serving":true`, which only a response with status
//! 200 contains (`unhealthy` contains `healthy`). A request with `Accept: application/health+json` receives the form of
//! [draft-inadarei-api-health-check](https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06). Error
//! texts, versions and the details of each part are disclosed only to clients that [`Setup::detail`] admits.
//!
//! # Checks
//!
//! The check of a process is a *probe*: it runs the process for real, with input made for the purpose. It fails if the
//! process did not run or did not succeed, whatever the check returns; it is a warning if the run was late or degraded.
//! A check that panics, is cancelled, or takes a type that [`Setup::with`] has not received, fails with that reason.
//!
//! * Each check executes at most once at a time, in a task of its own, however many requests there are. A request waits
//!   for that execution, at most 25 s ([`RESPONSE_TIMEOUT`]), which is less than the timeout of common monitors.
//! * A result is valid for `cached_for` (5 s), or with a schedule (`every`) until the next execution. The interval of a
//!   schedule varies by a tenth. While the schedule works, requests do not execute the check.
//! * A result that is not refreshed ages: a pass becomes a warning after two validity periods plus the timeout of the
//!   check, and any result becomes a failure after three periods plus the timeout. A check that is past its timeout and
//!   still running fails at once.
//!
//! The runs of a check are synthetic. They are in no statistics and no objective; their spans and Sentry events carry
//! `critical_process.synthetic`, and the only metric that counts them is `critical_process.synthetic.runs`. This covers
//! everything that the check awaits. It does not cover tasks that the check spawns, unless a
//! [`Carrier`](crate::Carrier) carries the scope with them, and requests that it sends to this program over the
//! network.
//!
//! # Processes without a probe
//!
//! The status of such a process follows from its runs of the last five minutes. It fails if at least five runs count
//! and half of them failed. It is a warning if more runs were bad (failed or late) than the objective allows, most runs
//! were rejected or degraded, a run is overdue, or none succeeded.
//!
//! # Metrics and Sentry
//!
//! Two gauges describe the last result of each check: `critical_process.check.status` (1 for pass, 0.5 for warn, 0 for
//! fail) and `critical_process.check.age` (in seconds). Their attribute is `critical_process.id` or
//! `critical_process.dependency`; feature `prometheus` exports them as well.
//!
//! A scheduled probe checks in with Sentry Crons. The monitor has the id of the process. There is at most one check-in
//! every ten seconds, since Sentry accepts six per minute from all replicas together.

// Only re-exports: nothing in this folder may import this file.

mod body;
pub(crate) mod check;
#[cfg(feature = "metrics")]
mod check_metrics;
#[cfg(feature = "sentry")]
mod checkin;
mod detail;
mod endpoints;
mod health_report;
mod response;
mod schedule;
#[cfg(feature = "axum")]
mod service;
mod setup;
mod shared;
mod traffic;

pub use process_model::CheckTarget;

pub use self::check::{CheckDefinition, CheckVerdict, IntoVerdict, MissingState, Status, checks};
pub use self::detail::Detail;
pub use self::endpoints::Health;
pub use self::health_report::{PartReport, Report, StatusSource};
pub use self::response::{Request, Response};
pub use self::setup::Setup;
pub use self::shared::{LivenessCheck, RESPONSE_TIMEOUT};
