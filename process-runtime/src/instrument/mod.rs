//! The functions and types that an expansion calls, and the calls to dependencies. Destinations and start-up do not
//! belong here.

pub(crate) mod dependency;
pub(crate) mod entry_context;
pub(crate) mod execution;
#[cfg(feature = "axum")]
pub(crate) mod http;
#[cfg(feature = "testing")]
pub mod injectable;
pub(crate) mod kinds;
pub mod probe;
mod record;
