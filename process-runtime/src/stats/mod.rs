//! Statistics of each process, stage and dependency. They need no metrics backend. They contain the outcomes of all
//! runs since the program started, and outcomes and durations for the last 1, 5 and 60 minutes.
//!
//! Use this module for a status page, a test or a small service. [`registry::stats`](crate::registry::stats) returns
//! the statistics of a process. Statistics are always collected, unless [`crate::disable`] was called, and use a
//! bounded amount of memory. Code in this module must not depend on the units and runs that it counts.

pub(crate) mod account;
mod figures;
pub(crate) mod histogram;
pub(crate) mod windows;

pub use figures::*;
pub(crate) use figures::{read, roll};
