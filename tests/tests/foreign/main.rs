//! Hostile code of the application: errors, values, subscribers, sinks, clients and providers that panic, never end,
//! call the toolkit back, or are of any size. Fixtures that several modules need are here.

mod attributes;
mod callbacks;
mod chains;
mod drops;
mod hangs;
mod limits;
mod lines;
mod locks;
mod payloads;
mod thread_ends;
mod values;

use std::fmt;

use process_runtime::critical_process;

/// An error without a source.
#[derive(Debug)]
struct Plain;

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain")
    }
}

impl std::error::Error for Plain {}

/// A process that succeeds, for destinations that run one.
#[critical_process(id = "innocent", version = "1.0.0", sla = "10s", context(n))]
fn innocent(n: u64) -> u64 {
    n
}

/// A process that fails.
#[critical_process(id = "failing", version = "1.0.0", sla = "10s")]
fn failing() -> Result<(), Plain> {
    Err(Plain)
}
