//! The service over HTTP. Each test has its own providers and database.

mod client;
mod council;
mod departments;
mod errors;
mod health;
mod knowledge;
mod limits;
mod login;
mod outgoing;
mod payment;
mod registered;
