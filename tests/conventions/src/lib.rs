//! What the source of this workspace keeps to: the order of the folders of `process-runtime` ([`rules`]), and
//! the words that it does without ([`voice`]).
//!
//! The tests of this package read the source and build nothing else, so they also run while the product does not compile:
//!
//! ```text
//! cargo test -p conventions
//! cargo run -p conventions            # every violation, then the figures
//! cargo run -p conventions -- PATH    # the same for another checkout
//! ```
//!
//! Test code (`#[cfg(test)]`) is not part of the graph of imports. Everything else is, under any `cfg`.

pub mod cfgs;
pub mod graph;
pub mod paths;
pub mod resolve;
pub mod rules;
pub mod source;
pub mod tree;
pub mod voice;
