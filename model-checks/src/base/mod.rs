//! The lowest layer: lanes, locks and visitors of `process-runtime`, and replacements for the files that they import.

pub(crate) mod clock;
#[path = "../../../process-runtime/src/base/lane.rs"]
pub(crate) mod lane;
#[path = "../../../process-runtime/src/base/lock.rs"]
pub(crate) mod lock;
pub(crate) mod sizes;
pub(crate) mod sync;
#[path = "../../../process-runtime/src/base/visitors.rs"]
pub(crate) mod visitors;
