//! Whether a runtime has a virtual clock, as tests have it. Reading the time does not belong here.

use std::time::Instant;

/// Returns whether the clock of the current runtime differs from the clock of the operating system, because a test
/// has paused it.
pub(in crate::health) fn is_virtual() -> bool {
    let before = Instant::now();
    let now = tokio::time::Instant::now().into_std();
    let after = Instant::now();
    now < before || now > after
}
