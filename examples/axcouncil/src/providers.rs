//! The two providers of this example, models and payments. Each is a small server with a switch that makes it fail.

mod models;
mod payments;
mod switch;

pub use self::models::router as models;
pub(crate) use self::payments::router as payments;
