//! The service over HTTP, each test with providers and a database of its own.

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
