//! The contracts of loading a company's context.

use std::time::Duration;

use process_runtime::contract;
use process_runtime::testing::{Fault, Observing, observe};

use super::*;
use crate::trial::{ADA, Platform, SALES};

const QUERY: &str = "Why?";

fn context(
    platform: &Platform,
    department: Option<i64>,
) -> Observing<impl Future<Output = Result<Prompt, ContextError>>> {
    observe(ADA.scope().in_scope(load(platform.service(), ADA.company, department, QUERY)))
}

#[contract(process = "company_context_load", case = happy)]
#[tokio::test]
async fn company_comes_before_department_before_query() {
    let platform = Platform::new().await;
    platform
        .change(
            "INSERT INTO knowledge_entries (company_id, author_id, title, body, auto_inject) VALUES
             (1, 1, 'Prices', 'Never below cost.', 1), (1, 1, 'Draft', 'Not yet.', 0), (2, 2, 'Trucks', 'Theirs.', 1)",
        )
        .await;
    let run = context(&platform, Some(SALES)).await;
    run.expect()
        .success()
        .within_sla()
        .calls(["sqlite"; 4])
        .context_value("company_id", ADA.company)
        .context_value("department_id", SALES)
        .context_value("user_id", ADA.id)
        .context_value("entry_count", 1)
        .no_event();
    let expected = "# Company\nAcme Robotics\nSafety before speed. Every promise has a date.\n- Prices: Never below cost.\n\n\
                    # Department\nSales\n- Account executive: Closes what marketing opened.\n\
                    - Sales engineer: Knows what the product cannot do.\n\n# Question\nWhy?";
    assert_eq!(run.into_value().expect("it succeeded").to_string(), expected);
}

#[contract(process = "company_context_load", case = edge)]
#[tokio::test]
async fn without_a_department_the_prompt_has_no_department() {
    let platform = Platform::new().await;
    let run = context(&platform, None).await;
    run.expect().success().calls(["sqlite"; 2]).context_value("entry_count", 0);
    let prompt = run.into_value().expect("it succeeded").to_string();
    let expected =
        "# Company\nAcme Robotics\nSafety before speed. Every promise has a date.\n\n# Question\nWhy?";
    assert_eq!(prompt, expected);
}

#[contract(process = "company_context_load", case = edge)]
#[tokio::test]
async fn of_many_entries_the_latest_twenty_are_included() {
    let platform = Platform::new().await;
    platform
        .change(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25)
             INSERT INTO knowledge_entries (company_id, author_id, title, body, auto_inject)
             SELECT 1, 1, 'Entry ' || i, 'Text.', 1 FROM n",
        )
        .await;
    let run = context(&platform, None).await;
    run.expect().success().context_value("entry_count", 20);
    let prompt = run.into_value().expect("it succeeded").to_string();
    assert!(
        prompt.contains("- Entry 25: Text.")
            && prompt.contains("- Entry 6: ")
            && !prompt.contains("- Entry 5: ")
    );
    assert!(prompt.find("Entry 25") < prompt.find("Entry 24"), "{prompt}");
}

#[contract(process = "company_context_load", case = dependency("sqlite"))]
#[tokio::test]
async fn every_part_needs_the_database() {
    let platform = Platform::new().await;
    for call in 1..=4 {
        let fault = Fault::error(|| sqlx::Error::PoolClosed).nth(call);
        let run = context(&platform, Some(SALES)).fault("sqlite", fault).await;
        run.expect().failure("database").calls(vec!["sqlite"; call]);
    }
}

#[contract(process = "company_context_load", case = context)]
#[tokio::test]
async fn an_event_says_whose_context_it_was() {
    let platform = Platform::new().await;
    let run = context(&platform, Some(SALES))
        .fault("sqlite", Fault::error(|| sqlx::Error::PoolClosed).nth(3))
        .await;
    run.expect().failure("database").one_event([
        ("process_id", "company_context_load"),
        ("company_id", "1"),
        ("department_id", "2"),
        ("user_id", "1"),
        ("entry_count", "0"),
    ]);
}

#[contract(process = "company_context_load", case = error("unknown_department"))]
#[tokio::test]
async fn another_companys_department_is_unknown() {
    let platform = Platform::new().await;
    context(&platform, Some(3)).await.expect().rejected("unknown_department").no_event();
}

#[contract(process = "company_context_load", case = timeout)]
#[tokio::test]
async fn a_database_that_hangs_is_an_error() {
    let platform = Platform::with(|limits| limits.sqlite = Duration::from_millis(100)).await;
    let run = context(&platform, None).fault("sqlite", Fault::hang()).await;
    run.expect().failure("database_timeout").within_sla();
}

#[contract(process = "company_context_load", case = sla)]
#[tokio::test]
async fn it_is_late_after_five_seconds() {
    let platform = Platform::new().await;
    let late = Fault::delay(Duration::from_millis(5_001)).nth(1);
    context(&platform, None).fault("sqlite", late).await.expect().success().late();
    let slow = Fault::delay(Duration::from_secs(4)).nth(1);
    context(&platform, None).fault("sqlite", slow).await.expect().success().within_sla();
}
