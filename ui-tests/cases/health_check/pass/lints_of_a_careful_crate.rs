//! The expansion of the attribute breaks no lint that the crate enables.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, single_use_lifetimes, trivial_casts, unused_lifetimes, unused_results)]

use process_runtime::{critical_process, dependency_check, health_check};

/// Greets.
///
/// # Errors
/// For an empty name.
#[critical_process(id = "greet", version = "1.0.0", sla = "2s", depends_on("memory"))]
pub async fn greet(name: &str) -> Result<usize, std::fmt::Error> {
    if name.is_empty() { Err(std::fmt::Error) } else { Ok(name.len()) }
}

#[health_check(process = "greet", every = "5m")]
async fn greets(_unused: u8) -> Result<usize, std::fmt::Error> {
    greet("you").await
}

/// Is called by other code as well.
#[dependency_check(id = "memory")]
pub async fn remembers(name: String) {
    drop(name);
}

/// Is deprecated.
#[deprecated]
#[dependency_check(id = "disk")]
pub async fn writes() {}

fn main() {
    drop(remembers(String::new()));
}
