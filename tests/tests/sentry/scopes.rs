//! The Sentry scope of a run. What the body of a run sets on the scope is kept across polls and threads, and does not
//! reach other root runs. Events that the body sends describe the run.

use futures::FutureExt as _;
use futures::future::join_all;
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Install, critical_process};
use process_tests::events::{Inbox, breadcrumbs, in_block, tag};
use process_tests::isolated::isolated;
use sentry::protocol::{Context, Event, User};
use sentry::{Breadcrumb, ClientOptions, Hub, Level, SentryFutureExt as _};
use tokio::task::yield_now;
use tracing::dispatcher;

use super::{How, Unavailable, charge, sampled, sentry_tracing};

fn note(text: impl Into<String>) {
    sentry::add_breadcrumb(Breadcrumb { message: Some(text.into()), ..Breadcrumb::default() });
}

#[critical_process(id = "sends", version = "1.2.3", sla = "10s", context(user_id, note, lines))]
async fn sends(user_id: &str, note: &str, lines: &str) {
    let _ = (user_id, note, lines);
    yield_now().await;
    sentry::capture_message("of the body", Level::Info);
}

#[tokio::test(start_paused = true)]
async fn what_the_body_sends_carries_tags_block_and_user() {
    let (inbox, _guard) = Inbox::bound();
    let long = "x".repeat(201);
    sends("u-1", &long, "one\ntwo").await;
    let event = inbox.only_event();
    assert_eq!(tag(&event, "process_id"), Some("sends"));
    assert_eq!(tag(&event, "process_version"), Some("1.2.3"));
    assert_eq!(tag(&event, "process_outcome"), None, "it has not ended");
    assert_eq!(event.user.as_ref().unwrap().id.as_deref(), Some("u-1"));
    assert_eq!((event.level, event.transaction.as_deref()), (Level::Info, Some("sends")));
    // A value that Sentry would cut is in the block, but is not a tag.
    assert_eq!((tag(&event, "note"), in_block(&event, "note")), (None, Some(&long.into())));
    assert_eq!((tag(&event, "lines"), in_block(&event, "lines")), (None, Some(&"one\ntwo".into())));
    // Outside of runs, an event belongs to no process.
    sentry::capture_message("outside", Level::Info);
    let event = inbox.only_event();
    assert!(event.tags.is_empty() && !event.contexts.contains_key("process"));
}

#[test]
fn a_value_of_200_characters_is_a_tag() {
    let (inbox, _guard) = Inbox::bound();
    let long = "é".repeat(200);
    sends("u-1", &long, "").now_or_never();
    assert!(inbox.events().is_empty());
    let mut run = Box::pin(sends("u-1", &long, ""));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while run.as_mut().poll(&mut context).is_pending() {}
    assert_eq!(tag(&inbox.only_event(), "note"), Some(&*long));
}

#[test]
fn install_makes_the_events_of_a_body_carry_tags_without_the_integration() {
    isolated(|| {
        let inbox = Inbox::of(ClientOptions::new());
        Hub::main().bind_client(inbox.hub().client());
        let installation = Install::new().start();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(runtime.spawn(sends("u-1", "n", "l"))).unwrap();
        assert_eq!(tag(&inbox.only_event(), "process_id"), Some("sends"));
        installation.stop();
    });
}

#[critical_process(id = "visitor", version = "1.0.0", sla = "10s", context(number))]
async fn visitor(number: usize) -> Result<(), Unavailable> {
    sentry::configure_scope(|scope| {
        scope.set_user(Some(User { id: Some(number.to_string()), ..User::default() }));
        scope.set_tag("visitor", number);
    });
    for step in 0..5 {
        note(format!("{number}: {step}"));
        yield_now().await;
    }
    visitors_inner(number).await;
    Err(Unavailable)
}

#[critical_process(id = "visitors_inner", version = "1.0.0", sla = "10s")]
async fn visitors_inner(number: usize) {
    yield_now().await;
    note(format!("{number}: inner"));
    sentry::configure_scope(|scope| scope.set_tag("inner", number));
}

fn check_visitors(events: &[Event<'_>], visitors: usize) {
    assert_eq!(events.len(), visitors);
    for event in events {
        let number = tag(event, "number").unwrap().to_owned();
        assert_eq!(tag(event, "visitor"), Some(&*number));
        // A tag that an inner run sets stays on the outer run.
        assert_eq!(tag(event, "inner"), Some(&*number));
        assert_eq!(event.user.as_ref().unwrap().id.as_ref(), Some(&number));
        let mut expected = vec!["before".to_owned()];
        expected.extend((0..5).map(|step| format!("{number}: {step}")));
        expected.push(format!("{number}: inner"));
        assert_eq!(breadcrumbs(event), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_root_run_sets_on_the_scope_is_never_seen_in_another() {
    let (inbox, _guard) = Inbox::bound();
    note("before");
    join_all((0..50).map(visitor)).await;
    check_visitors(&inbox.events(), 50);
    sentry::capture_message("afterwards", Level::Info);
    let event = inbox.only_event();
    assert_eq!((breadcrumbs(&event), event.user, event.tags.len()), (vec!["before".to_owned()], None, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_root_run_keeps_its_scope_from_thread_to_thread() {
    let inbox = Inbox::new();
    inbox.hub().add_breadcrumb(Breadcrumb { message: Some("before".into()), ..Breadcrumb::default() });
    let runs = (0..50).map(|number| tokio::spawn(visitor(number).bind_hub(inbox.hub().clone())));
    join_all(runs).await;
    check_visitors(&inbox.events(), 50);
}

#[tokio::test(start_paused = true)]
async fn with_sentry_tracing_scopes_are_kept_across_polls_and_apart_between_runs() {
    let inbox = Inbox::of(sampled(1.0));
    let _guard = inbox.bind();
    let _subscriber = dispatcher::set_default(&sentry_tracing());
    note("before");
    join_all((0..20).map(visitor)).await;
    check_visitors(&inbox.events(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_keeps_hub_and_context_after_its_run_has_ended() {
    let (inbox, _guard) = Inbox::bound();
    let carrier = ended_already(5).await;
    carrier.run(|| sentry::capture_message("afterwards", Level::Info));
    let event = inbox.only_event();
    assert_eq!((tag(&event, "process_id"), tag(&event, "order")), (Some("ended_already"), Some("5")));
    assert_eq!(breadcrumbs(&event), ["of the run"]);
}

#[critical_process(id = "ended_already", version = "1.0.0", sla = "10s", context(order))]
async fn ended_already(order: u8) -> Carrier {
    let _ = order;
    note("of the run");
    Carrier::current()
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_on_another_thread_leaves_that_threads_hub_alone() {
    let (inbox, _guard) = Inbox::bound();
    let mut run = Box::pin(charge("c-9", 42, 1, How::Hang));
    assert!(futures::poll!(run.as_mut()).is_pending());
    let other = std::thread::spawn(move || {
        let before = Hub::current();
        note("of the thread");
        drop(run);
        assert!(std::sync::Arc::ptr_eq(&before, &Hub::current()));
    });
    other.join().unwrap();
    sentry::capture_message("here", Level::Info);
    assert!(breadcrumbs(&inbox.only_event()).is_empty());
}

#[critical_process(id = "shares", version = "1.0.0", sla = "10s")]
fn shares() -> Result<(), Unavailable> {
    let carrier = Carrier::current();
    let worker = std::thread::spawn(move || {
        carrier.run(|| note("of the worker"));
        note("outside of the carrier");
        sentry::configure_scope(|scope| scope.set_tag("worker", "outside"));
    });
    worker.join().unwrap();
    Err(Unavailable)
}

#[test]
fn a_carrier_shares_the_scope_with_a_thread_for_as_long_as_it_is_inside() {
    let (inbox, _guard) = Inbox::bound();
    shares().unwrap_err();
    let event = inbox.only_event();
    assert_eq!((breadcrumbs(&event), tag(&event, "worker")), (vec!["of the worker".to_owned()], None));
}

#[critical_process(id = "with_a_block", version = "1.0.0", sla = "10s", context(user_id, version))]
async fn with_a_block(user_id: u64, version: &str) -> Result<(), String> {
    let _ = (user_id, version);
    sentry::configure_scope(|scope| {
        let theirs = [("pid".to_owned(), 7.into()), ("id".to_owned(), "theirs".into())];
        scope.set_context("process", Context::Other(theirs.into()));
    });
    sentry::capture_message("said by the body", Level::Info);
    Err("failed".to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_applications_own_block_and_context_of_the_same_names_take_nothing_away() {
    let (inbox, _hub) = Inbox::bound();
    Domain::new().run(with_a_block(42, "v-9")).await.unwrap_err();
    let events = inbox.events();
    assert_eq!(events.len(), 2);
    for event in &events {
        assert_eq!(tag(event, "process_id"), Some("with_a_block"));
        assert_eq!(tag(event, "version"), Some("v-9"));
        assert_eq!(in_block(event, "id").unwrap(), "with_a_block");
        assert_eq!(in_block(event, "version").unwrap(), "1.0.0");
    }
    assert_eq!(in_block(&events[0], "pid").unwrap(), 7);
}
