//! The foundation of every other layer: the clock, locks, lanes (which keep threads from contending for counters),
//! the guard around foreign code, output lines, causes of problems and notices of the toolkit about itself, and the
//! alarm that wakes the watchdog. Nothing here may depend on processes or runs.

pub(crate) mod alarm;
#[allow(dead_code, reason = "only some features have problems that can recur")]
pub(crate) mod cause;
pub(crate) mod chain;
pub(crate) mod clock;
pub(crate) mod guard;
pub(crate) mod lane;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod notices;
pub(crate) mod output;
pub(crate) mod sizes;
pub(crate) mod sync;
pub(crate) mod text;
#[cfg(feature = "tracing")]
pub(crate) mod visitors;
