//! One attribute on a function makes a critical process observable (a span for each run), testable
//! (`testing::Domain`), monitored (its SLA, counted outcomes, [`registry`]) and recoverable: whoever
//! repairs a failure finds whom it hit, who owns it and which runbook to open on the event itself.
//!
//! ```
//! use process_runtime::{critical_process, registry};
//!
//! /// Charges the customer's card.
//! #[critical_process(id = "pay_invoice", version = "1.2.0", sla = "10s", context(invoice))]
//! fn pay(invoice: u64) -> Result<(), std::num::ParseIntError> {
//!     "42".parse::<u64>().map(drop)
//! }
//!
//! pay(7).unwrap();
//! let stats = registry::stats("pay_invoice").unwrap();
//! assert_eq!(stats.ended.total(), 1);
//! ```
//!
//! Every key is in the documentation of [`macro@critical_process`]. A new program gets to its first trace in five
//! minutes with the page `first_process` (feature `telemetry`); a service that has tracing, OpenTelemetry and Sentry
//! already keeps them, and [`adopting`] says what to put in and what to take out. [`Install`] is then the one call at
//! start-up. What a process does when things break is proven by contracts: the page `contracts` (feature `testing`).
//!
//! # Features
//!
//! | feature | default | what it adds | works with |
//! |---|---|---|---|
//! | `tracing` | yes | a span for each run, so any OpenTelemetry backend | tracing 0.1 |
//! | `sentry` | yes | an event for each failure, with business context | sentry and sentry-core 0.49 |
//! | `metrics` | yes | OpenTelemetry instruments; trace ids on Sentry events and in [`Carrier`] | opentelemetry 0.33 (tracing-opentelemetry 0.34) |
//! | `tokio` | no | `timeout`, whose stops are failures | tokio 1 |
//! | `axum` | no | [responses judged by their status](#http-statuses); with `tracing` and `metrics` also `propagation`: one trace across services, and errors that name it | axum 0.8, anything on http 1 and tower |
//! | `health` | no | `health`: endpoints that tell whether processes work; with `axum` a service to nest; includes `tokio` | tokio 1, axum 0.8 |
//! | `telemetry` | no | `telemetry::init`, the whole set-up from the standard variables, and `timeline`, which reads what it wrote; brings the SDKs (some 150 crates) | a service without a set-up of its own |
//! | `prometheus` | no | `telemetry` that a Prometheus scrapes; six crates more | Prometheus 2 and 3 |
//! | `testing` | no | `testing`: contracts that prove what a process does, and break it on purpose; includes `tokio` | tokio 1 |
//! | `proptest` | no | `testing::Battery::for_all`, for inputs of a strategy; includes `testing` | proptest 1 |
//!
//! Without any the attribute registers the process and keeps its statistics. Another version of tracing,
//! opentelemetry or sentry-core in the application compiles, and is a different crate that hears nothing:
//! [`Installation::report`] tells.
//!
//! # What a run is
//!
//! A run begins when its function is called, or its future first polled, and ends in exactly one
//! [`Outcome`]: by its return, an error, a panic or a drop, whichever comes first. Beside the outcome it is
//! *late* if it took longer than its SLA.
//!
//! A run of an `async fn` is inside of itself only while it is polled; what it spawns is outside, unless a
//! [`Carrier`] takes the scope along. A run of a plain function is everything that its thread does until it
//! returns. A `block_on` inside of one includes whatever the runtime polls on that thread, tasks that others
//! spawned among them. So do not put the attribute on a plain `main` that runs a current-thread runtime; note
//! that `#[critical_process]` below `#[tokio::main]` sees such a `main`, and above it an `async` one.
//!
//! The attribute that is written above is expanded first, and so ends up *inside*: `#[tracing::instrument]`
//! above `#[critical_process]` opens its span within the run, below it around the run. The run of a `main`
//! begins before its body installs a subscriber, so it has no span: annotate a function that `main` calls.
//!
//! # What is recorded
//!
//! Of arguments and return values nothing but what `context(…)` names, taken at entry, and only where a
//! subscriber, Sentry client or sink wants it. Context flows down: what an outer process or a
//! [`context::Scope`] named is inherited by every run inside (also one without `context(…)`) and stands on
//! its span and its events, under the value that it had when the inner run began. What an inner run names
//! itself goes over it, for that run and those inside of it. `inherit(name)` takes no value and changes none:
//! it states in the registry that the process expects one from outside, and gives spans a field for it
//! where only a `Scope` sets it (as [`context::declare`] does).
//!
//! The text of an error goes to Sentry and nowhere else; with no Sentry client, to standard error (once
//! [`Install`] has started). `error_text = everywhere` adds it to the span, `never` withholds it from all of
//! them. A panic ends its run as `panic`, with the `error.type` `panic`, and unwinds on; its message is error
//! text and goes the same ways. Rust's own panic hook prints it as ever. No `tracing` event tells
//! of an end: an outcome is fields of the span, which `fmt` prints with `FmtSpan::CLOSE`.
//!
//! # Names on the wire
//!
//! Telemetry can be turned into a dashboard from this section alone. `error.type` is the name of the error's
//! type unless `error_type = path` names it, and never comes from its text. `panic` is a panic,
//! `timeout` what `process_runtime::timeout` stopped, `_OTHER` what `fails(…)` matched and every type of a
//! process past its 32nd.
//!
//! ## Spans
//!
//! A span has the process's id for its name, a stage's and a call's to a dependency `<process id>.<its id>`; its target is
//! `critical_process` and its level INFO, so this filter line lets all of them through:
//! `critical_process=info`. Its status is Error (field `otel.status_code`) after failure and panic, otherwise
//! unset. A run that passes its SLA is one WARN event of the same target in its span, with
//! `critical_process.id`, `critical_process.stage`, `elapsed_s`, `sla_s`, and the process's `owner` and `runbook`.
//!
//! | field | when |
//! |---|---|
//! | `critical_process.id`, `.version`, `.criticality` | at entry; not on a shared stage outside of any process |
//! | `critical_process.stage` | at entry of a stage |
//! | `critical_process.dependency` | at entry of a call to one ([`dependency`]) |
//! | `code.function.name` | at entry, but not of such a call: path of the function, or `handler` |
//! | `critical_process.synthetic` | at entry of what a health check runs (`health`); also a tag in Sentry |
//! | each context key, as named | at entry, or by [`record!`]; at least a program's first 54, a process's own before others |
//! | `critical_process.outcome`, `.late` | at the end |
//! | `error.type` | at the end of a failure, panic or rejection |
//! | `exception.message` | the same, with `error_text = everywhere` |
//!
//! `code.file.path` and `code.line.number` are no fields of ours: the span's metadata says them, and
//! tracing-opentelemetry exports them from there (`with_location`, its default). Around its tracer,
//! `DescribedTracer` takes what is said at entry, but for context, off the fields and exports the same
//! attributes for less.
//!
//! ## Metrics
//!
//! Of the meter `critical_process`. Business context and versions are never attributes.
//!
//! | instrument | kind, unit | attributes |
//! |---|---|---|
//! | `critical_process.duration` | histogram, `s`, with a boundary at every SLA | `critical_process.id`, `critical_process.outcome` |
//! | `critical_process.sla.utilization` | histogram, `1`: duration ÷ SLA, with a boundary at 1 | the same |
//! | `critical_process.stage.duration` | histogram, `s` | the same (an empty id outside of any process), `critical_process.stage` |
//! | `critical_process.started` | counter, `{run}` | `critical_process.id` |
//! | `critical_process.runs` | counter, `{run}`: those that ended | `critical_process.id`, `.outcome`, `.late`; `error.type` of failure, panic and rejected |
//! | `critical_process.active` | up-down counter, `{run}` | `critical_process.id` |
//! | `critical_process.overdue` | gauge, `{run}`: going on past their SLA | `critical_process.id` |
//! | `critical_process.synthetic.runs` | counter, `{run}`: those of health checks, which are in none of the others | `critical_process.id`, `.outcome` |
//! | `critical_process.check.status` | gauge, `1`: 1 is pass, 0.5 warn, 0 fail | `critical_process.id` or `critical_process.dependency` |
//! | `critical_process.check.age` | gauge, `s`, since the check was last executed | the same |
//! | `critical_process.telemetry.dropped` | counter, `{item}` | `reason`: `sample`, `untracked`, `line`; with `telemetry` also `log` (lines of it), `span`, `event` and `transaction` (Sentry), which could not be delivered |
//!
//! ## Sentry
//!
//! | outcome | what is sent |
//! |---|---|
//! | failure | an event, level error |
//! | panic | an event, level fatal; where Sentry's panic integration sends one, that is it |
//! | late | an event, level warning, at most one a minute for each process; none for stages |
//! | degraded process; failed stage or call to a dependency | a breadcrumb |
//! | success, rejected, cancelled | nothing |
//!
//! An error that a process returns after an inner process failed with it is not sent again. One that the
//! body sends itself (`capture_error`, a `tracing::error!` under sentry-tracing) and then returns is two
//! events: leave it to the attribute.
//!
//! * Tags: `process_id`, `process_version`, at an end `process_outcome`, and each context key whose value is
//!   one line of at most 200 characters. `user_id` also sets the user.
//! * Context block `process`: `id`, `name`, `version`, `criticality`, `sla_ms`, `handler`, `owner`,
//!   `runbook`; `stage`, the one that runs or that the run failed by; at an end `outcome`, `late`,
//!   `duration_ms`, `error_type`; `elapsed_ms` of a late run; `first_event_id` where an inner process has
//!   failed before; each context key, unless one of these has its name.
//! * Fingerprint: `[process id, error.type]`, so all variants of one error type, and everything in
//!   an `anyhow::Error`, are one issue of their process. Give `error_type = path` where variants should be
//!   separate issues. A late run's is `[process id, "overdue"]`.
//! * Trace: the ids of the run's OpenTelemetry span. Where Sentry samples transactions and sentry-tracing is
//!   not installed, a run is one of op `process`, and a stage a span of op `stage` in it.
//!
//! # HTTP statuses
//!
//! With feature `axum`, a return that has a status (a `StatusCode`, an `http::Response`, a tuple that starts
//! with a `StatusCode`) is judged by it, alone or in `Ok`; without the feature any of them is a success.
//!
//! | status | outcome | `error.type` |
//! |---|---|---|
//! | 5xx | failure | the status code, as `503`; of a rare status `5xx` |
//! | 4xx | rejected | the same, `4xx` |
//! | any other | success; in `Err` a failure | |
//!
//! An `Err` is judged so only if it *is* one of these. The error of a `Result<_, AppError>` is a failure
//! unless `rejects(…)` matches, whatever status its `IntoResponse` would give it: a 404 among your errors
//! belongs in `rejects`. The same goes for the `ErrorResponse` of `axum::response::Result`. A request that an
//! extractor turns away never reaches the handler, and is no run.

/// In a service that has tracing, OpenTelemetry and Sentry already.
///
#[cfg(doc)]
#[doc = include_str!("../docs/adopting.md")]
pub mod adopting {}
mod base;
mod catalog;
/// In tests: from a first contract to a gate that stays shut while anything is unproven.
///
#[cfg(all(doc, feature = "testing"))]
#[doc = include_str!("../docs/contracts.md")]
pub mod contracts {}
/// In a new program: from `cargo new` to a trace.
///
#[cfg(all(doc, feature = "telemetry"))]
#[doc = include_str!("../docs/first-process.md")]
pub mod first_process {}
#[cfg(feature = "health")]
pub mod health;
mod install;
mod instrument;
pub mod observe;
#[cfg(all(feature = "axum", feature = "metrics", feature = "tracing"))]
pub mod propagation;
mod run;
/// The critical processes that the program was linked with: what they are, what they do now, and what is wrong.
///
/// Use this module for a page or a check that shows what a service does, and at start-up to state which processes must
/// be there: a crate that Cargo.toml names and no source file does contributes nothing to the binary, so list the
/// processes that you expect ([`expect`](registry::expect)) and let [`validate`](registry::validate) report which of them are missing.
pub mod registry {
    pub use crate::catalog::findings::{Finding, expect, validate};
    pub use crate::catalog::registry::{UnknownProcess, all, get, stages};
    pub use crate::install::live::{dependency_stats, in_flight, stage_stats, stats, untracked};
    pub use crate::run::domain::InFlight;
}
pub mod stats;
#[cfg(feature = "telemetry")]
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;

pub use catalog::definition;
pub use install::installation::{Install, Installation};
pub use instrument::dependency::{dependency, dependency_call};
pub use instrument::execution::{disable, enable};
#[cfg(feature = "sentry")]
#[doc(inline)]
pub use observe::sentry;
#[cfg(all(feature = "tracing", feature = "metrics"))]
pub use observe::tracer::DescribedTracer;
/// Says which case of which process a test proves.
///
/// ```
/// use process_runtime::testing::observe;
/// use process_runtime::{contract, critical_process};
///
/// #[critical_process(id = "pay_invoice", version = "1.2.0", sla = "10s")]
/// async fn pay(amount: u64) -> Result<u64, std::num::TryFromIntError> {
///     u32::try_from(amount).map(u64::from)
/// }
///
/// #[contract(process = "pay_invoice", case = happy)]
/// #[tokio::test]
/// async fn an_invoice_is_paid() {
///     assert_eq!(observe(pay(7)).await.into_value(), Ok(7));
/// }
///
/// #[contract(process = "pay_invoice", case = error("core::num::error::TryFromIntError"))]
/// #[tokio::test]
/// async fn too_much_is_not_paid() {
///     observe(pay(u64::MAX)).await.into_value().unwrap_err();
/// }
/// ```
#[cfg(feature = "testing")]
pub use process_macros::contract;
/// Says how to find out whether something works that processes depend on.
///
/// ```
/// use std::sync::Arc;
///
/// use process_runtime::{critical_process, dependency_check};
///
/// #[derive(Clone)]
/// struct Orders(Arc<Vec<u64>>);
///
/// impl Orders {
///     async fn latest(&self) -> Result<u64, &'static str> {
///         self.0.last().copied().ok_or("there are no orders")
///     }
/// }
///
/// #[critical_process(id = "show_order", version = "1.0.0", sla = "2s", depends_on("orders_db"))]
/// async fn show(orders: &Orders) -> Result<u64, &'static str> {
///     orders.latest().await
/// }
///
/// #[dependency_check(id = "orders_db", timeout = "500ms")]
/// async fn orders_answer(orders: Orders) -> Result<u64, &'static str> {
///     orders.latest().await
/// }
///
/// let mut checks = process_runtime::health::checks();
/// let check = checks.find(|check| check.target().id() == "orders_db").unwrap();
/// assert_eq!(check.timeout(), std::time::Duration::from_millis(500));
/// ```
#[cfg(feature = "health")]
pub use process_macros::dependency_check;
/// Says how to find out whether a process works, not only whether its server is up.
///
/// ```
/// use process_runtime::{critical_process, health_check};
///
/// #[critical_process(id = "pay_invoice", version = "1.2.0", sla = "10s")]
/// async fn pay(amount: u64) -> Result<u64, std::num::TryFromIntError> {
///     u32::try_from(amount).map(u64::from)
/// }
///
/// #[health_check(process = "pay_invoice", every = "5m")]
/// async fn payment_works() -> Result<u64, std::num::TryFromIntError> {
///     pay(1).await
/// }
///
/// let mut checks = process_runtime::health::checks();
/// let check = checks.find(|check| check.target().id() == "pay_invoice").unwrap();
/// assert_eq!(check.timeout(), std::time::Duration::from_secs(10));
/// ```
#[cfg(feature = "health")]
pub use process_macros::health_check;
pub use process_macros::{critical_process, stage};
pub use process_model::Outcome;
pub use run::carrier::{Carried, Carrier};
/// Business context: the few named values that say for whom a run was.
pub mod context {
    pub use crate::run::context::*;
    pub use crate::run::scope::Scope;
}
#[cfg(feature = "tokio")]
pub use run::deadline::{TimedOut, timeout};
pub use run::ending::Verdict;
#[cfg(feature = "telemetry")]
#[doc(inline)]
pub use telemetry::timeline;

/// What expansions name. Not for you: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use process_macros::__record_value as record_value;
    pub use process_model::SectionFrame;

    pub use crate::catalog::linked::{Entry, Linked};
    #[cfg(feature = "health")]
    pub use crate::health::check::{CheckEnd, Checking, LinkedCheck, MissingState, States, checking};
    pub use crate::install::measure;
    pub use crate::instrument::execution::{
        Boxed, BoxedLocal, BoxedSync, Capture, LaterKey, Plain, Run, future, unreachable_value,
    };
    pub use crate::instrument::probe;
    pub use crate::instrument::probe::{Judge, debug, display, error_type};
    #[cfg(feature = "testing")]
    pub use crate::instrument::returns;
    pub use crate::run::ending::Ending;
    pub use crate::run::unit::Site;
    #[cfg(feature = "testing")]
    pub use crate::testing::proof::{contracted::Contracted, registered::LinkedContract};
    pub use crate::{
        __by_type as by_type, __linked as linked, __record_text as record_text, __returns as returns,
        __site as site,
    };
}
