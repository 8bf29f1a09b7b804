//! Requests to the health endpoints, for tests of their answers.

use process_runtime::health::{Health, Request};
use serde_json::Value;

/// Returns the status and the body that a `GET` of this path receives.
pub(crate) async fn get(health: &Health, path: &str) -> (u16, Value) {
    let answer = health.respond(Request { method: "GET", path, ..Request::default() }).await;
    (answer.status, serde_json::from_str(&answer.body).expect("it is JSON"))
}
