//! What an expansion calls.

pub(crate) mod dependency;
pub(crate) mod entry;
pub(crate) mod execution;
#[cfg(feature = "axum")]
pub(crate) mod http;
pub(crate) mod kinds;
pub mod probe;
mod record;
#[cfg(feature = "testing")]
pub mod returns;
