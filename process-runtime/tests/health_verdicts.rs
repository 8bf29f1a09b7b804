//! Situations in which a health check must not report the wrong status.

#[path = "shared/asking.rs"]
mod asking;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use process_runtime::health::{CheckVerdict, Detail, Health, Request, Response, Setup};
use process_runtime::{critical_process, dependency, dependency_check, health_check};
use serde_json::Value;

use asking::get;

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct No;

async fn ask(health: &Health, path: &str, accept: Option<&str>) -> Response {
    health.respond(Request { method: "GET", path, accept, ..Request::default() }).await
}

#[critical_process(
    id = "plain",
    version = "1.0.0",
    sla = "2s",
    depends_on("many_rows", "big", "nested", "opaque_db")
)]
async fn plain() -> Result<(), No> {
    Ok(())
}
#[health_check(process = "plain")]
async fn plain_works() -> Result<(), No> {
    plain().await
}

#[critical_process(id = "import", version = "1.0.0", sla = "20s", depends_on("rows"))]
async fn import() -> Result<(), No> {
    for _ in 0..1100 {
        dependency("rows", async { Ok::<_, No>(()) }).await?;
    }
    Ok(())
}
#[health_check(process = "import")]
async fn import_works() -> Result<(), No> {
    import().await
}

#[tokio::test]
async fn a_process_of_many_calls_can_be_probed() {
    let health = Setup::new().detail(Detail::Always).start();
    let (status, body) = get(&health, "/import").await;
    assert_eq!(status, 200, "{body}");
}

#[critical_process(id = "dropped", version = "1.0.0", sla = "20s")]
async fn dropped() -> Result<(), No> {
    std::future::pending().await
}
#[health_check(process = "dropped")]
async fn dropped_works() {
    let _ = tokio::time::timeout(Duration::from_millis(50), dropped()).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_cancelled_did_not_succeed() {
    let health = Setup::new().detail(Detail::Always).start();
    let (status, body) = get(&health, "/dropped").await;
    assert_eq!(status, 503, "{body}");
}

#[critical_process(id = "picky", version = "1.0.0", sla = "20ms", degraded = is_true, rejects(_e if true))]
async fn picky(ok: bool) -> Result<bool, No> {
    if ok { Ok(true) } else { Err(No) }
}
fn is_true(x: &bool) -> bool {
    *x
}
#[derive(Clone)]
struct Order(bool);
#[health_check(process = "picky")]
async fn picky_works(order: Order) {
    let _ = picky(order.0).await;
    let _ = picky(!order.0).await;
}

#[tokio::test]
async fn a_rejection_counts_whether_it_comes_first_or_last() {
    for order in [true, false] {
        let health = Setup::new().with(Order(order)).detail(Detail::Always).start();
        let (status, body) = get(&health, "/picky").await;
        assert_eq!(status, 503, "{order}: {body}");
    }
}

#[dependency_check(id = "many_rows")]
async fn rows_answer() -> CheckVerdict {
    CheckVerdict::Warn("host db-7".to_owned())
}

#[tokio::test]
async fn times_of_parts_are_detail_in_both_forms() {
    let health = Setup::new().start();
    let plain = ask(&health, "/plain", None).await.body;
    assert!(!plain.contains("\"details\""));
    let draft = ask(&health, "/plain", Some("application/health+json")).await.body;
    let draft: Value = serde_json::from_str(&draft).unwrap();
    let part = &draft["checks"]["many_rows:responseTime"][0];
    assert!(part["time"].is_null() && part["observedValue"].is_null(), "{draft}");
}

#[tokio::test]
async fn the_time_of_the_check_is_in_the_answer_of_a_dependency_in_both_forms() {
    let health = Setup::new().detail(Detail::Always).start();
    assert!(get(&health, "/many_rows").await.1["checked_at"].is_string());
    let draft = ask(&health, "/many_rows", Some("application/health+json")).await.body;
    assert!(draft.contains("\"time\""), "{draft}");
}

#[tokio::test]
async fn head_has_the_length_of_get_or_none() {
    use tower_service::Service as _;
    let health = Setup::new().start();
    let mut app: axum::Router = axum::Router::new().nest_service("/health", health);
    let mut length = async |method: &str| {
        let request = http::Request::builder()
            .method(method)
            .uri("/health/live")
            .body(axum::body::Body::empty())
            .unwrap();
        let response = app.call(request).await.unwrap();
        println!("{method} {:?}", response.headers());
        response.headers().get("content-length").cloned()
    };
    let (get, head) = (length("GET").await, length("HEAD").await);
    assert!(head.is_none() || head == get, "{get:?} {head:?}");
}

#[critical_process(id = "slow", version = "1.0.0", sla = "1ms")]
async fn slow() -> Result<(), No> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(())
}
#[critical_process(id = "refusing", version = "1.0.0", sla = "1s", rejects(_e if true))]
async fn refusing() -> Result<(), No> {
    Err(No)
}
#[critical_process(id = "falling", version = "1.0.0", sla = "1s", degraded = always)]
async fn falling() -> Result<(), No> {
    Ok(())
}
fn always((): &()) -> bool {
    true
}
#[critical_process(id = "tenth", version = "1.0.0", sla = "1s", objective = 90.0)]
async fn tenth(ok: bool) -> Result<(), No> {
    if ok { Ok(()) } else { Err(No) }
}

#[tokio::test]
async fn traffic_that_is_all_late_is_not_healthy() {
    for _ in 0..10 {
        slow().await.unwrap();
    }
    let health = Setup::new().detail(Detail::Always).start();
    let (_, body) = get(&health, "/slow").await;
    assert_ne!(body["status"], "healthy", "{body}");
}
#[tokio::test]
async fn traffic_that_is_all_rejected_is_not_healthy() {
    for _ in 0..10 {
        refusing().await.unwrap_err();
    }
    let health = Setup::new().detail(Detail::Always).start();
    let (_, body) = get(&health, "/refusing").await;
    assert_ne!(body["status"], "healthy", "{body}");
}
#[tokio::test]
async fn traffic_that_is_all_degraded_is_not_healthy() {
    for _ in 0..10 {
        falling().await.unwrap();
    }
    let health = Setup::new().detail(Detail::Always).start();
    let (_, body) = get(&health, "/falling").await;
    assert_ne!(body["status"], "healthy", "{body}");
}
#[tokio::test]
async fn exactly_what_the_objective_allows_is_allowed() {
    for i in 0..10 {
        let _ = tenth(i > 0).await;
    }
    let health = Setup::new().detail(Detail::Always).start();
    let (_, body) = get(&health, "/tenth").await;
    assert_eq!(body["status"], "healthy", "{body}");
}

#[dependency_check(id = "big")]
async fn big() -> Result<(), String> {
    Err("x".repeat(20_000_000))
}
#[tokio::test]
async fn the_text_of_an_error_is_bounded() {
    let health = Setup::new().detail(Detail::Always).start();
    let body = ask(&health, "/big", None).await.body;
    assert!(body.len() < 100_000, "{}", body.len());
}

#[dependency_check(id = "slow_dep")]
async fn slow_dep() {
    tokio::time::sleep(Duration::from_millis(50)).await
}
#[critical_process(id = "uses", version = "1.0.0", sla = "1s", depends_on("slow_dep", "rows"))]
async fn _uses() {}

#[critical_process(id = "spawned", version = "1.0.0", sla = "1s")]
async fn spawned() -> Result<(), No> {
    Ok(())
}
#[health_check(process = "spawned")]
async fn spawned_works() -> Result<(), No> {
    spawned().await?;
    tokio::spawn(spawned()).await.unwrap()
}

#[dependency_check(id = "nested")]
async fn nested() -> Result<Result<(), No>, tokio::time::error::Elapsed> {
    tokio::time::timeout(Duration::from_secs(1), async { Err(No) }).await
}
#[tokio::test]
async fn an_error_within_ok_does_not_pass() {
    let health = Setup::new().start();
    let (status, body) = get(&health, "/nested").await;
    assert_eq!(status, 503, "{body}");
}
#[tokio::test]
async fn a_dependency_that_is_required_and_report_only_is_required() {
    let health = Setup::new().require(["big"]).report_only(["big"]).start();
    assert_eq!(get(&health, "/ready").await.0, 503);
}

#[derive(Clone, Default)]
struct Rounds(Arc<AtomicUsize>);
#[critical_process(id = "sched", version = "1.0.0", sla = "20s")]
async fn sched() -> Result<(), No> {
    Ok(())
}
#[health_check(process = "sched", every = "1m")]
async fn sched_works(rounds: Rounds) -> Result<(), No> {
    rounds.0.fetch_add(1, Ordering::SeqCst);
    sched().await
}
#[tokio::test(start_paused = true)]
async fn no_probe_runs_before_start_up_is_finished_or_after_shutdown_begins() {
    let rounds = Rounds::default();
    let health = Setup::new().with(rounds.clone()).wait_for_mark_started().start();
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(rounds.0.load(Ordering::SeqCst), 0);
    health.mark_started();
    health.begin_shutdown();
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(rounds.0.load(Ordering::SeqCst), 0);
}

#[dependency_check(id = "patient", timeout = "29s", cached_for = "5s")]
async fn patient() {
    tokio::time::sleep(Duration::from_secs(27)).await
}
#[tokio::test(start_paused = true)]
async fn a_check_that_passes_within_its_timeout_is_reported_as_passed() {
    let health = Setup::new().detail(Detail::Always).start();
    for _ in 0..5 {
        let (status, body) = get(&health, "/patient").await;
        println!("{status} {}", body["error"]);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(get(&health, "/patient").await.0, 200);
}

#[critical_process(id = "ready", version = "1.0.0", sla = "20s")]
async fn _ready() -> Result<(), No> {
    Ok(())
}

#[tokio::test]
async fn a_token_read_from_a_file_matches() {
    let health = Setup::new().detail(Detail::Bearer("secret\n".to_owned())).start();
    let answer = health
        .respond(Request {
            method: "GET",
            path: "/plain",
            authorization: Some("Bearer secret"),
            ..Request::default()
        })
        .await;
    assert!(answer.body.contains("\"version\""));
}

#[tokio::test]
async fn debug_of_health_has_no_error_text() {
    let health = Setup::new().start();
    get(&health, "/opaque_db").await;
    assert!(!format!("{health:?}").contains("hunter2"));
}
#[dependency_check(id = "opaque_db")]
async fn opaque_db() -> Result<(), String> {
    Err("connect postgres://app:hunter2@db-7/x".to_owned())
}
