//! Work that hangs is stopped at its limit and becomes an error with a code.

use std::time::Duration;

use axcouncil::{ACME_USER, PASSWORD};
use process_runtime::registry;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Service, code};

/// A limit that is longer than any answer takes. A call that hangs exceeds it.
const SHORT: Duration = Duration::from_millis(300);

/// Returns how often a process failed with this error type.
fn failed(process: &str, error_type: &str) -> u64 {
    let stats = registry::stats(process).expect("it is linked");
    stats.error_types.get(error_type).copied().unwrap_or_default()
}

/// Returns how often a call of a process to a dependency was stopped at its time limit.
fn stopped(process: &str, dependency: &str) -> u64 {
    let stats = registry::dependency_stats(process).expect("it is linked");
    stats[dependency].error_types.get("timeout").copied().unwrap_or_default()
}

#[tokio::test]
async fn a_database_that_hangs_is_an_error_of_every_process() {
    let service = Service::with(|config| config.limits.sqlite = SHORT).await;
    let token = service.login(ACME_USER).await;
    let database = service.running.database();
    let mut held = Vec::new();
    for _ in 0..database.options().get_max_connections() {
        held.push(database.acquire().await.expect("there is one"));
    }
    let login = json!({ "email": ACME_USER, "password": PASSWORD });
    let entry = json!({ "title": "t", "body": "b" });
    let order = json!({ "plan": "team", "seats": 3, "card": "tok_visa" });
    let question = json!({ "question": "Why?" });
    for (process, method, path, body) in [
        ("user_authentication", Method::POST, "/login", &login),
        ("knowledge_entry_save", Method::POST, "/knowledge", &entry),
        ("payment_subscription", Method::POST, "/subscriptions", &order),
        ("department_delete", Method::DELETE, "/departments/2", &Value::Null),
        ("council_deliberation_3stage", Method::POST, "/deliberations", &question),
    ] {
        let (status, body) = service.send(method, path, &token, body).await;
        assert_eq!((status, code(&body)), (500, "internal"), "{process}");
        assert_eq!(failed(process, "database_timeout"), 1, "{process}");
        // A deliberation first loads the context of the company, so the call that is stopped belongs to
        // `company_context_load`.
        let caller = if path == "/deliberations" { "company_context_load" } else { process };
        assert_eq!((failed(caller, "database_timeout"), stopped(caller, "sqlite")), (1, 1), "{process}");
    }
    drop(held);
    let (status, _) = service.send(Method::DELETE, "/departments/2", &token, &Value::Null).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_model_that_hangs_fails_the_deliberation() {
    let service = Service::with(|config| config.limits.model_provider = SHORT).await;
    let token = service.login(ACME_USER).await;
    for path in ["/v1/answer", "/v1/rank", "/v1/synthesize"] {
        service.models(json!({ "mode": "hang", "path": path, "model": null })).await;
        let (status, body) = service.post("/deliberations", &token, &json!({ "question": "Why?" })).await;
        assert_eq!((status, code(&body)), (502, "council_unavailable"), "{path}");
        service.models(json!({ "mode": "ok", "path": path, "model": null })).await;
    }
    assert_eq!(failed("council_deliberation_3stage", "model_timeout"), 3);
    let stages = registry::stage_stats("council_deliberation_3stage").expect("it is linked");
    for stage in ["stage1", "stage2", "stage3"] {
        assert_eq!(stages[stage].error_types["model_timeout"], 1, "{stage}");
    }
}

#[tokio::test]
async fn a_charge_that_hangs_leaves_an_invoice_that_is_to_be_asked_about() {
    let service = Service::with(|config| config.limits.payment_provider = SHORT).await;
    let token = service.login(ACME_USER).await;
    service.payments("hang").await;
    let order = json!({ "plan": "team", "seats": 3, "card": "tok_visa" });
    let (status, body) = service.post("/subscriptions", &token, &order).await;
    assert_eq!((status, code(&body)), (502, "payment_unavailable"));
    assert_eq!(service.texts("SELECT status FROM invoices").await, ["unknown"]);
    assert_eq!(failed("payment_subscription", "payment_provider_timeout"), 1);
    assert_eq!(stopped("payment_subscription", "payment_provider"), 1);
}

#[tokio::test]
async fn a_slow_provider_is_waited_for() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    service.payments("slow").await;
    let order = json!({ "plan": "team", "seats": 3, "card": "tok_visa" });
    assert_eq!(service.post("/subscriptions", &token, &order).await.0, 201);
    let stats = registry::dependency_stats("payment_subscription").expect("it is linked");
    let [_, lately, _] = &stats["payment_provider"].windows;
    assert!(lately.max.is_some_and(|max| max >= Duration::from_millis(500)), "{lately:?}");
}
