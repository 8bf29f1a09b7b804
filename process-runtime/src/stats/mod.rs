//! Counting.

pub(crate) mod account;
mod figures;
pub(crate) mod histogram;
pub(crate) mod windows;

pub use figures::*;
pub(crate) use figures::{read, roll};
