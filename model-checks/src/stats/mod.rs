//! Accounts.

#[path = "../../../process-runtime/src/stats/account.rs"]
pub(crate) mod account;
pub(crate) mod histogram;
pub(crate) mod windows;
