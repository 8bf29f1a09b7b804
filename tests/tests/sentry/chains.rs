//! Errors that pass through several runs. An error that a run passes on is sent as one event. If a run returns
//! another error instead, that error is sent as a second event, which is linked to the first.

use std::error::Error;

use anyhow::Context as _;
use futures::future::try_join;
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Outcome, critical_process};
use process_tests::events::{Inbox, exception_texts, tag};
use sentry::SentryFutureExt as _;
use tokio::task::yield_now;

use super::{
    ChargeError, How, Unavailable, any, charge, declined, failures, fingerprint, first_event_id, passes,
    processes,
};

#[tokio::test(start_paused = true)]
async fn an_error_that_is_passed_through_is_one_event_and_the_outcome_of_each() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    domain.run(passes()).await.unwrap_err();
    let event = inbox.only_event();
    // The event of the innermost run also has the context of all runs around it.
    assert_eq!((tag(&event, "process_id"), tag(&event, "level")), (Some("charge"), Some("1")));
    assert_eq!((failures(&domain, "charge"), failures(&domain, "passes")), (1, 1));
}

#[derive(Debug, thiserror::Error)]
#[error("the order failed")]
struct OrderError(#[from] ChargeError);

#[critical_process(id = "wraps", version = "1.0.0", sla = "10s")]
async fn wraps() -> Result<(), OrderError> {
    charge("c-9", 42, 1, How::Fail).await?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("the checkout failed")]
struct CheckoutError(#[from] OrderError);

#[critical_process(id = "wraps_again", version = "1.0.0", sla = "10s")]
async fn wraps_again() -> Result<(), CheckoutError> {
    Ok(wraps().await?)
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_wrapped_is_one_event() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    domain.run(wraps()).await.unwrap_err();
    assert_eq!(tag(&inbox.only_event(), "process_id"), Some("charge"));
    domain.run(wraps_again()).await.unwrap_err();
    assert_eq!(tag(&inbox.only_event(), "process_id"), Some("charge"));
    assert_eq!(failures(&domain, "wraps_again"), 1);
}

#[critical_process(id = "any_of_any", version = "1.0.0", sla = "10s")]
async fn any_of_any() -> anyhow::Result<()> {
    any().await.context("while it mattered").context("at all")
}

#[critical_process(id = "boxes", version = "1.0.0", sla = "10s")]
async fn boxes() -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(any_of_any().await?)
}

#[tokio::test(start_paused = true)]
async fn an_error_under_anyhows_context_or_in_a_box_is_one_event() {
    let (inbox, _guard) = Inbox::bound();
    any().await.unwrap_err();
    assert_eq!(tag(&inbox.only_event(), "process_id"), Some("charge"));
    any_of_any().await.unwrap_err();
    assert_eq!(tag(&inbox.only_event(), "process_id"), Some("charge"));
    boxes().await.unwrap_err();
    assert_eq!(tag(&inbox.only_event(), "process_id"), Some("charge"));
}

#[critical_process(id = "original_any", version = "1.0.0", sla = "10s")]
async fn original_any() -> anyhow::Result<()> {
    anyhow::bail!("of its own")
}

#[critical_process(id = "around_any", version = "1.0.0", sla = "10s")]
async fn around_any() -> anyhow::Result<()> {
    original_any().await.context("around")
}

#[tokio::test(start_paused = true)]
async fn an_error_that_was_anyhows_from_the_start_is_one_event() {
    let (inbox, _guard) = Inbox::bound();
    around_any().await.unwrap_err();
    let event = inbox.only_event();
    assert_eq!(tag(&event, "process_id"), Some("original_any"));
    assert_eq!(exception_texts(&event), ["of its own"]);
}

#[critical_process(id = "maps", version = "1.0.0", sla = "10s")]
async fn maps() -> Result<(), Unavailable> {
    charge("c-9", 42, 1, How::Fail).await.map(drop).map_err(|_| Unavailable)
}

#[critical_process(id = "maps_again", version = "1.0.0", sla = "10s")]
async fn maps_again() -> Result<(), String> {
    maps().await.map_err(|_| "no".to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_mapped_to_another_is_a_second_event_that_leads_to_the_first() {
    let (inbox, _guard) = Inbox::bound();
    maps().await.unwrap_err();
    let events = inbox.events();
    assert_eq!(processes(&events), ["charge", "maps"]);
    assert_eq!(fingerprint(&events[1]), fingerprint(&events[0]));
    assert_eq!(first_event_id(&events[1]), Some(events[0].event_id.simple().to_string()));
    assert_eq!(exception_texts(&events[1]), ["unavailable"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_mapped_twice_leads_to_the_very_first_event() {
    let (inbox, _guard) = Inbox::bound();
    maps_again().await.unwrap_err();
    let events = inbox.events();
    assert_eq!(processes(&events), ["charge", "maps", "maps_again"]);
    for event in &events[1..] {
        assert_eq!(fingerprint(event), fingerprint(&events[0]));
        assert_eq!(first_event_id(event), Some(events[0].event_id.simple().to_string()));
    }
}

#[derive(Debug, thiserror::Error)]
#[error("card 7 was declined")]
struct SameText;

#[critical_process(id = "says_the_same", version = "1.0.0", sla = "10s")]
async fn says_the_same() -> Result<(), SameText> {
    charge("c-9", 42, 1, How::Fail).await.map(drop).map_err(|_| SameText)
}

#[tokio::test(start_paused = true)]
async fn another_type_with_the_same_text_is_another_error() {
    let (inbox, _guard) = Inbox::bound();
    says_the_same().await.unwrap_err();
    assert_eq!(processes(&inbox.events()), ["charge", "says_the_same"]);
}

#[critical_process(id = "retries", version = "1.0.0", sla = "10s")]
async fn retries(last: How) -> Result<How, ChargeError> {
    for attempt in 0..2 {
        charge("c-9", 42, attempt, How::Fail).await.unwrap_err();
    }
    charge("c-9", 42, 2, last).await
}

#[tokio::test(start_paused = true)]
async fn each_failed_attempt_is_an_event_of_its_own_and_the_last_is_not_sent_again() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    domain.run(retries(How::Fail)).await.unwrap_err();
    let events = inbox.events();
    assert_eq!(processes(&events), ["charge"; 3]);
    let attempts: Vec<_> = events.iter().map(|event| tag(event, "cents").unwrap()).collect();
    assert_eq!(attempts, ["0", "1", "2"]);
    assert_eq!((failures(&domain, "charge"), failures(&domain, "retries")), (3, 1));
    // If a retry succeeds, the outer run succeeds too.
    domain.run(retries(How::Succeed)).await.unwrap();
    assert_eq!(processes(&inbox.events()), ["charge"; 2]);
    assert_eq!(failures(&domain, "retries"), 1);
}

#[critical_process(id = "fails_after_mending", version = "1.0.0", sla = "10s")]
async fn fails_after_mending() -> Result<(), ChargeError> {
    charge("c-9", 42, 1, How::Fail).await.unwrap_err();
    charge("c-9", 42, 2, How::Succeed).await?;
    Err(declined())
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_runs_own_after_a_child_that_succeeded_is_sent() {
    let (inbox, _guard) = Inbox::bound();
    fails_after_mending().await.unwrap_err();
    let events = inbox.events();
    assert_eq!(processes(&events), ["charge", "fails_after_mending"]);
    assert_eq!(first_event_id(&events[1]), Some(events[0].event_id.simple().to_string()));
}

#[critical_process(id = "side", version = "1.0.0", sla = "10s")]
async fn side(yields: usize) -> Result<(), ChargeError> {
    for _ in 0..yields {
        yield_now().await;
    }
    Ok(())
}

#[critical_process(id = "joins", version = "1.0.0", sla = "10s")]
async fn joins(yields: usize) -> Result<(), ChargeError> {
    let (charged, sided) = tokio::join!(charge("c-9", 42, 1, How::Fail), side(yields));
    sided.and(charged.map(drop))
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_branch_of_a_join_that_ends_last_is_one_event() {
    let (inbox, _guard) = Inbox::bound();
    joins(0).await.unwrap_err();
    assert_eq!(tag(&inbox.only_event(), "process_id"), Some("charge"));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_branch_of_a_join_that_another_outlasts_is_at_most_two_linked_events() {
    let (inbox, _guard) = Inbox::bound();
    joins(5).await.unwrap_err();
    let events = inbox.events();
    assert!(matches!(&processes(&events)[..], ["charge"] | ["charge", "joins"]), "{events:#?}");
    for event in &events[1..] {
        assert_eq!(fingerprint(event), fingerprint(&events[0]));
        assert_eq!(first_event_id(event), Some(events[0].event_id.simple().to_string()));
    }
}

#[critical_process(id = "tries_to_join", version = "1.0.0", sla = "10s")]
async fn tries_to_join() -> Result<(), ChargeError> {
    let never = async { charge("c-9", 42, 2, How::Hang).await };
    try_join(charge("c-9", 42, 1, How::Fail), never).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_error_that_cancels_the_other_branches_of_a_join_is_one_event() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    domain.run(tries_to_join()).await.unwrap_err();
    assert_eq!(processes(&inbox.events()), ["charge"]);
    let ended = domain.stats("charge").unwrap().ended;
    assert_eq!((ended.count(Outcome::Failure), ended.count(Outcome::Cancelled)), (1, 1));
}

#[critical_process(id = "spawns", version = "1.0.0", sla = "10s", context(order))]
async fn spawns(order: u8) -> Result<(), ChargeError> {
    let _ = order;
    let task = tokio::spawn(Carrier::current().carry(charge("c-9", 42, 1, How::Fail)));
    task.await.unwrap().map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_crosses_a_spawn_through_a_carrier_is_one_event_with_the_context_of_both() {
    let inbox = Inbox::new();
    spawns(3).bind_hub(inbox.hub().clone()).await.unwrap_err();
    let event = inbox.only_event();
    assert_eq!((tag(&event, "process_id"), tag(&event, "order")), (Some("charge"), Some("3")));
}
