//! The lowest layer.

pub(crate) mod clock;
#[path = "../../../process-runtime/src/base/lane.rs"]
pub(crate) mod lane;
#[path = "../../../process-runtime/src/base/lock.rs"]
pub(crate) mod lock;
pub(crate) mod sizes;
pub(crate) mod sync;
#[path = "../../../process-runtime/src/base/visitors.rs"]
pub(crate) mod visitors;
