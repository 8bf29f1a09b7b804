//! The contracts of a deliberation.

use std::time::Duration;

use process_runtime::Outcome;
use process_runtime::contract;
use process_runtime::testing::{Battery, Fault, Observing, observe};
use reqwest::StatusCode;
use serde_json::json;

use super::*;
use crate::trial::{ADA, Platform, SALES, all};

const QUESTION: &str = "Should we hire?";

/// A limit that is longer than any answer takes. A call that hangs exceeds it.
const SHORT: Duration = Duration::from_millis(200);

fn ask<'p>(
    platform: &'p Platform,
    question: &'p str,
    department: i64,
) -> Observing<impl Future<Output = Result<Deliberation, CouncilError>>> {
    let run = deliberate(platform.service(), ADA, question, Some(department));
    observe(ADA.scope().in_scope(run))
}

fn no_model() -> ModelError {
    ModelError::Status { model: "zephyr".into(), status: StatusCode::SERVICE_UNAVAILABLE }
}

async fn kept(platform: &Platform) -> Vec<String> {
    let columns =
        "SELECT company_id || ' ' || user_id || ' ' || question || ' ' || answer || ' ' || used_fallback";
    let query: &'static str = format!("{columns} FROM deliberations").leak();
    platform.texts(query).await
}

#[contract(process = "council_deliberation_3stage", case = happy)]
#[tokio::test]
async fn three_models_answer_and_rank_one_another_and_a_chairman_writes_the_synthesis() {
    let platform = Platform::new().await;
    let run = ask(&platform, QUESTION, SALES).await;
    run.expect()
        .success()
        .within_sla()
        .calls(["company_context_load", "sqlite", "sqlite", "stage1", "stage2", "stage3", "sqlite"])
        .stages(["stage1", "stage2", "stage3"])
        .context_value("query", QUESTION)
        .context_value("department_id", SALES)
        .context_value("user_id", ADA.id)
        .context_value("company_id", ADA.company)
        .context_value("model_count", 3)
        .no_event();
    for (stage, calls) in [("stage1", 3), ("stage2", 3), ("stage3", 1)] {
        run.expect_run(stage).success().calls(vec!["model_provider"; calls]);
    }
    let done = run.into_value().expect("it succeeded");
    // Each model ranks the other models by the length of their names, the longest name first.
    assert_eq!(done.ranking, ["borealis", "aurora", "zephyr"]);
    assert!(!done.used_fallback);
    assert!(done.answer.starts_with("The council agrees. borealis on “Should we hire?”"), "{}", done.answer);
    assert_eq!(kept(&platform).await, [format!("1 1 {QUESTION} {} 0", done.answer)]);
}

#[contract(process = "council_deliberation_3stage", case = edge)]
#[tokio::test]
async fn the_best_answer_replaces_that_of_a_chairman_that_does_not_answer() {
    let platform = Platform::with(|limits| limits.synthesis = SHORT).await;
    let run = ask(&platform, QUESTION, SALES).fault("stage3", Fault::hang()).await;
    run.expect().degraded().within_sla().no_event();
    run.expect_run("stage3").failure("timeout");
    let done = run.into_value().expect("it has a fallback");
    assert!(done.used_fallback);
    assert_eq!(done.answer, "borealis on “Should we hire?”: begin small, and measure.");
    assert_eq!(done.ranking, ["borealis", "aurora", "zephyr"]);
    assert_eq!(kept(&platform).await, [format!("1 1 {QUESTION} {} 1", done.answer)]);
}

#[contract(process = "council_deliberation_3stage", case = timeout)]
#[tokio::test]
async fn models_that_hang_end_it_in_an_error() {
    let platform = Platform::with(|limits| limits.model_provider = SHORT).await;
    let run = ask(&platform, QUESTION, SALES).fault("model_provider", Fault::hang()).await;
    run.expect().failure("model_timeout").within_sla().stages(["stage1"]);
    assert!(kept(&platform).await.is_empty());
}

#[contract(process = "council_deliberation_3stage", case = dependency("model_provider"))]
#[tokio::test]
async fn a_model_that_fails_fails_it_in_every_stage() {
    let platform = Platform::new().await;
    // Calls 1 to 3 are answers, calls 4 to 6 are rankings, and call 7 is the synthesis.
    for (call, stages) in
        [(1, vec!["stage1"]), (4, vec!["stage1", "stage2"]), (7, vec!["stage1", "stage2", "stage3"])]
    {
        let fault = Fault::error(no_model).nth(call);
        let run = ask(&platform, QUESTION, SALES).fault("model_provider", fault).await;
        run.expect()
            .failure("model_status")
            .stages(stages.iter().copied())
            .one_event([("process_outcome", "failure")]);
        run.expect_run(stages[stages.len() - 1]).failure("model_status");
        let error = run.into_value().expect_err("a model failed");
        let client = ApiError::from(error);
        assert_eq!((client.status, client.code), (StatusCode::BAD_GATEWAY, "council_unavailable"));
    }
    assert!(kept(&platform).await.is_empty());
}

#[contract(process = "council_deliberation_3stage", case = dependency("sqlite"))]
#[tokio::test]
async fn a_deliberation_that_cannot_be_saved_fails() {
    let platform = Platform::new().await;
    // Call 1 reads the chairman, call 2 reads the members, and call 3 saves the result. The calls that load the
    // context are not counted.
    for (call, stages) in [(1, 0), (2, 0), (3, 3)] {
        let fault = Fault::error(|| sqlx::Error::PoolClosed).nth(call);
        let run = ask(&platform, QUESTION, SALES).fault("council_deliberation_3stage.sqlite", fault).await;
        run.expect().failure("database").stages(["stage1", "stage2", "stage3"].into_iter().take(stages));
        let client = ApiError::from(run.into_value().expect_err("the database failed"));
        assert_eq!((client.status, client.code), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    }
    assert!(kept(&platform).await.is_empty());
}

#[contract(process = "council_deliberation_3stage", case = dependency("company_context_load"))]
#[tokio::test]
async fn no_model_is_asked_without_the_context() {
    let platform = Platform::new().await;
    let broken = || ContextError::from(DatabaseError::from(sqlx::Error::PoolClosed));
    let run = ask(&platform, QUESTION, SALES).fault("company_context_load", Fault::error(broken)).await;
    run.expect().failure("database").calls(["company_context_load"]);
    // The inner process reports the error first, so the outer process does not send a second event.
    run.expect().one_event([("process_id", "company_context_load")]);
}

#[contract(process = "council_deliberation_3stage", case = sla)]
#[tokio::test]
async fn it_is_late_after_two_minutes() {
    let platform = Platform::new().await;
    let run = ask(&platform, QUESTION, SALES).fault("stage2", Fault::delay(Duration::from_secs(121))).await;
    run.expect().success().late().overdue();
    run.expect_run("stage2").late();
    let run = ask(&platform, QUESTION, SALES).fault("stage2", Fault::delay(Duration::from_secs(110))).await;
    run.expect().success().within_sla();
}

#[contract(process = "council_deliberation_3stage", case = context)]
#[tokio::test]
async fn an_event_says_who_asked_what() {
    let platform = Platform::new().await;
    let run = ask(&platform, QUESTION, SALES).fault("stage2", Fault::error(|| CouncilError::NoMembers)).await;
    run.expect().failure("no_members").one_event([
        ("process_id", "council_deliberation_3stage"),
        ("process_version", "2.1.0"),
        ("query", QUESTION),
        ("department_id", "2"),
        ("user_id", "1"),
        ("company_id", "1"),
        ("model_count", "3"),
    ]);
}

#[contract(process = "council_deliberation_3stage", case = error("empty_question"))]
#[tokio::test]
async fn an_empty_question_is_the_callers_mistake() {
    let platform = Platform::new().await;
    let run = ask(&platform, " \n", SALES).await;
    run.expect().rejected("empty_question").calls([]).no_event();
    let client = ApiError::from(run.into_value().expect_err("there was no question"));
    assert_eq!((client.status, client.code), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
}

#[contract(process = "council_deliberation_3stage", case = error("unknown_department"))]
#[tokio::test]
async fn another_companys_department_is_unknown() {
    let platform = Platform::new().await;
    let run = ask(&platform, QUESTION, 3).await;
    run.expect().rejected("unknown_department").calls(["company_context_load"]).no_event();
    let client = ApiError::from(run.into_value().expect_err("it is another's"));
    assert_eq!((client.status, client.code), (StatusCode::NOT_FOUND, "not_found"));
}

#[contract(process = "council_deliberation_3stage", case = error("no_members"))]
#[tokio::test]
async fn a_council_without_members_cannot_deliberate() {
    let platform = Platform::new().await;
    platform.change("DELETE FROM council_members WHERE company_id = 1").await;
    let run = ask(&platform, QUESTION, SALES).await;
    run.expect().failure("no_members").stages([]);
}

#[contract(process = "council_deliberation_3stage", case = error("model_transport"))]
#[tokio::test]
async fn an_answer_that_cannot_be_understood_is_an_error() {
    let platform = Platform::new().await;
    platform.models(json!({ "mode": "fail", "path": "/v1/rank", "model": "aurora" })).await;
    let run = ask(&platform, QUESTION, SALES).await;
    run.expect().failure("model_status").stages(["stage1", "stage2"]);
    let unreadable =
        || reqwest::Client::new().get("no address").build().expect_err("the address is not valid");
    let broken = move || ModelError::Transport { model: "aurora".into(), source: unreadable() };
    let run = ask(&platform, QUESTION, SALES).fault("model_provider", Fault::error(broken)).await;
    run.expect().failure("model_transport");
}

#[contract(process = "council_deliberation_3stage", case = cancelled)]
#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_behind() {
    let platform = Platform::new().await;
    let run = ask(&platform, QUESTION, SALES).fault("stage3", Fault::cancel_at_poll(1)).await;
    run.expect().cancelled().stages(["stage1", "stage2", "stage3"]).no_event();
    assert!(kept(&platform).await.is_empty());
}

#[tokio::test]
async fn each_fault_leads_to_exactly_one_expected_outcome() {
    let platform = Platform::with(|limits| *limits = all(SHORT)).await;
    Battery::new("council_deliberation_3stage")
        .outcomes([Outcome::Success, Outcome::Degraded, Outcome::Failure])
        .error(no_model)
        .error(|| sqlx::Error::PoolClosed)
        .error(|| CouncilError::NoMembers)
        .error(|| ContextError::from(DatabaseError::from(sqlx::Error::PoolClosed)))
        // The canary is a sentence of the company's playbook, which is in every prompt.
        .canary("Safety before speed")
        .limit(Duration::from_secs(3))
        .run(async || ADA.scope().in_scope(deliberate(platform.service(), ADA, QUESTION, Some(SALES))).await)
        .await;
}
