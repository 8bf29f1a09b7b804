//! Contracts: tests that prove what a process does, in every way in which it can go wrong. One needs this module (feature
//! `testing`, among the dev-dependencies) for tests of whatever has the attribute.
//!
//! ```
//! use process_runtime::testing::{Fault, observe};
//! use process_runtime::{contract, critical_process, dependency};
//!
//! #[critical_process(id = "quote_price", version = "1.0.0", sla = "2s", depends_on("prices_api"))]
//! async fn quote(article: &str) -> Result<u64, std::fmt::Error> {
//!     dependency("prices_api", async { Ok(article.len() as u64) }).await
//! }
//!
//! # fn main() {}
//! #[contract(process = "quote_price", case = happy)]
//! #[tokio::test]
//! async fn a_price_is_quoted() {
//!     let run = observe(quote("spoon")).await;
//!     run.expect().success().within_sla().calls(["prices_api"]);
//!     assert_eq!(run.into_value(), Ok(5));
//! }
//!
//! #[contract(process = "quote_price", case = dependency("prices_api"))]
//! #[tokio::test]
//! async fn without_prices_there_is_no_quote() {
//!     let run = observe(quote("spoon")).fault("prices_api", Fault::error(|| std::fmt::Error)).await;
//!     run.expect().failure("core::fmt::Error").one_event([("process_id", "quote_price")]);
//! }
//! ```
//!
//! The page [`contracts`](crate::contracts) goes from nothing to a first contract and to the gate, and has what each case
//! means. What is here, in parts:
//!
//! | what | where |
//! |---|---|
//! | a test that is a contract, and what each case means | [`macro@crate::contract`] |
//! | one run, whole: its stages, context, spans, events, figures | [`observe`], [`observe_call`] |
//! | what is expected of it | [`Observation::expect`] |
//! | what breaks on the way | [`Fault`] |
//! | everything broken in every way, in one line | [`Battery`] |
//! | many runs at once, with bounds and a baseline | [`Load`] |
//! | figures, clock and sinks of a test's own | [`Domain`] |
//! | what is proven and what is open; a test that fails where anything is | [`matrix`], [`gate`] |
//! | what a criticality requires, and waivers | [`policy`] |
//!
//! Nothing here is global: two hundred tests at once, on whatever threads, never see each other, and the figures and the
//! meters of the application hear nothing of them, nor does its Sentry client of what is observed. (What fails in a
//! [`Load`] or [`Domain`] is told to the client that is bound, if one is.) An SLA of two minutes is proven in
//! milliseconds: where tokio's clock is paused (`#[tokio::test(start_paused = true)]`), that is the time which runs see. To
//! observe a run of a process with a stage takes about 50 µs (`tests/observe/runs.rs`, `what_observing_costs`).

mod breaking;
mod domain;
mod load;
mod observing;
mod origin;
pub(crate) mod proof;

pub use self::breaking::battery::{Battery, Trial};
pub use self::domain::fault::Fault;
pub use self::domain::observe::{Observing, ObservingCall, observe, observe_call};
pub use self::domain::{Domain, DomainBuilder};
pub use self::load::{Load, LoadReport, baseline};
pub use self::observing::expect::Expect;
#[cfg(feature = "metrics")]
pub use self::observing::metrics::Series;
pub use self::observing::observation::{Observation, ObservedRun};
#[cfg(feature = "tracing")]
pub use self::observing::spans::Span;
pub use self::origin::revision;
pub use self::proof::date::{Date, InvalidDate};
pub use self::proof::gate::gate;
pub use self::proof::problem::Problem;
pub use self::proof::registered::{Case, ContractDefinition, contracts};
pub use self::proof::{evidence, matrix, policy, report};
