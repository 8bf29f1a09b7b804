//! Start-up, the watchdog thread, and live figures of the program. Features and destinations do not belong here.

pub(crate) mod installation;
pub(crate) mod live;
pub mod measure;
pub(crate) mod watchdog;
