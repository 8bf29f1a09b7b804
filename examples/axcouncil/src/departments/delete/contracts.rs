//! The contracts of deleting a department.

use std::time::Duration;

use process_runtime::contract;
use process_runtime::testing::{Fault, Observing, observe};

use super::*;
use crate::trial::{ADA, Platform, SALES};

const LEFT: &str = "SELECT name FROM departments WHERE company_id = 1 UNION ALL
    SELECT roles.name FROM roles JOIN departments ON departments.id = department_id WHERE company_id = 1";
const AUDIT: &str =
    "SELECT company_id || ' ' || user_id || ' ' || action || ' ' || subject || ': ' || detail FROM audit_log";
const WHOLE: [&str; 5] = ["Executive", "Sales", "CEO", "Account executive", "Sales engineer"];

fn remove_it(platform: &Platform, id: i64) -> Observing<impl Future<Output = Result<Deleted, DeleteError>>> {
    observe(ADA.scope().in_scope(delete(platform.service(), ADA, id)))
}

async fn is_whole(platform: &Platform) -> bool {
    platform.texts(LEFT).await == WHOLE && platform.texts(AUDIT).await.is_empty()
}

#[contract(process = "department_delete", case = happy)]
#[tokio::test]
async fn it_is_deleted_with_its_roles_and_recorded() {
    let platform = Platform::new().await;
    let run = remove_it(&platform, SALES).await;
    run.expect()
        .success()
        .within_sla()
        .context_value("department_id", SALES)
        .context_value("role_count", 2)
        .context_value("user_id", ADA.id)
        .context_value("company_id", ADA.company)
        .no_event();
    assert_eq!(run.into_value().expect("it succeeded").roles, 2);
    assert_eq!(platform.texts(LEFT).await, ["Executive", "CEO"]);
    assert_eq!(platform.texts(AUDIT).await, ["1 1 department_delete department 2: Sales, with 2 roles"]);
}

#[contract(process = "department_delete", case = dependency("sqlite"))]
#[tokio::test]
async fn without_the_database_nothing_happens() {
    let platform = Platform::new().await;
    for call in [1, 2] {
        let fault = Fault::error(|| sqlx::Error::PoolClosed).nth(call);
        let run = remove_it(&platform, SALES).fault("sqlite", fault).await;
        run.expect().failure("database").calls(vec!["sqlite"; call]).one_event([("department_id", "2")]);
        assert_eq!(ApiError::from(run.into_value().err().expect("it failed")).code, "internal");
    }
    assert!(is_whole(&platform).await);
}

#[contract(process = "department_delete", case = edge)]
#[tokio::test]
async fn without_an_audit_row_nothing_is_deleted() {
    let platform = Platform::new().await;
    platform
        .change("CREATE TRIGGER no_log BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    remove_it(&platform, SALES).await.expect().failure("database");
    platform.change("DROP TRIGGER no_log").await;
    assert!(is_whole(&platform).await);
}

#[contract(process = "department_delete", case = error("default_department"))]
#[tokio::test]
async fn the_default_department_stays() {
    let platform = Platform::new().await;
    let run = remove_it(&platform, 1).await;
    run.expect().rejected("default_department").no_event();
    let client = ApiError::from(run.into_value().err().expect("it stays"));
    assert_eq!((client.status, client.code), (StatusCode::CONFLICT, "default_department"));
    assert!(is_whole(&platform).await);
}

#[contract(process = "department_delete", case = error("unknown_department"))]
#[tokio::test]
async fn another_companys_department_is_unknown() {
    let platform = Platform::new().await;
    for id in [3, 4711] {
        let run = remove_it(&platform, id).await;
        run.expect().rejected("unknown_department").no_event();
        assert_eq!(ApiError::from(run.into_value().err().expect("it is unknown")).code, "not_found");
    }
    assert_eq!(platform.texts("SELECT name FROM departments WHERE id = 3").await, ["Executive"]);
}

#[contract(process = "department_delete", case = cancelled)]
#[tokio::test]
async fn a_client_that_hangs_up_has_deleted_nothing() {
    let platform = Platform::new().await;
    remove_it(&platform, SALES).fault("sqlite", Fault::cancel_at_poll(1).nth(2)).await.expect().cancelled();
    assert!(is_whole(&platform).await);
}

#[contract(process = "department_delete", case = timeout)]
#[tokio::test]
async fn a_database_that_hangs_is_an_error() {
    let platform = Platform::with(|limits| limits.sqlite = Duration::from_millis(100)).await;
    let run = remove_it(&platform, SALES).fault("sqlite", Fault::hang().nth(2)).await;
    run.expect().failure("database_timeout").within_sla();
    assert!(is_whole(&platform).await);
}

#[contract(process = "department_delete", case = sla)]
#[tokio::test]
async fn it_is_late_after_five_seconds() {
    let platform = Platform::new().await;
    remove_it(&platform, SALES)
        .fault("sqlite", Fault::delay(Duration::from_millis(5_001)).nth(1))
        .await
        .expect()
        .success()
        .late();
}
