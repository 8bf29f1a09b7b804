//! Start-up and tending.

pub(crate) mod installation;
pub mod measure;
pub(crate) mod watchdog;
