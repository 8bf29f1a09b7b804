//! Sentry clients that are absent, that drop events, that panic, and that run processes themselves.

use process_runtime::sentry::Integration;
use process_runtime::testing::Domain;
use process_runtime::{critical_process, registry};
use process_tests::capture::Capture;
use process_tests::events::Inbox;
use process_tests::isolated::isolated;
use sentry::{ClientOptions, Hub, HubSwitchGuard};

use super::{How, failures, passes, run, text_never};

#[tokio::test(start_paused = true)]
async fn without_a_client_nothing_is_sent_or_kept() {
    let unbound = HubSwitchGuard::new(std::sync::Arc::new(Hub::new(None, Default::default())));
    run(How::Fail).await;
    drop(unbound);
    let (inbox, _guard) = Inbox::bound();
    run(How::Succeed).await;
    assert!(inbox.take().wire.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drops_every_event_changes_nothing_for_the_run() {
    let inbox = Inbox::of(ClientOptions::new().add_integration(Integration).before_send(|_| None));
    let _guard = inbox.bind();
    let domain = Domain::new();
    domain.run(passes()).await.unwrap_err();
    assert!(inbox.take().wire.is_empty());
    assert_eq!((failures(&domain, "charge"), failures(&domain, "passes")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_panics_changes_nothing_for_the_run() {
    let panics = |_| panic!("of before_send");
    let inbox = Inbox::of(ClientOptions::new().add_integration(Integration).before_send(panics));
    let _guard = inbox.bind();
    let (capture, _subscriber) = Capture::installed();
    let domain = Domain::new();
    domain.run(passes()).await.unwrap_err();
    assert_eq!((failures(&domain, "charge"), failures(&domain, "passes")), (1, 1));
    for name in ["charge", "passes"] {
        let span = capture.only(name);
        assert_eq!((span.closed, span.field("critical_process.outcome")), (true, Some("failure")), "{name}");
    }
}

#[test]
fn registry_stats_do_not_depend_on_a_client() {
    let before = registry::stats("traced_sync").unwrap().ended.total();
    traced_sync();
    assert_eq!(registry::stats("traced_sync").unwrap().ended.total(), before + 1);
}

#[critical_process(id = "traced_sync", version = "1.0.0", sla = "10s")]
fn traced_sync() {}

#[test]
fn a_client_that_runs_a_failing_process_itself_does_not_run_for_ever() {
    isolated(|| {
        let runs = |event| {
            let _ = text_never(false);
            Some(event)
        };
        let inbox = Inbox::of(ClientOptions::new().add_integration(Integration).before_send(runs));
        let _guard = inbox.bind();
        text_never(false).unwrap_err();
        let events = inbox.events();
        assert!((1..=2).contains(&events.len()), "{events:#?}");
    });
}
