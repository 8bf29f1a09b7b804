//! Checks two conventions of the source in this workspace: the order of the folders of `process-runtime` ([`rules`]),
//! and the words and phrases that no text may use ([`voice`]).
//!
//! The tests of this package read the source of the product but do not compile it, so they also run while the product
//! does not compile:
//!
//! ```text
//! cargo test -p conventions
//! cargo run -p conventions            # every violation, then the figures
//! cargo run -p conventions -- PATH    # the same for another checkout
//! ```
//!
//! The graph of imports contains every path that the product writes, under any `cfg`: in imports, types, expressions,
//! attributes and the tokens of macros. It leaves out test code (`#[cfg(test)]`). Two kinds of dependency are not
//! written as paths, so the graph does not contain them: methods that are called on a value, and what a macro of
//! another crate expands to.

pub mod cfgs;
pub mod graph;
pub mod house;
pub mod paths;
pub mod resolve;
pub mod rules;
pub mod source;
pub mod tree;
pub mod voice;
