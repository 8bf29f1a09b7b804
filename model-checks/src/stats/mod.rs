//! The accounts of `process-runtime`, and replacements for the parts that are not checked.

#[path = "../../../process-runtime/src/stats/account.rs"]
pub(crate) mod account;
pub(crate) mod histogram;
pub(crate) mod windows;
