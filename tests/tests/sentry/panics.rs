//! A panic is one event, whether Sentry's own panic hook is installed or not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt as _;
use process_runtime::sentry::Integration;
use process_runtime::testing::Domain;
use process_runtime::{Outcome, critical_process};
use process_tests::events::{Inbox, exception_texts, in_block, tag};
use sentry::{ClientOptions, Level};

use super::{ChargeError, How, Unavailable, charge, fingerprint, first_event_id, processes, run};

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_fatal_event_without_sentrys_own_hook() {
    let (inbox, _guard) = Inbox::bound();
    run(How::Panic).await;
    let event = inbox.only_event();
    assert_eq!(event.level, Level::Fatal);
    assert_eq!(tag(&event, "process_outcome"), Some("panic"));
    assert_eq!(exception_texts(&event), ["on demand"]);
    assert_eq!(fingerprint(&event), ["charge", "panic"]);
    assert_eq!(event.exception[0].mechanism.as_ref().unwrap().handled, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_fatal_event_with_sentrys_own_hook_and_this_integration() {
    let inbox = Inbox::with_defaults(ClientOptions::new().add_integration(Integration));
    let _guard = inbox.bind();
    run(How::Panic).await;
    let event = inbox.only_event();
    assert_eq!(event.level, Level::Fatal);
    assert_eq!(exception_texts(&event), ["on demand"]);
    assert!(event.exception[0].stacktrace.is_some(), "the hook's event knows where");
    assert_eq!((tag(&event, "process_id"), tag(&event, "company_id")), (Some("charge"), Some("c-9")));
    assert_eq!(in_block(&event, "owner"), Some(&"payments".into()));
    assert_eq!(event.user.as_ref().unwrap().id.as_deref(), Some("42"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_event_with_sentrys_own_hook_alone() {
    let inbox = Inbox::with_defaults(ClientOptions::new());
    let _guard = inbox.bind();
    run(How::Panic).await;
    let event = inbox.only_event();
    assert_eq!((event.level, exception_texts(&event)), (Level::Fatal, vec!["on demand".to_owned()]));
}

#[critical_process(id = "around_a_charge", version = "1.0.0", sla = "10s")]
async fn around_a_charge(how: How) -> Result<How, ChargeError> {
    charge("c-9", 42, 1, how).await
}

#[tokio::test(start_paused = true)]
async fn a_panic_through_nested_runs_is_one_event_and_the_outcome_of_each() {
    for inbox in [Inbox::new(), Inbox::with_defaults(ClientOptions::new().add_integration(Integration))] {
        let _guard = inbox.bind();
        let domain = Domain::new();
        AssertUnwindSafe(domain.run(around_a_charge(How::Panic))).catch_unwind().await.unwrap_err();
        assert_eq!(tag(&inbox.only_event(), "process_id"), Some("charge"));
        for process in ["charge", "around_a_charge"] {
            assert_eq!(domain.stats(process).unwrap().ended.count(Outcome::Panic), 1);
        }
    }
}

#[critical_process(id = "catches", version = "1.0.0", sla = "10s")]
async fn catches() -> Result<(), Unavailable> {
    let charged = AssertUnwindSafe(charge("c-9", 42, 1, How::Panic)).catch_unwind().await;
    charged.map(drop).map_err(|_| Unavailable)
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_is_caught_and_becomes_an_error_is_two_linked_events() {
    for inbox in [Inbox::new(), Inbox::with_defaults(ClientOptions::new().add_integration(Integration))] {
        let _guard = inbox.bind();
        catches().await.unwrap_err();
        let events = inbox.events();
        assert_eq!(processes(&events), ["charge", "catches"]);
        assert_eq!((events[0].level, events[1].level), (Level::Fatal, Level::Error));
        assert_eq!(first_event_id(&events[1]), Some(events[0].event_id.simple().to_string()));
    }
}

#[critical_process(id = "resumes", version = "1.0.0", sla = "10s")]
fn resumes() {
    std::panic::resume_unwind(Box::new("brought from elsewhere"));
}

fn check_resumed(inbox: &Inbox) {
    let _guard = inbox.bind();
    catch_unwind(resumes).unwrap_err();
    let event = inbox.only_event();
    assert_eq!((event.level, tag(&event, "process_id")), (Level::Fatal, Some("resumes")));
    assert_eq!(exception_texts(&event), ["brought from elsewhere"]);
}

#[test]
fn a_panic_that_no_hook_saw_is_one_event_all_the_same() {
    check_resumed(&Inbox::new());
    check_resumed(&Inbox::with_defaults(ClientOptions::new().add_integration(Integration)));
}

#[test]
fn a_panic_that_no_hook_saw_is_one_event_without_the_integration_too() {
    check_resumed(&Inbox::with_defaults(ClientOptions::new()));
}
