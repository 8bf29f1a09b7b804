//! Which ends of a run send an event, and what the event contains: level, tags, block, user and fingerprint. Each
//! test has one run at a time. Errors that pass through several runs are in `chains`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt as _;
use process_runtime::sentry::Integration;
use process_runtime::testing::Domain;
use process_runtime::{critical_process, stage};
use process_tests::events::{Inbox, breadcrumbs, exception_texts, in_block, tag};
use sentry::{ClientOptions, Level};

use super::{ChargeError, How, Unavailable, charge, fingerprint, first_event_id, processes, run, text_never};

#[tokio::test(start_paused = true)]
async fn a_failure_is_one_event_with_all_that_is_known() {
    let (inbox, _guard) = Inbox::bound();
    run(How::Fail).await;
    let event = inbox.only_event();
    assert_eq!(event.level, Level::Error);
    for (name, value) in [
        ("process_id", "charge"),
        ("process_version", "2.1.0"),
        ("process_outcome", "failure"),
        ("company_id", "c-9"),
        ("user_id", "42"),
        ("cents", "1250"),
        ("attempts", "2"),
    ] {
        assert_eq!(tag(&event, name), Some(value), "{name}");
    }
    // A context value with the name of another tag would replace that tag.
    let context = ["company_id", "user_id", "cents", "attempts"];
    for name in event.tags.keys().filter(|name| !context.contains(&name.as_str())) {
        assert!(process_model::grammar::check_context_key(name).is_err(), "the tag `{name}` is not reserved");
    }
    assert_eq!(event.user.as_ref().unwrap().id.as_deref(), Some("42"));
    assert_eq!(event.transaction.as_deref(), Some("charge"));
    let error_type = std::any::type_name::<ChargeError>();
    assert_eq!(fingerprint(&event), ["charge", error_type]);
    assert_eq!(exception_texts(&event), ["connection reset", "the bank answered 503", "card 7 was declined"]);
    for (key, value) in [
        ("id", "charge"),
        ("name", "Charge a card"),
        ("version", "2.1.0"),
        ("criticality", "critical"),
        ("owner", "payments"),
        ("runbook", "docs/runbooks/charge.md"),
        ("handler", "sentry::charge"),
        ("outcome", "failure"),
        ("error_type", error_type),
        ("company_id", "c-9"),
    ] {
        assert_eq!(in_block(&event, key), Some(&value.into()), "{key}");
    }
    assert_eq!(in_block(&event, "sla_ms"), Some(&10_000.into()));
    assert_eq!(in_block(&event, "late"), Some(&false.into()));
    assert_eq!(in_block(&event, "cents"), Some(&1250.into()));
    assert_eq!(in_block(&event, "first_event_id"), None);
}

#[tokio::test(start_paused = true)]
async fn success_rejection_cancellation_and_a_fallback_send_no_event() {
    let (inbox, _guard) = Inbox::bound();
    for how in [How::Succeed, How::Reject, How::Hang, How::FallBack] {
        run(how).await;
        assert!(inbox.take().wire.is_empty(), "{how:?}");
    }
}

#[critical_process(id = "falls_back_and_fails", version = "1.0.0", sla = "10s")]
async fn falls_back_and_fails() -> Result<(), Unavailable> {
    charge("c-9", 42, 1, How::FallBack).await.unwrap();
    Err(Unavailable)
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_a_breadcrumb() {
    let (inbox, _guard) = Inbox::bound();
    falls_back_and_fails().await.unwrap_err();
    let event = inbox.only_event();
    let crumbs = breadcrumbs(&event);
    assert!(matches!(&crumbs[..], [crumb] if crumb.contains("charge")), "{crumbs:?}");
    assert_eq!(event.breadcrumbs[0].level, Level::Warning);
}

#[test]
fn error_text_that_may_go_nowhere_is_not_in_the_event() {
    for inbox in [Inbox::new(), Inbox::with_defaults(ClientOptions::new().add_integration(Integration))] {
        let _guard = inbox.bind();
        text_never(false).unwrap_err();
        catch_unwind(|| text_never(true)).unwrap_err();
        let sent = inbox.take();
        assert_eq!(processes(&sent.events), ["text_never"; 2]);
        for text in ["SECRET", "declined", "answered 503", "connection reset"] {
            assert!(!sent.wire.contains(text), "{text} is in {}", sent.wire);
        }
        assert_eq!(sent.events[0].exception[0].ty, std::any::type_name::<ChargeError>());
    }
}

#[critical_process(id = "fails_on_rejection", version = "1.0.0", sla = "10s")]
async fn fails_on_rejection() -> Result<(), ChargeError> {
    charge("c-9", 42, 1, How::Reject).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn what_an_inner_run_rejects_and_the_outer_one_does_not_is_the_outer_ones_first_event() {
    let (inbox, _guard) = Inbox::bound();
    fails_on_rejection().await.unwrap_err();
    let event = inbox.only_event();
    assert_eq!((tag(&event, "process_id"), first_event_id(&event)), (Some("fails_on_rejection"), None));
}

#[stage(id = "secretive", error_text = never)]
async fn secretive(how: How) -> Result<(), String> {
    match how {
        How::Panic => panic!("canary of a stage"),
        _ => Err("canary of a stage".to_owned()),
    }
}

#[critical_process(id = "talkative", version = "1.0.0", sla = "10s")]
async fn talkative(how: How) -> Result<(), String> {
    secretive(how).await
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_stages_error_with_never_is_not_in_the_event_of_its_process() {
    for how in [How::Fail, How::Panic] {
        for inbox in [Inbox::new(), Inbox::with_defaults(ClientOptions::new().add_integration(Integration))] {
            let _hub = inbox.bind();
            let _ = AssertUnwindSafe(Domain::new().run(talkative(how))).catch_unwind().await;
            let sent = inbox.take();
            assert_eq!(sent.events.len(), 1, "{how:?}");
            assert!(!sent.wire.contains("canary"), "{how:?}: {}", sent.wire);
        }
    }
}
