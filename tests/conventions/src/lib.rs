//! What the source of this workspace keeps to: the order of the folders of `process-runtime` ([`rules`]), and
//! the words that it does without ([`voice`]).
//!
//! The tests of this package read the source and build nothing else, so they also run while the product does not
//! compile:
//!
//! ```text
//! cargo test -p conventions
//! cargo run -p conventions            # every violation, then the figures
//! cargo run -p conventions -- PATH    # the same for another checkout
//! ```
//!
//! The graph of imports has every path that is written in the product, under any `cfg`: in imports, types, expressions,
//! attributes and the tokens of macros. It does not have test code (`#[cfg(test)]`). A method that is called on a
//! value, and what a macro of another crate expands to, are not written as paths and are not seen.

pub mod cfgs;
pub mod graph;
pub mod house;
pub mod paths;
pub mod resolve;
pub mod rules;
pub mod source;
pub mod tree;
pub mod voice;
