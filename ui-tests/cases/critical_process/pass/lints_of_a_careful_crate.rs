//! The expansion of the attributes breaks no lint that the crate enables.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, single_use_lifetimes, trivial_casts, unused_lifetimes, unused_results)]

use std::fmt;

use process_runtime::{critical_process, record, stage};

/// Why an order was refused.
#[derive(Debug)]
pub enum Refusal {
    /// The order is empty.
    Empty,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("empty")
    }
}

impl std::error::Error for Refusal {}

/// Adds up an order.
///
/// # Errors
/// For an empty order.
#[critical_process(
    id = "add_up",
    version = "1.0.0",
    sla = "1s",
    context(lines = lines.len(), later(total)),
    rejects(Refusal::Empty)
)]
pub async fn add_up(lines: &[u32]) -> Result<u32, Refusal> {
    if lines.is_empty() {
        return Err(Refusal::Empty);
    }
    let total = sum(lines);
    record!(total = total);
    Ok(total)
}

#[stage(id = "sum", process = "add_up")]
fn sum(lines: &[u32]) -> u32 {
    lines.iter().sum()
}

/// Ends the program.
#[critical_process(id = "halt", version = "1.0.0", sla = "1s")]
pub fn halt() -> ! {
    std::process::exit(0)
}

fn main() {
    drop(add_up(&[1, 2]));
    halt();
}
