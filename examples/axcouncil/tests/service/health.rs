//! The answers of the health endpoints while parts of the service fail.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use test_machine::memory;

use crate::client::Service;

impl Service {
    async fn health(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, &format!("/health{path}"), "", &Value::Null).await
    }

    /// Sends requests until the answer has this status, at most for 30 seconds. Returns the body.
    async fn until(&self, path: &str, status: u16) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let (answered, body) = self.health(path).await;
            if answered == status {
                return body;
            }
            assert!(Instant::now() < deadline, "{path}: {answered} {body}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn a_service_that_works_is_healthy_in_every_answer() {
    let service = Service::start().await;
    let (status, council) = service.health("/council").await;
    assert_eq!((status, &council["status"]), (200, &"healthy".into()), "{council}");
    let parts = ["company_context_load", "model_provider", "sqlite", "stage1", "stage2", "stage3"];
    assert_eq!(council["checks"], Value::from_iter(parts.map(|part| (part, "pass"))));
    let (status, all) = service.health("").await;
    // What is unknown does not count.
    assert_eq!(
        (status, &all["status"], all["serving"].as_bool()),
        (200, &"healthy".into(), Some(true)),
        "{all}"
    );
    for process in ["payment_subscription", "user_authentication"] {
        // Other tests of this binary may have run the process.
        match all["checks"][process].as_str() {
            Some("unknown") => assert_eq!(all["reasons"][process], "no_traffic"),
            known => assert_eq!(known, Some("pass"), "{all}"),
        }
    }
    for (path, source) in [("/db", "probe"), ("/api", "probe"), ("/payment_subscription", "traffic")] {
        let (status, body) = service.health(path).await;
        assert_eq!((status, &body["source"]), (200, &source.into()), "{path}: {body}");
    }
    assert_eq!(service.number("SELECT count(*) FROM deliberations").await, 0, "it leaves nothing behind");
}

#[tokio::test]
async fn wrong_passwords_of_an_anonymous_client_leave_the_health_green() {
    let service = Service::start().await;
    let guess = json!({ "email": axcouncil::ACME_USER, "password": "a guess" });
    for _ in 0..6 {
        assert_eq!(service.send(Method::POST, "/login", "", &guess).await.0, 401);
    }
    let (status, login) = service.health("/login").await;
    assert_eq!((status, &login["process_id"]), (200, &"user_authentication".into()));
    // Other tests of this binary may have logged in.
    assert!(["unknown", "healthy"].contains(&login["status"].as_str().unwrap()), "{login}");
    let (status, all) = service.health("").await;
    assert_eq!((status, &all["status"]), (200, &"healthy".into()), "{all}");
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_one_deliberation() {
    let service = Service::start().await;
    let began = Instant::now();
    let answers = futures::future::join_all((0..1000).map(|_| service.health("/council"))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    // The answers share executions of the check, because at most one execution begins in five seconds.
    let checked: std::collections::BTreeSet<_> =
        answers.iter().map(|(_, body)| body["checked_at"].to_string()).collect();
    println!("a thousand answers in {:?}, of {} executions", began.elapsed(), checked.len());
    assert!(checked.len() as u64 <= 1 + began.elapsed().as_secs() / 5, "{checked:?}");
}

#[tokio::test]
async fn a_database_that_is_locked_takes_it_out_until_it_is_not() {
    let service = Service::start().await;
    service.until("/ready", 200).await;
    let file = SqliteConnectOptions::new().filename(service.file());
    let mut writer = file.connect().await.expect("it is there");
    writer.execute("BEGIN IMMEDIATE").await.expect("the database is free");
    let body = service.until("/ready", 503).await;
    assert_eq!((&body["status"], &body["checks"]["sqlite"]), (&"unhealthy".into(), &"fail".into()));
    assert_eq!(service.health("/live").await.0, 200);
    writer.close().await.expect("it lets go");
    service.until("/ready", 200).await;
}

#[tokio::test]
async fn a_provider_that_hangs_delays_no_answer_and_takes_no_replica_out() {
    let service = Service::start().await;
    service.models(json!({ "mode": "hang" })).await;
    let began = Instant::now();
    let (council, ready, live) =
        tokio::join!(service.health("/council"), service.health("/ready"), service.health("/live"));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!((council.0, ready.0, live.0), (503, 200, 200), "{}", ready.1);
    assert_eq!(ready.1["status"], "degraded");
    service.models(json!({ "mode": "ok" })).await;
    service.until("/council", 200).await;
}

#[tokio::test]
async fn a_service_that_is_being_stopped_is_not_ready_and_still_answers() {
    let service = Service::start().await;
    service.until("/ready", 200).await;
    let seen = async {
        let body = service.until("/ready", 503).await;
        assert_eq!(body["checks"]["shutdown"], "fail", "{body}");
        assert_eq!(service.health("/live").await.0, 200);
    };
    tokio::join!(service.running.drain(), seen);
}

#[tokio::test]
async fn the_reason_of_a_failure_is_for_operators_alone() {
    let service = Service::with(|config| config.health_token = Some("a token".to_owned())).await;
    service.models(json!({ "mode": "fail" })).await;
    let public = service.health("/council").await;
    let (status, operator) = service.send(Method::GET, "/health/council", "a token", &Value::Null).await;
    assert_eq!((public.0, status), (503, 503));
    assert!(public.1.get("error").is_none() && public.1.get("version").is_none(), "{}", public.1);
    assert!(
        operator["error"].as_str().is_some_and(|text| text.contains("answered with status 500")),
        "{operator}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
async fn while_a_provider_hangs_memory_does_not_grow_with_the_requests() {
    let service = Service::start().await;
    let ask = async || futures::future::join_all((0..500).map(|_| service.health("/council"))).await;
    ask().await;
    service.models(json!({ "mode": "hang" })).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let answers = ask().await;
        assert!(answers.iter().all(|(status, _)| *status == 503));
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
        seen.push(memory::resident(std::process::id()).expect("the test is for Linux") >> 20);
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    println!("500 callers wait for one check, three times: {seen:?} MiB");
    assert!(seen[2] <= seen[0] + 8, "{seen:?}");
}
