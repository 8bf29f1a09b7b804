//! The foundation of every other layer: time, lanes, locks, output lines, and notices of the toolkit about itself.
//! Nothing here may know about processes or runs.

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
