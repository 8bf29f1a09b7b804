//! What every layer stands on and none of it knows of processes: time, lanes, locks, lines on their way out, and
//! what the toolkit reports about itself.

pub(crate) mod alarm;
pub(crate) mod clock;
pub(crate) mod guard;
pub(crate) mod lane;
pub(crate) mod lock;
pub(crate) mod notices;
pub(crate) mod output;
pub(crate) mod sizes;
pub(crate) mod sync;
#[cfg(feature = "tracing")]
pub(crate) mod visitors;
