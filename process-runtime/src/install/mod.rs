//! Start-up and tending.

pub(crate) mod installation;
pub(crate) mod live;
pub mod measure;
pub(crate) mod watchdog;
