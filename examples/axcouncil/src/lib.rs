//! AxCouncil, an example service. A company asks a question, three models answer it and rank one another's answers,
//! and a chairman writes the synthesis. There are also logins, a knowledge base, departments and subscriptions.
//!
//! AxCouncil shows how to use `process-runtime` in a real HTTP API over a real database, with six critical processes.
//! Each process is one function with one attribute:
//!
//! | process | where |
//! |---|---|
//! | `council_deliberation_3stage` | `council.rs`, its stages in `council/stages.rs` |
//! | `user_authentication` | `auth.rs` |
//! | `company_context_load` | `company_context.rs` |
//! | `payment_subscription` | `payment.rs` |
//! | `knowledge_entry_save` | `knowledge.rs` |
//! | `department_delete` | `departments/delete.rs` |
//!
//! [`start`] starts the whole example: the database, the two providers, which are part of this example, and the API.
//! The binary `gateway` is a second service, which shows a trace across two services.

mod api;
mod auth;
mod bounded;
mod company_context;
mod council;
mod database;
mod departments;
mod error;
mod health;
mod knowledge;
mod outgoing;
mod payment;
mod providers;
mod seed;
mod server;
mod service;
mod status;
#[cfg(test)]
mod trial;

pub use bounded::Limits;
pub use providers::models as model_provider;
pub use seed::{ACME_USER, PASSWORD, UMBRA_USER};
pub use server::{Config, Running, StartError, asked_to_stop, start};
