//! The answers of a council, and the cases in which its chairman does not answer.

use std::time::{Duration, Instant};

use axcouncil::{ACME_USER, UMBRA_USER};
use process_runtime::{Outcome, registry};
use serde_json::json;

use crate::client::{Service, code};

#[tokio::test]
async fn three_stages_make_one_answer() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    let question = json!({ "question": "Should we hire?", "department_id": 2 });
    let (status, deliberation) = service.post("/deliberations", &token, &question).await;
    assert_eq!(status, 200, "{deliberation}");
    // Each model ranks the other models by the length of their names, the longest name first.
    assert_eq!(deliberation["ranking"], json!(["borealis", "aurora", "zephyr"]));
    assert_eq!(deliberation["used_fallback"], false);
    let answer = deliberation["answer"].as_str().expect("there is an answer");
    assert!(answer.starts_with("The council agrees. borealis on “Should we hire?”"), "{answer}");
    assert_eq!(service.texts("SELECT answer FROM deliberations").await, [answer]);
}

#[tokio::test]
async fn the_best_answer_replaces_that_of_a_chairman_that_does_not_answer() {
    // The chairman never answers, so the limit can be short.
    let service = Service::with(|config| config.limits.synthesis = Duration::from_millis(1)).await;
    service.models(json!({ "mode": "hang", "path": "/v1/synthesize" })).await;
    let token = service.login(ACME_USER).await;
    let (status, deliberation) =
        service.post("/deliberations", &token, &json!({ "question": "Should we sell?" })).await;
    assert_eq!(status, 200, "{deliberation}");
    assert_eq!(deliberation["used_fallback"], true);
    assert_eq!(deliberation["answer"], "borealis on “Should we sell?”: begin small, and measure.");

    let stats = registry::stats("council_deliberation_3stage").expect("it is linked");
    assert!(stats.ended.count(Outcome::Degraded) >= 1);
    let stages = registry::stage_stats("council_deliberation_3stage").expect("it is linked");
    assert!(stages["stage3"].error_types["timeout"] >= 1);
}

#[tokio::test]
async fn a_slow_chairman_has_as_long_as_configured() {
    for (limit, used_fallback) in [(Duration::from_millis(100), true), (Duration::from_secs(60), false)] {
        let service = Service::with(|config| config.limits.synthesis = limit).await;
        service.models(json!({ "mode": "slow", "path": "/v1/synthesize" })).await;
        let token = service.login(ACME_USER).await;
        let began = Instant::now();
        let (status, deliberation) =
            service.post("/deliberations", &token, &json!({ "question": "Should we sell?" })).await;
        assert_eq!((status, &deliberation["used_fallback"]), (200, &used_fallback.into()));
        assert!(used_fallback || began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let service = Service::start().await;
    let token = service.login(UMBRA_USER).await;
    let ask = async |question, department| {
        let body = json!({ "question": question, "department_id": department });
        service.post("/deliberations", &token, &body).await
    };
    let (status, body) = ask(" ", None).await;
    assert_eq!((status, code(&body)), (422, "invalid"));
    // The department belongs to another company.
    let (status, body) = ask("Why?", Some(2)).await;
    assert_eq!((status, code(&body)), (404, "not_found"));
}

#[tokio::test]
async fn a_model_that_fails_fails_the_deliberation() {
    let service = Service::start().await;
    service.models(json!({ "mode": "fail", "model": "hypnos" })).await;
    let token = service.login(UMBRA_USER).await;
    let (status, body) = service.post("/deliberations", &token, &json!({ "question": "Why?" })).await;
    assert_eq!((status, code(&body)), (502, "council_unavailable"));
    assert_eq!(service.number("SELECT count(*) FROM deliberations").await, 0);
    let stats = registry::stats("council_deliberation_3stage").expect("it is linked");
    assert_eq!(stats.error_types["model_status"], 1);
}
