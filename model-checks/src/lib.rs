//! Model checks of the lock-free core. The modules `base`, `run`, `stats` and `observe` compile the source files of
//! `process-runtime` itself; only [`base::sync`] and [`base::sizes`] are this crate's, with loom's types and small
//! sizes, and so are the few neighbours that have no atomics. `checks` has the checks, which `tests/checks.rs` runs.
//!
//! loom runs a check under every schedule of its threads, with every value that an atomic load may return under the
//! memory model, up to a bound of preemptions ([`checks::PREEMPTIONS`]). Compare-and-exchange never fails spuriously
//! in it, and `SeqCst` is not modelled; the core uses neither a retry that could hide such a failure nor `SeqCst`.

#![allow(dead_code, reason = "the checks call a part of what the product's files have")]
#![allow(clippy::modulo_one, reason = "one lane is shared here")]
#![allow(unexpected_cfgs, reason = "the product's files name features of their own crate")]

mod base;
pub mod checks;
mod observe;
mod run;
mod stats;
