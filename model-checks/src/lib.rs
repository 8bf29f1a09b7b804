//! Model checks of the lock-free core of `process-runtime`. The modules `base`, `run`, `stats` and `observe` compile
//! source files of `process-runtime`. They replace `base::sync` by loom's types, `base::sizes` by small sizes, and
//! the few neighbouring files that have no atomics. The module [`checks`] has the checks, which `tests/checks.rs`
//! runs.
//!
//! loom runs a check under every schedule of its threads with a bounded number of preemptions
//! ([`checks::PREEMPTIONS`]), and with every value that an atomic load may return under the memory model. In loom,
//! compare-and-exchange never fails spuriously, and `SeqCst` is not modelled. The core does not use `SeqCst`.
//! Wherever a spurious failure is possible, the core only repeats the exchange.

#![allow(dead_code, reason = "the checks call a part of what the product's files have")]
#![allow(clippy::modulo_one, reason = "one lane is shared here")]
#![allow(unexpected_cfgs, reason = "the product's files name features of their own crate")]

mod base;
pub mod checks;
mod observe;
mod run;
mod stats;
