//! Breaks a process at every boundary in every way, for one input or for many.

pub(in crate::testing) mod battery;
#[cfg(feature = "proptest")]
mod property;
