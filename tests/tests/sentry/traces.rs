//! Trace ids and transactions: Sentry's own, OpenTelemetry's, and both together with `sentry-tracing`.

use std::panic::catch_unwind;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use process_runtime::sentry::Integration;
use process_runtime::testing::Domain;
use process_runtime::{critical_process, record};
use process_tests::events::{Inbox, tag};
use process_tests::traces::Traces;
use sentry::protocol::{Context, Event, SpanStatus, TraceContext};
use sentry::{ClientOptions, Level};
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use super::{How, Unavailable, processes, run, sampled, sentry_tracing, ships};

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
    // Events that are sent inside of the run belong to the same trace.
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
async fn with_sentry_tracing_a_panic_is_still_one_event() {
    let inbox = Inbox::with_defaults(sampled(1.0));
    let _guard = inbox.bind();
    let _subscriber = dispatcher::set_default(&sentry_tracing());
    run(How::Panic).await;
    let sent = inbox.take();
    assert_eq!((sent.events.len(), sent.transactions.len()), (1, 1));
    assert_eq!(tag(&sent.events[0], "process_id"), Some("charge"));
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
