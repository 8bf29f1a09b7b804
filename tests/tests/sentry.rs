//! What a run tells Sentry.

use std::error::Error;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::{join_all, try_join};
use opentelemetry::trace::TraceContextExt as _;
use process_runtime::sentry::Integration;
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Install, Outcome, critical_process, record, registry, stage};
use process_tests::capture::Capture;
use process_tests::events::{Inbox, breadcrumbs, exception_texts, in_block, tag};
use process_tests::isolated::isolated;
use process_tests::traces::Traces;
use sentry::protocol::{Context, Event, SpanStatus, TraceContext, User};
use sentry::{Breadcrumb, ClientOptions, Hub, HubSwitchGuard, Level, SentryFutureExt as _};
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

#[derive(Clone, Copy, Debug)]
enum How {
    Succeed,
    FallBack,
    Reject,
    Fail,
    Panic,
    Hang,
}

#[derive(Debug, thiserror::Error)]
enum ChargeError {
    #[error("the caller's mistake")]
    Yours,
    #[error("card {0} was declined")]
    Declined(u32, #[source] BankError),
}

#[derive(Debug, thiserror::Error)]
#[error("the bank answered {0}")]
struct BankError(u16, #[source] std::io::Error);

fn declined() -> ChargeError {
    ChargeError::Declined(7, BankError(503, std::io::Error::other("connection reset")))
}

fn is_fallback(how: &How) -> bool {
    matches!(how, How::FallBack)
}

/// Charges a card.
#[critical_process(
    id = "charge",
    version = "2.1.0",
    sla = "10s",
    name = "Charge a card",
    criticality = critical,
    owner = "payments",
    runbook = "docs/runbooks/charge.md",
    context(company_id, user_id, cents, later(attempts)),
    rejects(ChargeError::Yours),
    degraded = is_fallback,
)]
async fn charge(company_id: &str, user_id: u64, cents: i64, how: How) -> Result<How, ChargeError> {
    let _ = (company_id, user_id, cents);
    yield_now().await;
    record!(attempts = 2_u8);
    match how {
        How::Succeed | How::FallBack => Ok(how),
        How::Reject => Err(ChargeError::Yours),
        How::Fail => Err(declined()),
        How::Panic => panic!("on demand"),
        How::Hang => pending().await,
    }
}

async fn run(how: How) {
    let domain = Domain::new();
    let charge = charge("c-9", 42, 1250, how);
    let mut future = Box::pin(AssertUnwindSafe(domain.run(charge)).catch_unwind());
    match how {
        How::Hang => assert!(futures::poll!(future.as_mut()).is_pending()),
        _ => drop(future.await),
    }
}

/// The last domain's figures, to tell that each process records its own outcome.
fn failures(domain: &Domain, process: &str) -> u64 {
    domain.stats(process).unwrap().ended.with(Outcome::Failure)
}

fn fingerprint(event: &Event<'_>) -> Vec<String> {
    event.fingerprint.iter().map(ToString::to_string).collect()
}

fn first_event_id(event: &Event<'_>) -> Option<String> {
    in_block(event, "first_event_id").and_then(|id| id.as_str()).map(str::to_owned)
}

fn processes<'a>(events: &'a [Event<'_>]) -> Vec<&'a str> {
    events.iter().map(|event| tag(event, "process_id").unwrap_or("none")).collect()
}

fn note(text: impl Into<String>) {
    sentry::add_breadcrumb(Breadcrumb { message: Some(text.into()), ..Breadcrumb::default() });
}

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
async fn success_rejection_cancellation_and_a_fallback_are_no_events() {
    let (inbox, _guard) = Inbox::bound();
    for how in [How::Succeed, How::Reject, How::Hang, How::FallBack] {
        run(how).await;
        assert!(inbox.take().wire.is_empty(), "{how:?}");
    }
}

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
            assert_eq!(domain.stats(process).unwrap().ended.with(Outcome::Panic), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_client_nothing_is_sent_or_kept() {
    let unbound = HubSwitchGuard::new(std::sync::Arc::new(Hub::new(None, Default::default())));
    run(How::Fail).await;
    drop(unbound);
    let (inbox, _guard) = Inbox::bound();
    run(How::Succeed).await;
    assert!(inbox.take().wire.is_empty());
}

#[critical_process(id = "passes", version = "1.0.0", sla = "10s", context(level = 1))]
async fn passes() -> Result<(), ChargeError> {
    charge("c-9", 42, 1, How::Fail).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_passed_through_is_one_event_and_the_outcome_of_each() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    domain.run(passes()).await.unwrap_err();
    let event = inbox.only_event();
    // The one that knows most: the innermost, with the context of all around it.
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

#[critical_process(id = "any", version = "1.0.0", sla = "10s")]
async fn any() -> anyhow::Result<()> {
    charge("c-9", 42, 1, How::Fail).await.context("while charging")?;
    Ok(())
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

#[derive(Debug, thiserror::Error)]
#[error("unavailable")]
struct Unavailable;

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
    // A retry that helps leaves the outer run unharmed.
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
    assert_eq!((ended.with(Outcome::Failure), ended.with(Outcome::Cancelled)), (1, 1));
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

#[stage(id = "reserve", process = "ships", sla = "1s")]
async fn reserve(fails: bool) -> Result<(), Unavailable> {
    yield_now().await;
    sentry::capture_message("of a stage", Level::Info);
    if fails { Err(Unavailable) } else { Ok(()) }
}

#[critical_process(id = "ships", version = "1.0.0", sla = "10s", context(parcel))]
async fn ships(parcel: &str, fails: bool) -> Result<(), Unavailable> {
    let _ = parcel;
    reserve(fails).await
}

#[tokio::test(start_paused = true)]
async fn a_failed_stage_is_no_event_and_the_event_of_its_process_names_it() {
    let (inbox, _guard) = Inbox::bound();
    ships("p-1", true).await.unwrap_err();
    let events = inbox.events();
    let [message, failure] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(tag(failure, "process_id"), Some("ships"));
    assert_eq!(in_block(failure, "stage"), Some(&"reserve".into()));
    // What the stage sent itself is its process's too.
    assert_eq!(message.message.as_deref(), Some("of a stage"));
    assert_eq!((tag(message, "process_id"), tag(message, "parcel")), (Some("ships"), Some("p-1")));
    assert_eq!(in_block(message, "stage"), Some(&"reserve".into()));
}

/// What happens after a stage of `repairs` failed.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    CallFails,
    CallSucceeds,
    StageIsCancelled,
}

#[derive(Clone, Copy, Debug)]
struct Kind(&'static str);

impl Kind {
    fn kind(&self) -> &'static str {
        self.0
    }
}

#[stage(id = "attempt", error_type = Kind::kind)]
async fn attempt(error: Kind) -> Result<(), Kind> {
    Err(error)
}

#[stage(id = "waits")]
async fn waits() {
    std::future::pending::<()>().await;
}

#[critical_process(id = "repairs", version = "1.0.0", sla = "10s", error_type = Kind::kind, depends_on("db"))]
async fn repairs(error: &'static str, then: Then) -> Result<(), Kind> {
    let _ = attempt(Kind(error)).await;
    let call = async |result: Result<(), Kind>| {
        let _ = process_runtime::dependency("db", async { result }).await;
    };
    match then {
        Then::Nothing => {}
        Then::CallFails => call(Err(Kind("refused"))).await,
        Then::CallSucceeds => call(Ok(())).await,
        Then::StageIsCancelled => {
            let _ = tokio::time::timeout(Duration::from_secs(1), waits()).await;
        }
    }
    Err(Kind("same"))
}

#[tokio::test(start_paused = true)]
async fn a_stage_is_named_where_its_process_failed_by_it() {
    for (error, then, stage) in [
        ("other", Then::Nothing, Some("attempt")),
        ("other", Then::StageIsCancelled, Some("attempt")),
        // It was made good, and then came another error.
        ("other", Then::CallFails, None),
        ("other", Then::CallSucceeds, None),
        // What clears up after an error makes it no other.
        ("same", Then::CallSucceeds, Some("attempt")),
    ] {
        let (inbox, _guard) = Inbox::bound();
        repairs(error, then).await.unwrap_err();
        let event = inbox.only_event();
        assert_eq!(in_block(&event, "stage"), stage.map(Into::into).as_ref(), "{error}");
    }
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
    // What Sentry would cut is in the block alone.
    assert_eq!((tag(&event, "note"), in_block(&event, "note")), (None, Some(&long.into())));
    assert_eq!((tag(&event, "lines"), in_block(&event, "lines")), (None, Some(&"one\ntwo".into())));
    // Outside of runs events are nobody's.
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
    isolated("install_makes_the_events_of_a_body_carry_tags_without_the_integration", || {
        let inbox = Inbox::of(ClientOptions::new());
        Hub::main().bind_client(inbox.hub().client());
        let installation = Install::new().start();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(runtime.spawn(sends("u-1", "n", "l"))).unwrap();
        assert_eq!(tag(&inbox.only_event(), "process_id"), Some("sends"));
        installation.stop();
    });
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
        // What an inner run set is still there for the outer one.
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

fn trace_of(event: &Event<'_>) -> TraceContext {
    match event.contexts.get("trace") {
        Some(Context::Trace(trace)) => (**trace).clone(),
        other => panic!("no trace context: {other:?}"),
    }
}

#[critical_process(id = "traced", version = "1.0.0", sla = "10s")]
async fn traced() -> Result<(), Unavailable> {
    yield_now().await;
    sentry::capture_message("of the body", Level::Info);
    Err(Unavailable)
}

#[tokio::test(start_paused = true)]
async fn an_event_carries_the_opentelemetry_ids_of_its_run() {
    let untraced = ClientOptions::new().add_integration(Integration);
    for options in [untraced, sampled(0.0), sampled(1.0)] {
        let inbox = Inbox::of(options);
        let _guard = inbox.bind();
        let traces = Traces::new();
        let _subscriber = dispatcher::set_default(&traces.dispatch());
        traced().await.unwrap_err();
        let span = traces.only("traced").span_context;
        let events = inbox.events();
        assert_eq!(events.len(), 2);
        assert!(!opentelemetry::Context::current().has_active_span(), "the run's context outlives it");
        for event in &events {
            let trace = trace_of(event);
            let what = event.message.as_deref().unwrap_or("the failure");
            assert_eq!(trace.trace_id.to_string(), span.trace_id().to_string(), "{what}");
            assert_eq!(trace.span_id.to_string(), span.span_id().to_string(), "{what}");
        }
    }
}

#[critical_process(id = "late_and_traced", version = "1.0.0", sla = "10s")]
async fn late_and_traced() {
    sleep(Duration::from_secs(11)).await;
}

#[tokio::test(start_paused = true)]
async fn the_warning_of_a_late_run_carries_its_opentelemetry_ids() {
    let inbox = Inbox::of(sampled(0.0));
    let _guard = inbox.bind();
    let traces = Traces::new();
    let _subscriber = dispatcher::set_default(&traces.dispatch());
    Domain::new().run(late_and_traced()).await;
    let trace = trace_of(&inbox.only_event());
    let span = traces.only("late_and_traced").span_context;
    assert_eq!(trace.trace_id.to_string(), span.trace_id().to_string());
    assert_eq!(trace.span_id.to_string(), span.span_id().to_string());
}

#[critical_process(id = "looks_for_a_span", version = "1.0.0", sla = "10s")]
fn looks_for_a_span() -> bool {
    sentry::configure_scope(|scope| scope.get_span().is_some())
}

#[test]
fn a_run_starts_a_transaction_only_where_the_client_traces() {
    let untraced = ClientOptions::new().add_integration(Integration);
    for (options, expected) in [(untraced, false), (sampled(0.0), false), (sampled(1.0), true)] {
        let inbox = Inbox::of(options);
        let _guard = inbox.bind();
        assert_eq!(looks_for_a_span(), expected);
    }
}

#[critical_process(id = "traced_panic", version = "1.0.0", sla = "10s")]
fn traced_panic() {
    panic!("on demand");
}

#[test]
fn the_event_of_a_panic_carries_the_opentelemetry_ids_of_its_run() {
    for inbox in [Inbox::new(), Inbox::with_defaults(ClientOptions::new().add_integration(Integration))] {
        let _guard = inbox.bind();
        let traces = Traces::new();
        let _subscriber = dispatcher::set_default(&traces.dispatch());
        catch_unwind(traced_panic).unwrap_err();
        let span = traces.only("traced_panic").span_context;
        let trace = trace_of(&inbox.only_event());
        assert_eq!(trace.trace_id.to_string(), span.trace_id().to_string());
        assert_eq!(trace.span_id.to_string(), span.span_id().to_string());
    }
}

fn sampled(rate: f32) -> ClientOptions {
    ClientOptions::new().add_integration(Integration).traces_sample_rate(rate)
}

#[critical_process(id = "sampled_root", version = "1.0.0", sla = "10s", context(parcel))]
async fn sampled_root(parcel: &str, fails: bool) -> Result<(), Unavailable> {
    ships(parcel, false).await?;
    yield_now().await;
    if fails { Err(Unavailable) } else { Ok(()) }
}

#[tokio::test(start_paused = true)]
async fn a_sampled_root_run_is_one_transaction_with_its_stages_and_inner_runs_as_spans() {
    let inbox = Inbox::of(sampled(1.0));
    let _guard = inbox.bind();
    sampled_root("p-2", false).await.unwrap();
    let sent = inbox.take();
    let [transaction] = &sent.transactions[..] else { panic!("{:#?}", sent.transactions) };
    assert_eq!(transaction.name.as_deref(), Some("sampled_root"));
    for (name, value) in [
        ("process_id", "sampled_root"),
        ("process_version", "1.0.0"),
        ("process_outcome", "success"),
        ("parcel", "p-2"),
    ] {
        assert_eq!(transaction.tags.get(name).map(String::as_str), Some(value), "{name}");
    }
    let Some(Context::Trace(trace)) = transaction.contexts.get("trace") else { panic!("{transaction:#?}") };
    assert_eq!((trace.op.as_deref(), trace.status), (Some("process"), Some(SpanStatus::Ok)));
    let spans = &transaction.spans;
    let named = |name: &str| spans.iter().find(|span| span.description.as_deref() == Some(name)).unwrap();
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let (inner, stage) = (named("ships"), named("ships.reserve"));
    assert_eq!((inner.op.as_deref(), inner.parent_span_id), (Some("process"), Some(trace.span_id)));
    assert_eq!((stage.op.as_deref(), stage.parent_span_id), (Some("stage"), Some(inner.span_id)));
    // Events inside belong to the same trace.
    assert_eq!(trace_of(&sent.events[0]).trace_id, trace.trace_id);
}

#[tokio::test(start_paused = true)]
async fn a_failed_root_run_is_a_failed_transaction() {
    let inbox = Inbox::of(sampled(1.0));
    let _guard = inbox.bind();
    sampled_root("p-2", true).await.unwrap_err();
    let sent = inbox.take();
    let Some(Context::Trace(trace)) = sent.transactions[0].contexts.get("trace") else { panic!() };
    assert_eq!(trace.status, Some(SpanStatus::InternalError));
    assert_eq!(sent.transactions[0].tags["process_outcome"], "failure");
    assert_eq!(sent.transactions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_root_runs_are_two_transactions_of_two_traces() {
    let inbox = Inbox::of(sampled(1.0));
    let _guard = inbox.bind();
    tokio::join!(sampled_root("p-1", false), sampled_root("p-2", false)).0.unwrap();
    let sent = inbox.take();
    let ids: Vec<_> =
        sent.transactions.iter().map(|transaction| transaction.contexts["trace"].clone()).collect();
    let [Context::Trace(one), Context::Trace(other)] = &ids[..] else { panic!("{ids:#?}") };
    assert_ne!(one.trace_id, other.trace_id);
    assert!(sent.transactions.iter().all(|transaction| transaction.spans.len() == 2));
}

#[tokio::test(start_paused = true)]
async fn at_a_rate_of_0_there_are_no_transactions() {
    let inbox = Inbox::of(sampled(0.0));
    let _guard = inbox.bind();
    sampled_root("p-2", true).await.unwrap_err();
    let sent = inbox.take();
    assert!(sent.transactions.is_empty());
    assert_eq!(sent.events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn inside_a_transaction_of_the_application_a_run_is_a_span_of_that() {
    let inbox = Inbox::of(sampled(1.0));
    let _guard = inbox.bind();
    let request = sentry::start_transaction(sentry::TransactionContext::new("GET /", "http.server"));
    sentry::configure_scope(|scope| scope.set_span(Some(request.clone().into())));
    sampled_root("p-2", false).await.unwrap();
    request.finish();
    let sent = inbox.take();
    let [transaction] = &sent.transactions[..] else { panic!("{:#?}", sent.transactions) };
    assert_eq!((transaction.name.as_deref(), transaction.spans.len()), (Some("GET /"), 3));
}

/// The layers that a service which uses `sentry-tracing` has, as its documentation says.
fn sentry_tracing() -> Dispatch {
    let crumbs = tracing_subscriber::filter::filter_fn(|metadata| {
        matches!(*metadata.level(), tracing::Level::WARN | tracing::Level::INFO)
    });
    let layers = Registry::default()
        .with(sentry_tracing::SpanLayer::new().with_filter(LevelFilter::INFO))
        .with(sentry_tracing::BreadcrumbLayer::new().with_filter(crumbs))
        .with(sentry_tracing::ErrorLayer::new().with_filter(LevelFilter::ERROR));
    Dispatch::new(layers)
}

#[allow(deprecated, reason = "services still have the layer that 0.49 deprecates")]
fn legacy_sentry_tracing() -> Dispatch {
    Dispatch::new(Registry::default().with(sentry_tracing::layer()))
}

#[tokio::test(start_paused = true)]
async fn with_sentry_tracing_nothing_is_sent_twice() {
    for dispatch in [sentry_tracing(), legacy_sentry_tracing()] {
        let inbox = Inbox::of(sampled(1.0));
        let _guard = inbox.bind();
        let _subscriber = dispatcher::set_default(&dispatch);
        sampled_root("p-2", true).await.unwrap_err();
        let sent = inbox.take();
        let [transaction] = &sent.transactions[..] else { panic!("{:#?}", sent.transactions) };
        assert_eq!(transaction.name.as_deref(), Some("sampled_root"));
        assert_eq!(transaction.spans.len(), 2, "{:#?}", transaction.spans);
        let failures = sent.events.iter().filter(|event| !event.exception.is_empty());
        assert_eq!(failures.count(), 1);
        assert_eq!(sent.events.len(), 2);
        assert_eq!(processes(&sent.events), ["ships", "sampled_root"]);
        let Some(Context::Trace(trace)) = transaction.contexts.get("trace") else { panic!() };
        assert_eq!(trace_of(&sent.events[1]).trace_id, trace.trace_id);
    }
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
async fn with_sentry_tracing_a_panic_is_still_one_event() {
    let inbox = Inbox::with_defaults(sampled(1.0));
    let _guard = inbox.bind();
    let _subscriber = dispatcher::set_default(&sentry_tracing());
    run(How::Panic).await;
    let sent = inbox.take();
    assert_eq!((sent.events.len(), sent.transactions.len()), (1, 1));
    assert_eq!(tag(&sent.events[0], "process_id"), Some("charge"));
}

#[critical_process(id = "late_once", version = "1.0.0", sla = "10s", context(number))]
async fn late_once(number: u8, seconds: u64) {
    let _ = number;
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_process_is_one_warning_a_minute_while_it_still_runs() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    let late = async { tokio::join!(late_once(1, 40), late_once(2, 40), late_once(3, 5)) };
    let watched = async {
        sleep(Duration::from_secs(9)).await;
        assert!(inbox.events().is_empty());
        sleep(Duration::from_secs(2)).await;
        inbox.only_event()
    };
    let (_, event) = domain.run(async { tokio::join!(late, watched) }).await;
    assert_eq!(event.level, Level::Warning);
    assert_eq!(fingerprint(&event), ["late_once", "overdue"]);
    assert_eq!((tag(&event, "process_id"), tag(&event, "number")), (Some("late_once"), Some("1")));
    assert_eq!(in_block(&event, "late"), Some(&true.into()));
    assert!(event.message.unwrap().contains("late_once"));
    // The second was as late in the same minute, and neither end says more.
    assert!(inbox.events().is_empty());
    assert_eq!(domain.stats("late_once").unwrap().ended.late(), 2);
}

#[critical_process(id = "late_again", version = "1.0.0", sla = "10s")]
async fn late_again() {
    sleep(Duration::from_secs(45)).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_minute_a_late_process_is_a_warning_again() {
    let (inbox, _guard) = Inbox::bound();
    let domain = Domain::new();
    domain
        .run(async { while tokio::time::timeout(Duration::from_secs(1), late_again()).await.is_ok() {} })
        .await;
    for _ in 0..4 {
        domain.run(late_again()).await;
    }
    // Late at 11, 56, 101 and 146 s, of which the second and the fourth are within a minute of the one before.
    assert_eq!(inbox.events().len(), 2);
}

#[critical_process(id = "late_other", version = "1.0.0", sla = "10s")]
async fn late_other() -> Result<(), Unavailable> {
    sleep(Duration::from_secs(11)).await;
    Err(Unavailable)
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_is_a_warning_and_an_event() {
    let (inbox, _guard) = Inbox::bound();
    Domain::new().run(late_other()).await.unwrap_err();
    let events = inbox.events();
    let levels: Vec<_> = events.iter().map(|event| event.level).collect();
    assert_eq!(levels, [Level::Warning, Level::Error]);
    assert_eq!(in_block(&events[1], "late"), Some(&true.into()));
}

#[critical_process(id = "text_never", version = "1.0.0", sla = "10s", error_text = never)]
fn text_never(panics: bool) -> Result<(), ChargeError> {
    if panics { panic!("SECRET") } else { Err(declined()) }
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
        note("of nobody");
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

#[test]
fn a_client_that_runs_a_failing_process_itself_does_not_run_for_ever() {
    isolated("a_client_that_runs_a_failing_process_itself_does_not_run_for_ever", || {
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

#[tokio::test(start_paused = true)]
async fn opentelemetry_and_sentry_tracing_together_send_nothing_twice() {
    let inbox = Inbox::of(sampled(1.0));
    let _guard = inbox.bind();
    let traces = Traces::new();
    let layers = Registry::default()
        .with(traces.layer())
        .with(sentry_tracing::SpanLayer::new().with_filter(LevelFilter::INFO))
        .with(sentry_tracing::ErrorLayer::new().with_filter(LevelFilter::ERROR));
    let _subscriber = dispatcher::set_default(&Dispatch::new(layers));
    sampled_root("p-2", true).await.unwrap_err();
    let sent = inbox.take();
    assert_eq!((sent.transactions.len(), sent.events.len()), (1, 2));
    let span = traces.only("sampled_root").span_context;
    assert_eq!(trace_of(&sent.events[1]).trace_id.to_string(), span.trace_id().to_string());
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
async fn the_text_of_a_stages_error_that_is_never_told_is_not_told_by_its_process_either() {
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

#[critical_process(id = "tagged", version = "1.0.0", sla = "10s", context(long, later(rows)))]
async fn tagged(long: &str) {
    let _ = long;
    record!(rows = 3_u8);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_has_the_tags_that_an_event_would_have() {
    let inbox = Inbox::of(ClientOptions::new().traces_sample_rate(1.0).add_integration(Integration));
    let _hub = inbox.bind();
    Domain::new().run(tagged(&"long ".repeat(100))).await;
    Domain::new().run(tagged("short")).await;
    let transactions = inbox.take().transactions;
    let tag = |at: usize, name: &str| transactions[at].tags.get(name).map(String::as_str);
    assert_eq!((tag(0, "long"), tag(1, "long")), (None, Some("short")));
    assert_eq!((tag(0, "rows"), tag(0, "process_id")), (Some("3"), Some("tagged")));
}
