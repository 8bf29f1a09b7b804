//! The contracts of a login.

use std::time::Duration;

use process_runtime::testing::{Fault, Observing, observe};
use process_runtime::{Outcome, contract};

use super::*;
use crate::seed::{ACME_USER, PASSWORD};
use crate::trial::{ADA, Platform};

const SHORT: Duration = Duration::from_millis(100);

fn log_in<'p>(
    platform: &'p Platform,
    email: &'p str,
    password: &str,
) -> Observing<impl Future<Output = Result<Session, AuthError>>> {
    observe(authenticate(platform.service(), email, Password::from(password)))
}

fn answer_to(error: AuthError) -> (StatusCode, &'static str) {
    let client = ApiError::from(error);
    (client.status, client.code)
}

#[contract(process = "user_authentication", case = happy)]
#[tokio::test]
async fn the_right_password_opens_a_session() {
    let platform = Platform::new().await;
    let run = log_in(&platform, ACME_USER, PASSWORD).await;
    run.expect()
        .success()
        .within_sla()
        .calls(["sqlite"])
        .context_value("user_id", ADA.id)
        .context_value("company_id", ADA.company)
        .context_value("email", "****mple")
        .no_event();
    let session = run.into_value().expect("it succeeded");
    assert_eq!(session.expires_in, 3600);
    let user = platform.service().tokens.read(&session.token).expect("the token is good");
    assert_eq!((user.id, user.company), (ADA.id, ADA.company));
}

#[contract(process = "user_authentication", case = error("wrong_password"))]
#[tokio::test]
async fn a_wrong_password_is_rejected_and_recorded_nowhere() {
    let platform = Platform::new().await;
    let run = log_in(&platform, ACME_USER, "hunter2-canary").await;
    run.expect().rejected("wrong_password").no_event();
    assert!(!format!("{:?}", run.runs()).contains("hunter2-canary"));
    assert!(run.runs()[0].context().iter().all(|(key, _)| *key != "user_id"));
    let error = run.into_value().err().expect("it was rejected");
    assert_eq!(answer_to(error), (StatusCode::UNAUTHORIZED, "wrong_credentials"));
}

#[contract(process = "user_authentication", case = error("unknown_user"))]
#[tokio::test]
async fn an_answer_does_not_reveal_which_addresses_exist() {
    let platform = Platform::new().await;
    let run = log_in(&platform, "unknown@acme-robotics.example", PASSWORD).await;
    run.expect().rejected("unknown_user").no_event();
    let error = run.into_value().err().expect("it was rejected");
    assert_eq!(answer_to(error), (StatusCode::UNAUTHORIZED, "wrong_credentials"));
}

#[contract(process = "user_authentication", case = dependency("sqlite"))]
#[tokio::test]
async fn without_the_database_no_login_succeeds() {
    let platform = Platform::new().await;
    let run = log_in(&platform, ACME_USER, PASSWORD)
        .fault("sqlite", Fault::error(|| sqlx::Error::PoolClosed))
        .await;
    run.expect().failure("database").one_event([("process_outcome", "failure")]);
    let error = run.into_value().err().expect("it failed");
    assert_eq!(answer_to(error), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
}

#[contract(process = "user_authentication", case = timeout)]
#[tokio::test]
async fn a_database_that_hangs_is_an_error() {
    let platform = Platform::with(|limits| limits.sqlite = SHORT).await;
    let run = log_in(&platform, ACME_USER, PASSWORD).fault("sqlite", Fault::hang()).await;
    run.expect().failure("database_timeout").within_sla();
}

#[contract(process = "user_authentication", case = sla)]
#[tokio::test]
async fn it_is_late_after_two_seconds() {
    let platform = Platform::new().await;
    let late = Fault::delay(Duration::from_millis(2_001));
    log_in(&platform, ACME_USER, PASSWORD).fault("sqlite", late).await.expect().success().late();
    let slow = Fault::delay(Duration::from_millis(1_000));
    log_in(&platform, ACME_USER, PASSWORD).fault("sqlite", slow).await.expect().success().within_sla();
}

#[contract(process = "user_authentication", case = context)]
#[tokio::test]
async fn an_event_says_whose_login_it_was_and_no_password() {
    let platform = Platform::new().await;
    let broken = Fault::error(|| sqlx::Error::PoolTimedOut);
    let run = log_in(&platform, ACME_USER, "hunter2-canary").fault("sqlite", broken).await;
    run.expect()
        .failure("database")
        .one_event([("process_id", "user_authentication"), ("email", "****mple")]);
    let all = format!("{:?}", run.events().collect::<Vec<_>>());
    assert!(!all.contains("hunter2-canary") && !all.contains(ACME_USER), "{all}");
}

#[contract(process = "user_authentication", case = cancelled)]
#[tokio::test]
async fn a_client_that_hangs_up_is_not_logged_in() {
    let platform = Platform::new().await;
    let run = log_in(&platform, ACME_USER, PASSWORD).fault("sqlite", Fault::cancel_at_poll(1)).await;
    run.expect().cancelled().no_event();
    assert_eq!(run.count("sqlite"), 1);
    assert_eq!(run.runs()[0].outcome(), Some(Outcome::Cancelled));
}
