//! One attribute on a function makes a critical process observable, testable, monitored and recoverable.
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
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tracing` | yes | a span for each run, so any OpenTelemetry backend |
//! | `sentry` | yes | an event for each failure, with business context |
//! | `metrics` | yes | OpenTelemetry instruments, and trace ids on Sentry events |
//! | `tokio` | no | `timeout`, whose stops are failures |
//! | `axum` | no | responses judged by their status |
//! | `testing` | no | a domain of a test's own, on tokio's clock |
//!
//! Without any the attribute registers the process and keeps its statistics.

mod account;
mod carrier;
mod clock;
pub mod context;
pub mod definition;
mod domain;
mod ending;
mod execution;
mod frame;
mod histogram;
#[cfg(feature = "axum")]
mod http;
mod inflight;
mod install;
mod lane;
#[doc(hidden)]
pub mod measure;
pub mod observe;
mod observed;
#[doc(hidden)]
pub mod probe;
mod record;
pub mod registry;
mod report;
pub mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod timeout;
mod unit;
mod watchdog;
mod windows;

pub use carrier::{Carried, Carrier};
pub use ending::Verdict;
pub use execution::{disable, enable};
pub use install::{Install, Installation};
#[cfg(feature = "sentry")]
pub use observe::sentry;
pub use process_macros::{critical_process, stage};
pub use process_model::Outcome;
#[cfg(feature = "tokio")]
pub use timeout::{TimedOut, timeout};

/// What expansions name. Not for you: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use process_macros::__record_value as record_value;
    pub use process_model::Frame;

    pub use crate::ending::Ending;
    pub use crate::execution::{
        Boxed, BoxedLocal, BoxedSync, Capture, LaterKey, Plain, Run, future, unreachable_value,
    };
    pub use crate::probe;
    pub use crate::probe::{debug, display, error_type};
    pub use crate::unit::{Entry, Site};
}
