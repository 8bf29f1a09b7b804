//! Statistics of each process and stage, without a metrics backend: outcomes and durations since the start of the
//! program and over the last 1, 5 and 60 minutes.
//!
//! Use this module for a status page, a test or a small service. The statistics are in memory, fixed in size, and on
//! unless [`crate::disable`] was called. Nothing here may know the unit or the run that it counts.

pub(crate) mod account;
mod figures;
pub(crate) mod histogram;
pub(crate) mod windows;

pub use figures::*;
pub(crate) use figures::{read, roll};
