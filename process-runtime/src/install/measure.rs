//! What the toolkit itself takes, for benchmarks and tests of its own. Not for you: it changes without notice.

use std::time::{Duration, Instant};

use crate::run::domain::Core;
use crate::run::unit::Unit;

/// Bytes that the statistics of a process hold now, in the global domain.
pub fn account_bytes(id: &str) -> Option<usize> {
    let is_it =
        |unit: &&'static Unit| unit.is_process() && unit.process.is_some_and(|process| process.id() == id);
    let unit = Unit::all().into_iter().find(is_it)?;
    Some(Core::global().account(unit).memory())
}

/// Bytes that the table of runs in flight holds now, in the global domain.
pub fn in_flight_bytes() -> usize {
    Core::global().table_memory()
}

/// How long one scan for late runs takes now, in the global domain.
pub fn scan() -> Duration {
    let started = Instant::now();
    crate::observe::scan(Core::global());
    started.elapsed()
}

/// How often a run has woken the watchdog.
pub fn watchdog_wakes() -> u64 {
    crate::base::alarm::wakes()
}

/// Samples that wait to be recorded.
#[cfg(feature = "metrics")]
pub fn samples_waiting() -> usize {
    crate::observe::metrics::waiting()
}

/// Measurements that could not be delivered since the start, by reason.
#[cfg(feature = "metrics")]
pub fn dropped() -> [(&'static str, u64); 7] {
    crate::observe::metrics::dropped()
}
