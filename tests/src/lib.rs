//! What the integration tests share: places that keep what runs told them, each as a user would see it.

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
