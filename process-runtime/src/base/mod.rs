//! The foundation of every other layer: the clock, locks, lanes (which keep threads from contending for counters),
//! the guard around foreign code, output lines, causes of problems and notices of the toolkit about itself, and the
//! alarm that wakes the watchdog. Nothing here may depend on processes or runs.

pub(crate) mod alarm;
#[allow(dead_code, reason = "only some features have problems that can recur")]
pub(crate) mod cause;
pub(crate) mod clock;
pub(crate) mod destination;
#[allow(dead_code, reason = "a program may lack the features that need a part of it")]
pub(crate) mod foreign;
pub(crate) mod lane;
pub(crate) mod lock;
pub(crate) mod notices;
pub(crate) mod output;
pub(crate) mod sizes;
pub(crate) mod sync;
pub(crate) mod threads;
pub(crate) mod timestamp;
#[cfg(feature = "tracing")]
pub(crate) mod visitors;
