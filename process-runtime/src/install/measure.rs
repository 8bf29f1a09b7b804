//! Measures the cost of the toolkit itself, for its own benchmarks and tests. This module is not public API and
//! changes without notice. Statistics of runs do not belong here.

use std::time::{Duration, Instant};

use crate::run::domain::Core;
use crate::run::unit::Unit;

/// Returns the current size, in bytes, of a process's statistics in the global domain. Returns `None` if no process
/// has this id.
pub fn account_bytes(id: &str) -> Option<usize> {
    let is_it =
        |unit: &&'static Unit| unit.is_process() && unit.process.is_some_and(|process| process.id() == id);
    let unit = Unit::all().into_iter().find(is_it)?;
    Some(Core::global().account(unit).memory())
}

/// Returns the current size, in bytes, of the global domain's table of runs in flight.
pub fn in_flight_bytes() -> usize {
    Core::global().table_memory()
}

/// Scans the global domain for late runs, and returns the duration of the scan.
pub fn scan() -> Duration {
    let started = Instant::now();
    crate::observe::scan(Core::global());
    started.elapsed()
}

/// Returns how often a run has woken the watchdog because its deadline was earlier than the watchdog's next scan.
pub fn watchdog_wakes() -> u64 {
    crate::base::alarm::wakes()
}

/// Returns the number of samples that are not yet recorded in the histograms.
#[cfg(feature = "metrics")]
pub fn samples_waiting() -> usize {
    crate::observe::metrics::waiting()
}

/// Returns the number of telemetry items that were dropped since the start, by reason.
#[cfg(feature = "metrics")]
pub fn dropped() -> [(&'static str, u64); 9] {
    crate::observe::metrics::dropped()
}
