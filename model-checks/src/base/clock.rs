//! A clock whose time never changes, because a schedule must give the same result each time that loom runs it.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Clock;

impl Clock {
    pub(crate) fn now(&self) -> u64 {
        0
    }

    pub(crate) fn refine(&self) {}

    pub(crate) fn ticks(&self, duration: Duration) -> u64 {
        duration.as_nanos() as u64
    }
}
