//! Fixtures that several integration tests share: destinations that keep everything they receive from runs, and
//! programs that tests start. A fixture that only one test needs belongs in that test.

pub mod capture;
pub mod collector;
pub mod events;
pub mod isolated;
pub mod loaded;
pub mod page;
pub mod readings;
pub mod relay;
pub mod sink;
pub mod tls;
pub mod traces;
pub mod ways;
