//! Tools to test functions that have the attribute `#[critical_process]`. A contract is a test that proves how such a
//! process behaves, including how it fails. Enable the feature `testing` only among the dev-dependencies. Code that a
//! program needs outside of its tests does not belong here.
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
//! The page [`contracts`](crate::contracts) is a tutorial. It leads from an empty directory to a first contract and a
//! gate, and describes each case. A gate is a test that fails while a required case of a process is not proven.
//!
//! The following table lists the parts of this module. A boundary is a process, a stage, or a call that
//! [`dependency`](crate::dependency) marks.
//!
//! | to do this | use |
//! |---|---|
//! | make a test a contract | [`macro@crate::contract`] |
//! | observe a run with its stages, context, spans, events and metrics | [`observe`], [`observe_call`] |
//! | check the observed run | [`Observation::expect`] |
//! | inject a fault | [`Fault`] |
//! | inject every kind of fault at every boundary | [`Battery`] |
//! | run a process many times at once, with bounds and a baseline | [`Load`] |
//! | give a test its own statistics, clock and sinks | [`Domain`] |
//! | list the proven and the open cases, and fail a test while a case is open | [`matrix`], [`gate`] |
//! | configure which cases are required, and waive some | [`policy`] |
//!
//! Tests share no state through this module, so they can run at the same time on any threads. The statistics and
//! meters of the application do not count the runs inside [`observe`], [`Load`] and [`Domain`]. The application's
//! Sentry client does not receive failures inside [`observe`]. Failures inside a [`Load`] or a [`Domain`] reach the
//! current Sentry client, if there is one.
//!
//! If tokio's clock is paused (`#[tokio::test(start_paused = true)]`), runs use paused time. A test can then exceed
//! an SLA of two minutes in milliseconds. The observation of a run with one stage takes about 50 µs
//! (`tests/observe/runs.rs`, `what_observing_costs`).

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
