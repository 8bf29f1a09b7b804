//! The expansion of the attribute breaks no lint that the crate enables.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, single_use_lifetimes, trivial_casts, unused_lifetimes, unused_results)]

use process_runtime::{contract, critical_process};

/// Greets.
///
/// # Errors
/// For an empty name.
#[critical_process(id = "greet", version = "1.0.0", sla = "2s")]
pub async fn greet(name: &str) -> Result<usize, std::fmt::Error> {
    if name.is_empty() { Err(std::fmt::Error) } else { Ok(name.len()) }
}

#[contract(process = "greet", case = happy)]
async fn is_greeted(name: &str, _unused: u8) -> Result<(), std::fmt::Error> {
    assert_eq!(greet(name).await?, 3);
    Ok(())
}

#[contract(process = "greet", case = edge)]
fn is_not_awaited() {
    drop(greet("you"));
}

fn main() {
    if std::env::args().len() > 9 {
        is_not_awaited();
    }
    drop(is_greeted("you", 0));
}
