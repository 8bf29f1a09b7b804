//! Processes without a check. Their runs never make an endpoint fail.

use std::time::Duration;

use process_runtime::health::{Health, Request, Setup};
use process_runtime::registry::{self, Finding};
use process_runtime::{Install, critical_process, dependency};
use serde_json::Value;

use super::get;

#[derive(Debug, thiserror::Error)]
#[error("the password is wrong")]
struct WrongPassword;

/// A process that no test runs. Its dependency has no check.
#[critical_process(id = "untouched", version = "1.0.0", sla = "1s", depends_on("abacus"))]
async fn _untouched() {}

#[critical_process(id = "login", version = "1.0.0", sla = "1s", depends_on("users"))]
async fn login(right: bool) -> Result<(), WrongPassword> {
    dependency("users", async { if right { Ok(()) } else { Err(WrongPassword) } }).await
}

#[critical_process(id = "login_with_rejections", version = "1.0.0", sla = "1s", rejects(_error if true))]
async fn login_with_rejections(right: bool) -> Result<(), WrongPassword> {
    if right { Ok(()) } else { Err(WrongPassword) }
}

async fn draft(health: &Health, path: &str) -> Value {
    let accept = Some("application/health+json");
    let answer = health.respond(Request { method: "GET", path, accept, ..Request::default() }).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_fresh_process_is_unknown_and_counts_for_nothing() {
    let health = Setup::new().require(["untouched"]).start();
    let (status, body) = get(&health, "/untouched").await;
    assert_eq!((status, &body["status"], &body["serving"]), (200, &"unknown".into(), &true.into()), "{body}");
    assert_eq!(
        (&body["reason"], &body["checks"]["abacus"]),
        (&"no_traffic".into(), &"unknown".into()),
        "{body}"
    );
    assert_eq!(body["reasons"]["abacus"], "no_traffic");
    let (status, body) = get(&health, "/ready").await;
    assert_eq!((status, &body["status"]), (200, &"healthy".into()), "{body}");
    assert_eq!(body["checks"]["untouched"], "unknown");
    assert_eq!(get(&health, "").await.1["checks"]["untouched"], "unknown");
    // The draft has no unknown status.
    let body = draft(&health, "/untouched").await;
    assert_eq!((&body["status"], &body["output"]), (&"pass".into(), &"unknown: no_traffic".into()), "{body}");
    let part = &body["checks"]["abacus:status"][0];
    assert_eq!((&part["status"], &part["output"]), (&"pass".into(), &"unknown: no_traffic".into()), "{body}");
}

#[tokio::test]
async fn readiness_that_requires_a_process_without_a_check_is_a_finding() {
    drop(Setup::new().require(["untouched", "supabase_db"]).start());
    let found = registry::validate();
    let its = |finding: &&Finding| match finding {
        Finding::RequiredWithoutCheck { process, .. } => process == "untouched" || process == "supabase_db",
        _ => false,
    };
    let required: Vec<_> = found.iter().filter(its).map(Finding::to_string).collect();
    assert_eq!(required.len(), 1, "{required:?}");
    assert!(required[0].starts_with("readiness requires process `untouched` at "), "{required:?}");
    assert!(Install::new().start().report().contains(&required[0]), "it is also a notice");
}

#[tokio::test]
async fn wrong_passwords_of_an_anonymous_client_leave_every_endpoint_green() {
    let health = Setup::new().require(["login", "login_with_rejections"]).alias("door", "login").start();
    for _ in 0..6 {
        login(false).await.unwrap_err();
        login_with_rejections(false).await.unwrap_err();
    }
    for path in ["/login", "/door", "/ready", "/login_with_rejections"] {
        assert_eq!(get(&health, path).await.0, 200, "{path}");
    }
    let (_, overall) = get(&health, "").await;
    for process in ["login", "login_with_rejections"] {
        assert_ne!(overall["checks"][process], "fail", "{overall}");
    }
    let (_, body) = get(&health, "/login").await;
    assert_eq!((&body["status"], &body["checks"]["users"]), (&"degraded".into(), &"warn".into()), "{body}");
    assert_eq!((&body["reason"], &body["reasons"]["users"]), (&"error_rate".into(), &"error_rate".into()));
    // A rejection is the mistake of the client, so it does not count at all.
    let (_, body) = get(&health, "/login_with_rejections").await;
    assert_eq!((&body["status"], &body["reason"]), (&"unknown".into(), &"no_traffic".into()), "{body}");
    login_with_rejections(true).await.unwrap();
    assert_eq!(get(&health, "/login_with_rejections").await.1["status"], "healthy");
}

#[critical_process(id = "stuck", version = "1.0.0", sla = "20ms")]
async fn stuck() {
    std::future::pending().await
}

#[tokio::test]
async fn a_run_past_its_sla_is_a_warning() {
    // The watchdog, which `Install` starts, notices that a run is overdue.
    let installation = process_runtime::Install::new().start();
    let health = Setup::new().start();
    let run = tokio::spawn(stuck());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (status, body) = get(&health, "/stuck").await;
    assert_eq!(
        (status, &body["status"], &body["reason"]),
        (200, &"degraded".into(), &"overdue".into()),
        "{body}"
    );
    run.abort();
    installation.stop();
}
