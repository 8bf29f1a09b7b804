//! Sentry's own normaliser (PyPI `sentry-relay`) finds nothing to change in our events.

use std::sync::Arc;

use process_runtime::{critical_process, stage};
use process_tests::relay::judged_by_sentry;
use test_machine::missing::is_module_missing;

/// Charges a card.
#[critical_process(
    id = "relayed_payment",
    version = "2.0.1",
    sla = "10s",
    owner = "billing",
    runbook = "docs/runbooks/payment.md",
    context(company_id, user_id, cents, note = "x".repeat(300), lines = "a\nb"),
)]
fn pay(company_id: &str, user_id: &str, cents: u64) -> Result<(), Refused> {
    call_provider()?;
    Ok(())
}

#[stage(id = "provider", process = "relayed_payment")]
fn call_provider() -> Result<(), Refused> {
    Err(Refused(std::io::Error::other("connection reset")))
}

#[derive(Debug, thiserror::Error)]
#[error("the provider refused")]
struct Refused(#[source] std::io::Error);

#[critical_process(id = "relayed_panic", version = "1.0.0", sla = "10s", error_text = never)]
fn fall_over() {
    panic!("unsaid");
}

fn events() -> Vec<sentry::protocol::Event<'static>> {
    let transport = sentry::test::TestTransport::new();
    let options = sentry::ClientOptions::new()
        .dsn("https://public@sentry.invalid/1")
        .transport(Arc::clone(&transport))
        .attach_stacktrace(true)
        .add_integration(process_runtime::sentry::Integration);
    let hub = Arc::new(sentry::Hub::new(Some(Arc::new(options.into())), Arc::default()));
    sentry::Hub::run(hub, || {
        let _ = pay("acme", "u-1", 4_200);
        let _ = std::panic::catch_unwind(fall_over);
        #[critical_process(id = "relayed_message", version = "1.0.0", sla = "10s")]
        fn send() {
            sentry::capture_message("from inside", sentry::Level::Info);
        }
        send();
    });
    transport.fetch_and_clear_events()
}

#[test]
fn sentrys_normaliser_leaves_our_events_as_they_are() {
    if is_module_missing("sentry_relay", "pip install sentry-relay") {
        return;
    }
    let events = events();
    assert_eq!(events.len(), 3);
    let lines: Vec<_> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    assert_eq!(judged_by_sentry(&lines), "judged 3\n");
}
