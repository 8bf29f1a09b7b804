//! One attribute on a function makes a critical process observable, testable, monitored and recoverable.
//!
//! Each run opens a `tracing` span, is timed against its SLA and ends in exactly one [`Outcome`]. If the run fails,
//! it sends an event to Sentry with the business context, the owner and the runbook. The running program lists its
//! processes in the [`registry`]. A tool can also list them from the binary, because the binary contains their
//! definitions.
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
//! # Where to start
//!
//! - [`macro@critical_process`] documents every key of the attribute.
//! - `first_process` (feature `telemetry`) takes a new program to its first trace in five minutes.
//! - [`adopting`] is for a service that already has tracing, OpenTelemetry and Sentry. The service keeps them and
//!   calls [`Install`] once at start-up.
//! - `contracts` (feature `testing`) shows how to prove what a process does when its dependencies break.
//! - [`outcomes`], [`http_statuses`] and [`names_on_the_wire`] say how a run ends and which spans, metrics and Sentry
//!   events it emits.
//!
//! # Features
//!
//! | feature | default | what it adds | works with |
//! |---|---|---|---|
//! | `tracing` | yes | a span for each run, for any OpenTelemetry backend | tracing 0.1 |
//! | `sentry` | yes | an event for each failure, with business context | sentry and sentry-core 0.49 |
//! | `metrics` | yes | OpenTelemetry instruments; trace ids on Sentry events | opentelemetry 0.33 |
//! | `tokio` | no | `timeout`, a time limit; a run that it stops is a failure | tokio 1 |
//! | `axum` | no | responses judged by their status; `propagation`: one trace across services | axum 0.8, http 1 |
//! | `health` | no | `health`: endpoints that report whether processes work | tokio 1, axum 0.8 |
//! | `telemetry` | no | `telemetry::init`, the whole set-up; `timeline` (adds about 150 crates) | `OTEL_*` variables |
//! | `prometheus` | no | `telemetry` metrics for Prometheus to scrape (adds six crates) | Prometheus 2 and 3 |
//! | `testing` | no | `testing`: contracts that prove what a process does, also under injected faults | tokio 1 |
//! | `proptest` | no | `testing::Battery::for_all`, for the inputs of a strategy | proptest 1 |
//!
//! Without any feature, the attribute registers the process and keeps its statistics. If an application uses another
//! version of tracing, opentelemetry or sentry-core, it compiles, but that version receives nothing.
//! [`Installation::report`] then names the crate.

/// The guide for a service that already has tracing, OpenTelemetry and Sentry.
///
#[cfg(doc)]
#[doc = include_str!("../docs/adopting.md")]
pub mod adopting {}
mod base;
mod catalog;
/// Business context, the few named values that say for whom a process ran.
///
/// The attribute records the values that `context(…)` names, and no others. If the span, Sentry or a sink receives
/// the run, the values are taken when the run begins. If a function is not async but returns a future, they are
/// taken at its call. [`record!`](crate::record) adds a value to a run that has begun. A run inherits the values of
/// the run around it.
///
/// Use [`truncate`](context::truncate), [`mask`](context::mask) and [`hash`](context::hash) to make a value safe to
/// record. Inside `context(…)` they need no import. Use [`Scope`](context::Scope) to set values that are known
/// outside the annotated functions, such as the user of an HTTP request or the tenant of a job.
pub mod context {
    pub use crate::run::context::*;
    pub use crate::run::scope::Scope;
}
/// The guide for tests, from a first contract to a gate, which is a test that fails until every required case is
/// proven.
///
#[cfg(all(doc, feature = "testing"))]
#[doc = include_str!("../docs/contracts.md")]
pub mod contracts {}
/// The guide for a new program, from `cargo new` to a trace.
///
#[cfg(all(doc, feature = "telemetry"))]
#[doc = include_str!("../docs/first-process.md")]
pub mod first_process {}
#[cfg(feature = "health")]
pub mod health;
/// How the HTTP status of a response decides the outcome of a run.
///
#[cfg(doc)]
#[doc = include_str!("../docs/http-statuses.md")]
pub mod http_statuses {}
mod install;
mod instrument;
/// The names of all spans, metrics and Sentry events that leave the program, and the values that are recorded.
///
#[cfg(doc)]
#[doc = include_str!("../docs/names-on-the-wire.md")]
pub mod names_on_the_wire {}
pub mod observe;
/// How a run ends: the six outcomes, and what a return value means.
///
#[cfg(doc)]
#[doc = include_str!("../docs/outcomes.md")]
pub mod outcomes {}
#[cfg(all(feature = "axum", feature = "metrics", feature = "tracing"))]
pub mod propagation;
mod run;
/// The critical processes of this program: their definitions, their statistics, and findings about them.
///
/// Use this module for a page or a check that shows what a service does, and to find missing processes at start-up.
/// If `Cargo.toml` names a crate but no source file does, the processes of that crate are not in the binary. List the
/// processes that you expect with [`expect`](registry::expect). [`validate`](registry::validate) then reports the
/// missing processes.
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

pub use base::foreign::limits::Limits;
pub use catalog::definition;
pub use install::installation::{Install, Installation};
pub use instrument::dependency::{dependency, dependency_call};
pub use instrument::execution::{disable, enable};
#[cfg(all(feature = "tracing", feature = "metrics"))]
pub use observe::monotonic::MonotonicSpan;
#[cfg(feature = "sentry")]
#[doc(inline)]
pub use observe::sentry;
#[cfg(all(feature = "tracing", feature = "metrics"))]
pub use observe::tracer::DescribedTracer;
/// Marks a test that proves one case of a process, for example that it succeeds on time.
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
/// Marks a function that checks whether a dependency of processes works.
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
/// Marks a function that runs a process to check whether the process works.
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
#[cfg(feature = "tokio")]
pub use run::deadline::{TimedOut, timeout};
pub use run::ending::Verdict;
#[cfg(feature = "telemetry")]
#[doc(inline)]
pub use telemetry::timeline;

/// The items that the expansions of the attributes use. Any release may change these items.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use process_macros::__record_value as record_value;
    pub use process_model::SectionFrame;

    pub use crate::catalog::linked::{Entry, Linked};
    #[cfg(feature = "health")]
    pub use crate::health::check::{CheckEnd, Checking, LinkedCheck, MissingState, States, checking};
    pub use crate::install::measure;
    pub use crate::instrument::entry_context::{EntryContext, LaterKey};
    pub use crate::instrument::execution::Run;
    #[cfg(feature = "testing")]
    pub use crate::instrument::injectable;
    pub use crate::instrument::kinds::{Boxed, BoxedLocal, BoxedSync, Plain, future, unreachable_value};
    pub use crate::instrument::probe;
    pub use crate::instrument::probe::{Judge, debug, display, error_type};
    pub use crate::run::ending::Ending;
    pub use crate::run::unit::Site;
    #[cfg(feature = "testing")]
    pub use crate::testing::proof::{contracted::Contracted, registered::LinkedContract};
    pub use crate::{
        __by_type as by_type, __linked as linked, __record_text as record_text, __returns as returns,
        __site as site,
    };
}
