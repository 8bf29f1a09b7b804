//! The two providers, which this example plays itself: models and payments, each a small server with a switch
//! for what is to go wrong.

mod models;
mod payments;
mod switch;

pub use self::models::router as models;
pub(crate) use self::payments::router as payments;
