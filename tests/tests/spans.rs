//! What a run tells `tracing`, and through it an OpenTelemetry backend.

use std::collections::BTreeSet;
use std::error::Error;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, Status};
use process_runtime::context::{self, Scope};
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Install, Outcome, critical_process, record, registry, stage};
use process_tests::capture::Capture;
use process_tests::isolated::{eventually, isolated};
use process_tests::traces::{Traces, attribute, is_child};
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::{Dispatch, Level, dispatcher};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt as _};
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
enum Trouble {
    #[error("the caller's mistake")]
    Yours,
    #[error("our mistake")]
    Ours,
}

fn is_fallback(how: &How) -> bool {
    matches!(how, How::FallBack)
}

async fn act(how: How) -> Result<How, Trouble> {
    yield_now().await;
    match how {
        How::Succeed | How::FallBack => Ok(how),
        How::Reject => Err(Trouble::Yours),
        How::Fail => Err(Trouble::Ours),
        How::Panic => panic!("on demand"),
        How::Hang => pending().await,
    }
}

#[critical_process(
    id = "transfer",
    version = "2.1.0",
    sla = "10s",
    criticality = critical,
    rejects(Trouble::Yours),
    degraded = is_fallback,
    context(account, amount = cents * 2, is_large = cents > 100),
)]
async fn transfer(account: &str, cents: u64, how: How) -> Result<How, Trouble> {
    let _ = account;
    act(how).await
}

async fn run(how: How) {
    let domain = Domain::new();
    let mut future = Box::pin(AssertUnwindSafe(domain.run(transfer("a-1", 60, how))).catch_unwind());
    match how {
        How::Hang => assert!(futures::poll!(future.as_mut()).is_pending()),
        _ => drop(future.await),
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_a_span_with_every_attribute() {
    let (capture, _guard) = Capture::installed();
    run(How::Succeed).await;
    let span = capture.only("transfer");
    assert_eq!((span.target.as_str(), span.level, span.parent), ("critical_process", Level::INFO, None));
    let expected = [
        ("account", "a-1"),
        ("amount", "120"),
        ("code.function.name", "spans::transfer"),
        ("critical_process.criticality", "critical"),
        ("critical_process.id", "transfer"),
        ("critical_process.late", "false"),
        ("critical_process.outcome", "success"),
        ("critical_process.version", "2.1.0"),
        ("is_large", "false"),
    ];
    let fields: Vec<_> = span.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, expected);
    assert!(span.closed);
    assert!(span.events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_outcome_is_on_its_span_and_the_status_is_error_for_failure_and_panic_alone() {
    let trouble = std::any::type_name::<Trouble>();
    for (how, outcome, error_type, status) in [
        (How::Succeed, "success", None, None),
        (How::FallBack, "degraded", None, None),
        (How::Reject, "rejected", Some(trouble), None),
        (How::Fail, "failure", Some(trouble), Some("ERROR")),
        (How::Panic, "panic", Some("panic"), Some("ERROR")),
        (How::Hang, "cancelled", None, None),
    ] {
        let (capture, _guard) = Capture::installed();
        run(how).await;
        let span = capture.only("transfer");
        assert_eq!(span.field("critical_process.outcome"), Some(outcome));
        assert_eq!(span.field("critical_process.late"), Some("false"), "{how:?}");
        assert_eq!(span.field("error.type"), error_type, "{how:?}");
        assert_eq!(span.field("otel.status_code"), status, "{how:?}");
        assert!(span.closed, "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exported_span_has_the_same_attributes_with_their_types_and_its_status() {
    for (how, outcome, is_error) in [
        (How::Succeed, "success", false),
        (How::FallBack, "degraded", false),
        (How::Reject, "rejected", false),
        (How::Fail, "failure", true),
        (How::Panic, "panic", true),
        (How::Hang, "cancelled", false),
    ] {
        let traces = Traces::new();
        let _guard = dispatcher::set_default(&traces.dispatch());
        run(how).await;
        let span = traces.only("transfer");
        let text = |name: &str| attribute(&span, name).map(|value| value.as_str().into_owned());
        assert_eq!(text("critical_process.outcome").as_deref(), Some(outcome));
        assert_eq!(text("critical_process.id").as_deref(), Some("transfer"));
        assert_eq!(text("critical_process.version").as_deref(), Some("2.1.0"));
        assert_eq!(text("code.function.name").as_deref(), Some("spans::transfer"));
        assert_eq!(text("code.file.path").as_deref(), Some(file!()));
        assert_eq!(attribute(&span, "critical_process.late"), Some(Value::Bool(false)));
        assert_eq!(attribute(&span, "is_large"), Some(Value::Bool(false)));
        let keys: BTreeSet<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert_eq!(keys.len(), span.attributes.len(), "an attribute is there twice: {:?}", span.attributes);
        // A failure's text is not the attribute's to tell.
        let expected = if is_error { Status::error("") } else { Status::Unset };
        assert_eq!(span.status, expected, "{how:?}");
        assert!(span.events.is_empty(), "{how:?}: {:?}", span.events);
        assert_eq!(span.parent_span_id, SpanId::INVALID);
    }
}

#[tokio::test(start_paused = true)]
async fn unsigned_numbers_are_exported_as_numbers() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    run(How::Succeed).await;
    let span = traces.only("transfer");
    assert_eq!(attribute(&span, "amount"), Some(Value::I64(120)));
    let line = i64::from(registry::get("transfer").unwrap().line());
    assert_eq!(attribute(&span, "code.line.number"), Some(Value::I64(line)));
}

#[stage(id = "debit", process = "settle", sla = "2s", context(leg))]
async fn debit(leg: u8, how: How) -> Result<How, Trouble> {
    let _ = leg;
    act(how).await
}

#[stage(id = "audit_trail")]
fn audit_trail() {
    tracing::info!(target: "business", "written");
}

#[critical_process(id = "settle", version = "1.0.0", sla = "10s", context(batch))]
async fn settle(batch: &str, how: How) -> Result<(), Trouble> {
    let _ = batch;
    debit(1, how).await?;
    audit_trail();
    transfer("a-2", 1, How::Succeed).await?;
    Ok(())
}

#[critical_process(id = "settle_again", version = "1.0.0", sla = "10s")]
fn settle_again() {
    audit_trail();
}

#[tokio::test(start_paused = true)]
async fn stages_and_inner_processes_are_children_and_inherit_the_context() {
    let (capture, _guard) = Capture::installed();
    Domain::new().run(settle("b-7", How::Succeed)).await.unwrap();
    let stage = capture.only("settle.debit");
    assert_eq!(
        (stage.parent, stage.target.as_str(), stage.level),
        (Some("settle"), "critical_process", Level::INFO)
    );
    for (name, value) in [
        ("critical_process.stage", "debit"),
        ("critical_process.id", "settle"),
        ("critical_process.version", "1.0.0"),
        ("critical_process.outcome", "success"),
        ("critical_process.late", "false"),
        ("batch", "b-7"),
        ("leg", "1"),
    ] {
        assert_eq!(stage.field(name), Some(value), "{name}");
    }
    let shared = capture.only("settle.audit_trail");
    assert_eq!((shared.parent, shared.field("batch")), (Some("settle"), Some("b-7")));
    assert_eq!(shared.events[0].1["message"], "written");
    let inner = capture.only("transfer");
    assert_eq!((inner.parent, inner.field("batch")), (Some("settle"), Some("b-7")));
    // What a stage named is no concern of what comes after it.
    assert_eq!((inner.field("leg"), inner.field("critical_process.stage")), (None, None));
    assert_eq!(capture.only("settle").field("critical_process.stage"), None);
}

#[critical_process(id = "counted", version = "1.0.0", sla = "1s", context(answer = count()))]
fn counted(count: impl Fn() -> u64) {
    let _ = &count;
}

#[critical_process(id = "counting", version = "1.0.0", sla = "1s", context(later(counts)))]
fn counting() {
    counted(|| {
        record!(counts = 7);
        5
    });
}

#[test]
fn what_an_expression_records_on_the_run_around_it_is_inherited() {
    let (capture, _guard) = Capture::installed();
    counting();
    let inner = capture.only("counted");
    assert_eq!((inner.field("answer"), inner.field("counts")), (Some("5"), Some("7")));
    assert_eq!(capture.only("counting").field("counts"), Some("7"));
}

#[test]
fn a_shared_stage_is_named_by_the_run_around_it() {
    let (capture, _guard) = Capture::installed();
    settle_again();
    audit_trail();
    let within = capture.only("settle_again.audit_trail");
    assert_eq!(within.field("critical_process.id"), Some("settle_again"));
    let alone = capture.only("audit_trail");
    assert_eq!((alone.parent, alone.field("critical_process.id")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_failed_stage_is_an_error_on_its_own_span() {
    let (capture, _guard) = Capture::installed();
    Domain::new().run(settle("b-8", How::Fail)).await.unwrap_err();
    for name in ["settle.debit", "settle"] {
        let span = capture.only(name);
        assert_eq!(span.field("otel.status_code"), Some("ERROR"), "{name}");
        assert_eq!(span.field("error.type"), Some(std::any::type_name::<Trouble>()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exported_trace_has_the_shape_of_the_calls_and_the_context_of_its_root() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    Domain::new().run(settle("b-9", How::Succeed)).await.unwrap();
    let root = traces.only("settle");
    for name in ["settle.debit", "settle.audit_trail", "transfer"] {
        let child = traces.only(name);
        assert!(is_child(&child, &root), "{name}");
        assert_eq!(attribute(&child, "batch"), Some("b-9".into()), "{name}");
    }
}

#[critical_process(id = "with_own_span", version = "1.0.0", sla = "10s")]
async fn with_own_span() {
    let span = tracing::info_span!(target: "business", "own");
    let _entered = span.enter();
    settle_again();
}

#[tokio::test(start_paused = true)]
async fn spans_of_the_body_stand_between_a_run_and_the_runs_inside() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    with_own_span().await;
    assert!(is_child(&traces.only("own"), &traces.only("with_own_span")));
    assert!(is_child(&traces.only("settle_again"), &traces.only("own")));
}

/// Names are declared before the first run, so this test has a process of its own.
#[test]
fn a_scope_around_a_run_gives_it_context() {
    isolated("a_scope_around_a_run_gives_it_context", || {
        context::declare(["request_id"]);
        let (capture, _guard) = Capture::installed();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let scope = Scope::new().set("request_id", "r-1").set("batch", "of the scope");
        runtime.block_on(scope.in_scope(settle("of the run", How::Succeed))).unwrap();
        for name in ["settle", "settle.debit", "settle.audit_trail", "transfer"] {
            assert_eq!(capture.only(name).field("request_id"), Some("r-1"), "{name}");
            // What is nearer wins.
            assert_eq!(capture.only(name).field("batch"), Some("of the run"), "{name}");
        }
    });
}

#[critical_process(id = "tenant_root", version = "1.0.0", sla = "10s", context(tenant))]
async fn tenant_root(tenant: usize) {
    for _ in 0..tenant % 5 {
        yield_now().await;
    }
    tenant_leaf(tenant).await;
}

#[critical_process(id = "tenant_leaf", version = "1.0.0", sla = "10s", context(inherit(tenant), leaf = called_by))]
async fn tenant_leaf(called_by: usize) {
    yield_now().await;
    tenant_stage(called_by).await;
}

#[stage(id = "last", process = "tenant_leaf", context(called_by))]
async fn tenant_stage(called_by: usize) {
    let _ = called_by;
    yield_now().await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_runs_in_a_join_never_see_each_others_context() {
    let (capture, _guard) = Capture::installed();
    Domain::new().run(join_all((0..100).map(tenant_root))).await;
    let spans = capture.spans();
    assert_eq!(spans.len(), 300);
    for span in &spans {
        let tenant = span.field("tenant").unwrap();
        match span.name {
            "tenant_root" => assert_eq!(span.parent_at, None),
            "tenant_leaf" => assert_eq!(span.field("leaf"), Some(tenant)),
            _ => assert_eq!(span.field("called_by"), Some(tenant)),
        }
        if let Some(parent) = span.parent_at {
            assert_eq!(spans[parent].field("tenant"), Some(tenant));
        }
    }
}

#[critical_process(id = "carrying", version = "1.0.0", sla = "10s", context(order))]
async fn carrying(order: i64) -> Carrier {
    let _ = order;
    yield_now().await;
    tokio::spawn(Carrier::current().carry(carried("task"))).await.unwrap();
    let carrier = Carrier::current();
    std::thread::spawn(move || carrier.run(|| carried("thread").now_or_never())).join().unwrap();
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        let (carrier, way): (Carrier, _) = receiver.recv().unwrap();
        carrier.run(|| carried(way).now_or_never());
    });
    sender.send((Carrier::current(), "channel")).unwrap();
    worker.join().unwrap();
    Carrier::current()
}

#[critical_process(id = "carried", version = "1.0.0", sla = "10s", context(way))]
async fn carried(way: &'static str) {
    let _ = way;
}

/// Threads have no scoped subscriber of their own, so this process has a global one.
fn carried_over(test: &str, check: fn(&Traces)) {
    isolated(test, || {
        let traces = Traces::new();
        dispatcher::set_global_default(traces.dispatch()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let carrier = runtime.block_on(carrying(7));
        runtime.block_on(runtime.spawn(carrier.carry(carried("afterwards")))).unwrap();
        check(&traces);
    });
}

#[test]
fn a_carrier_takes_trace_and_context_across_task_thread_and_channel() {
    carried_over("a_carrier_takes_trace_and_context_across_task_thread_and_channel", |traces| {
        let root = traces.only("carrying");
        for way in ["task", "thread", "channel"] {
            let spans = traces.spans();
            let is_it = |span: &&_| attribute(span, "way") == Some(way.into());
            let child = spans.iter().find(is_it).unwrap();
            assert!(is_child(child, &root), "{way}");
            assert_eq!(attribute(child, "order"), Some(Value::I64(7)), "{way}");
        }
    });
}

#[test]
fn a_carrier_that_outlives_its_run_is_still_part_of_the_trace() {
    carried_over("a_carrier_that_outlives_its_run_is_still_part_of_the_trace", |traces| {
        let root = traces.only("carrying");
        let spans = traces.spans();
        let child = spans.iter().find(|span| attribute(span, "way") == Some("afterwards".into())).unwrap();
        assert_eq!(attribute(child, "order"), Some(Value::I64(7)));
        assert!(is_child(child, &root), "{child:#?}");
    });
}

#[test]
fn a_carrier_does_not_keep_the_span_of_its_run_open() {
    let (capture, _guard) = Capture::installed();
    let mut carrier = None;
    Carry { into: &mut carrier }.hold();
    assert!(carrier.is_some());
    assert!(capture.only("holding").closed);
}

struct Carry<'a> {
    into: &'a mut Option<Carrier>,
}

impl Carry<'_> {
    #[critical_process(id = "holding", version = "1.0.0", sla = "10s")]
    fn hold(&mut self) {
        *self.into = Some(Carrier::current());
    }
}

#[critical_process(id = "slow", version = "1.0.0", sla = "10s", owner = "billing", runbook = "docs/slow.md")]
async fn slow(takes: Duration) {
    sleep(takes).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_run_has_one_event_in_its_span_while_it_still_runs() {
    let (capture, _guard) = Capture::installed();
    let domain = Domain::new();
    let watched = async {
        sleep(Duration::from_secs(9)).await;
        assert!(capture.only("slow").events.is_empty());
        sleep(Duration::from_secs(2)).await;
        let span = capture.only("slow");
        assert!(!span.closed);
        let [(level, fields)] = &span.events[..] else { panic!("{span:#?}") };
        assert_eq!(*level, Level::WARN);
        assert_eq!(fields["critical_process.id"], "slow");
        assert_eq!(fields["sla_s"], "10.0");
        assert_eq!((&*fields["owner"], &*fields["runbook"]), ("billing", "docs/slow.md"));
        let elapsed: f64 = fields["elapsed_s"].parse().unwrap();
        assert!((10.0..11.0).contains(&elapsed), "{elapsed}");
    };
    domain.run(async { tokio::join!(slow(Duration::from_secs(25)), watched) }).await;
    let span = capture.only("slow");
    assert_eq!(span.events.len(), 1);
    assert_eq!(span.field("critical_process.late"), Some("true"));
    // Late is not an error.
    assert_eq!(
        (span.field("critical_process.outcome"), span.field("otel.status_code")),
        (Some("success"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_on_time_has_no_event() {
    let (capture, _guard) = Capture::installed();
    Domain::new().run(slow(Duration::from_secs(9))).await;
    let span = capture.only("slow");
    assert!(span.events.is_empty());
    assert_eq!(span.field("critical_process.late"), Some("false"));
}

#[critical_process(id = "hung", version = "1.0.0", sla = "1ms")]
fn hung(capture: &Capture) {
    eventually("an event in the span of a hung run", || capture.only("hung").events.len() == 1);
    // Told, and not told again, while the watchdog goes on.
    assert_eq!(registry::stats("hung").unwrap().overdue, 1);
}

#[test]
fn the_watchdog_goes_on_for_as_long_as_an_installation_does() {
    isolated("the_watchdog_goes_on_for_as_long_as_an_installation_does", || {
        let (first, second) = (Install::new().start(), Install::new().start());
        second.stop();
        second.stop();
        let (capture, _guard) = Capture::installed();
        hung(&capture);
        first.stop();
    });
}

#[test]
fn the_watchdog_tells_of_a_hung_run_from_its_own_thread() {
    isolated("the_watchdog_tells_of_a_hung_run_from_its_own_thread", || {
        let installation = Install::new().start();
        let (capture, _guard) = Capture::installed();
        hung(&capture);
        let span = capture.only("hung");
        assert_eq!(span.events.len(), 1);
        assert_eq!((span.field("critical_process.late"), span.closed), (Some("true"), true));
        assert_eq!(registry::stats("hung").unwrap().overdue, 0);
        installation.stop();
    });
}

#[critical_process(id = "filtered", version = "1.0.0", sla = "10s", context(key))]
fn filtered(key: &str) -> usize {
    tracing::info!(target: "business", "inside");
    tracing::info_span!(target: "business", "own").in_scope(|| key.len())
}

#[test]
fn a_subscriber_that_filters_the_target_away_costs_the_body_nothing_else() {
    let capture = Capture::new();
    let filter = EnvFilter::new("info,critical_process=off");
    let dispatch = Dispatch::new(Registry::default().with(filter).with(capture.clone()));
    let result = dispatcher::with_default(&dispatch, || filtered("four"));
    assert_eq!(result, 4);
    assert!(capture.named("filtered").is_empty());
    assert_eq!(capture.only("own").parent, None);
    assert_eq!(capture.loose_events().len(), 1);
    // The next subscriber of the same thread is asked anew.
    let (capture, _guard) = Capture::installed();
    filtered("four");
    assert_eq!(capture.only("own").parent, Some("filtered"));
}

#[test]
fn install_reports_spans_that_a_filter_drops() {
    let test = "install_reports_spans_that_a_filter_drops";
    let stderr = isolated(test, || {
        let subscriber =
            Registry::default().with(EnvFilter::new("critical_process=warn")).with(Capture::new());
        dispatcher::set_global_default(Dispatch::new(subscriber)).unwrap();
        let installation = Install::new().start();
        let is_it = |line: &String| line.contains("filtered") && line.contains("critical_process=info");
        assert!(installation.report().iter().any(is_it), "{:#?}", installation.report());
        installation.stop();
    });
    if let Some(stderr) = stderr {
        assert_eq!(stderr.matches("the subscriber's filter drops").count(), 1, "{stderr}");
    }
}

#[test]
fn a_scoped_subscriber_hears_of_its_scope_alone_and_the_global_one_of_the_rest() {
    let test = "a_scoped_subscriber_hears_of_its_scope_alone_and_the_global_one_of_the_rest";
    isolated(test, || {
        // Before there is any subscriber at all.
        settle_again();
        let (global, scoped) = (Capture::new(), Capture::new());
        dispatcher::set_global_default(global.dispatch()).unwrap();
        dispatcher::with_default(&scoped.dispatch(), settle_again);
        assert_eq!((scoped.spans().len(), global.spans().len()), (2, 0));
        settle_again();
        std::thread::spawn(settle_again).join().unwrap();
        assert_eq!((scoped.spans().len(), global.spans().len()), (2, 4));
        // A run ends where it began, whoever polls it.
        let mut run = Box::pin(transfer("a-3", 1, How::Succeed));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = dispatcher::with_default(&scoped.dispatch(), || run.as_mut().poll(&mut context));
        assert!(polled.is_pending());
        assert!(run.as_mut().poll(&mut context).is_ready());
        assert_eq!(scoped.only("transfer").field("critical_process.outcome"), Some("success"));
        assert!(global.named("transfer").is_empty());
    });
}

#[critical_process(
    id = "ranked",
    version = "1.0.0",
    sla = "10s",
    context(later(model_count), later(share), later(best), later(how), later(done))
)]
async fn ranked() {
    record!(model_count = 3_usize);
    yield_now().await;
    record!(share = 0.25, best = %"gpt", how = ?How::Succeed, done = true);
    record!(model_count = 4_usize);
    settle_again();
}

#[tokio::test(start_paused = true)]
async fn what_a_run_records_later_is_on_its_span_and_on_those_it_opens_afterwards() {
    let traces = Traces::new();
    let capture = Capture::new();
    let both = Registry::default().with(traces.layer()).with(capture.clone());
    let _guard = dispatcher::set_default(&Dispatch::new(both));
    ranked().await;
    for name in ["ranked", "settle_again"] {
        let span = capture.only(name);
        for (key, value) in
            [("model_count", "4"), ("share", "0.25"), ("best", "gpt"), ("how", "Succeed"), ("done", "true")]
        {
            assert_eq!(span.field(key), Some(value), "{name}: {key}");
        }
        let exported = traces.only(name);
        assert_eq!(attribute(&exported, "share"), Some(Value::F64(0.25)), "{name}");
        assert_eq!(attribute(&exported, "done"), Some(Value::Bool(true)), "{name}");
    }
}

#[derive(Debug, thiserror::Error)]
#[error("SECRET-{0}")]
struct Secret(u32);

#[critical_process(id = "text_everywhere", version = "1.0.0", sla = "10s", error_text = everywhere)]
fn text_everywhere(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[critical_process(id = "text_sentry", version = "1.0.0", sla = "10s", error_text = sentry)]
fn text_sentry(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[critical_process(id = "text_never", version = "1.0.0", sla = "10s", error_text = never)]
fn text_never(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[critical_process(id = "text_default", version = "1.0.0", sla = "10s")]
fn text_default(panics: bool) -> Result<(), Secret> {
    if panics { panic!("SECRET-panic") } else { Err(Secret(1)) }
}

#[test]
fn error_text_is_on_the_span_only_where_it_may_go_everywhere() {
    let (capture, _guard) = Capture::installed();
    for process in [text_everywhere, text_sentry, text_never, text_default] {
        process(false).unwrap_err();
        catch_unwind(|| process(true)).unwrap_err();
    }
    let texts: Vec<_> = capture
        .named("text_everywhere")
        .iter()
        .map(|span| span.fields["exception.message"].clone())
        .collect();
    assert_eq!(texts, ["SECRET-1", "SECRET-panic"]);
    for name in ["text_sentry", "text_never", "text_default"] {
        let spans = capture.named(name);
        assert_eq!(spans.len(), 2);
        assert!(!format!("{spans:?}").contains("SECRET"), "{spans:#?}");
    }
}

#[critical_process(id = "boxed_error", version = "1.0.0", sla = "10s")]
fn boxed_error() -> Result<(), Box<dyn Error + Send + Sync>> {
    Err("text".into())
}

#[critical_process(id = "any_error", version = "1.0.0", sla = "10s")]
fn any_error() -> anyhow::Result<()> {
    Err(anyhow::Error::new(Trouble::Ours).context("while it mattered"))
}

#[critical_process(id = "text_error", version = "1.0.0", sla = "10s")]
fn text_error() -> Result<(), String> {
    Err("text".to_owned())
}

#[critical_process(id = "no_result", version = "1.0.0", sla = "10s", fails(None))]
fn no_result() -> Option<u8> {
    None
}

#[test]
fn an_error_type_is_the_name_of_the_type_unless_said_otherwise() {
    let (capture, _guard) = Capture::installed();
    let _ = boxed_error();
    let _ = any_error();
    let _ = text_error();
    let _ = no_result();
    for (name, error_type) in [
        ("boxed_error", std::any::type_name::<Box<dyn Error + Send + Sync>>()),
        ("any_error", std::any::type_name::<anyhow::Error>()),
        ("text_error", std::any::type_name::<String>()),
        ("no_result", "_OTHER"),
    ] {
        assert_eq!(capture.only(name).field("error.type"), Some(error_type));
    }
}

const KINDS: [&str; 40] = [
    "e00", "e01", "e02", "e03", "e04", "e05", "e06", "e07", "e08", "e09", "e10", "e11", "e12", "e13", "e14",
    "e15", "e16", "e17", "e18", "e19", "e20", "e21", "e22", "e23", "e24", "e25", "e26", "e27", "e28", "e29",
    "e30", "e31", "e32", "e33", "e34", "e35", "e36", "e37", "e38", "e39",
];

#[critical_process(id = "many_kinds", version = "1.0.0", sla = "10s", error_type = kind_of)]
fn many_kinds(kind: usize) -> Result<(), usize> {
    Err(kind)
}

fn kind_of(kind: &usize) -> &'static str {
    KINDS[*kind]
}

#[tokio::test(start_paused = true)]
async fn past_32_error_types_a_process_says_other() {
    let (capture, _guard) = Capture::installed();
    Domain::new().call(|| {
        for kind in 0..KINDS.len() {
            let _ = many_kinds(kind);
        }
        // The first are still told apart.
        let _ = many_kinds(3);
    });
    let spans = capture.named("many_kinds");
    let types: Vec<_> = spans.iter().map(|span| span.field("error.type").unwrap()).collect();
    assert_eq!(types[..32], KINDS[..32]);
    assert_eq!(types[32..40], ["_OTHER"; 8]);
    assert_eq!(types[40], "e03");
}

#[test]
fn a_switched_off_process_has_no_span() {
    isolated("a_switched_off_process_has_no_span", || {
        let (capture, _guard) = Capture::installed();
        process_runtime::disable();
        settle_again();
        assert!(capture.spans().is_empty());
        process_runtime::enable();
        settle_again();
        assert_eq!(capture.spans().len(), 2);
    });
}

#[critical_process(id = "many_polls", version = "1.0.0", sla = "10s")]
async fn many_polls() {
    for _ in 0..10 {
        yield_now().await;
        tracing::info!(target: "business", "awake");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_run_that_wanders_between_threads_keeps_its_span() {
    let (capture, _guard) = Capture::installed();
    let dispatch = capture.dispatch();
    let runs = (0..50).map(|_| {
        let dispatch = dispatch.clone();
        let mut run = Box::pin(many_polls());
        // Each poll has the test's subscriber, on whatever thread it happens.
        tokio::spawn(std::future::poll_fn(move |cx| {
            dispatcher::with_default(&dispatch, || run.as_mut().poll(cx))
        }))
    });
    join_all(runs).await;
    let spans = capture.named("many_polls");
    assert_eq!(spans.len(), 50);
    assert!(spans.iter().all(|span| span.events.len() == 10 && span.closed));
}

/// A layer that panics in one of its methods, for the spans of this crate.
struct Broken(&'static str);

impl Broken {
    fn at(&self, method: &str) {
        if self.0 == method {
            panic!("of the subscriber: {method}");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Broken {
    fn enabled(&self, _: &tracing::Metadata<'_>, _: LayerContext<'_, S>) -> bool {
        self.at("enabled");
        true
    }

    fn on_new_span(&self, _: &tracing::span::Attributes<'_>, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at("new_span");
    }

    fn on_record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>, _: LayerContext<'_, S>) {
        self.at("record");
    }

    fn on_enter(&self, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at("enter");
    }

    fn on_exit(&self, _: &tracing::Id, _: LayerContext<'_, S>) {
        self.at("exit");
    }

    fn on_close(&self, _: tracing::Id, _: LayerContext<'_, S>) {
        self.at("close");
    }
}

fn survives(method: &'static str) {
    let dispatch = Dispatch::new(Registry::default().with(Broken(method)));
    let result = dispatcher::with_default(&dispatch, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let domain = Domain::new();
            let result = domain.run(transfer("a-1", 60, How::Succeed)).await;
            let ended = domain.stats("transfer").unwrap().ended;
            assert_eq!((ended.total(), ended.with(Outcome::Success)), (1, 1), "{method}");
            result
        })
    });
    assert!(matches!(result, Ok(How::Succeed)), "{method}");
}

#[test]
fn a_subscriber_that_panics_when_it_is_told_of_a_span_does_not_harm_the_run() {
    let test = "a_subscriber_that_panics_when_it_is_told_of_a_span_does_not_harm_the_run";
    isolated(test, || ["new_span", "record", "close"].into_iter().for_each(survives));
}

#[test]
fn a_subscriber_that_panics_when_it_is_asked_for_a_span_does_not_harm_the_run() {
    let test = "a_subscriber_that_panics_when_it_is_asked_for_a_span_does_not_harm_the_run";
    isolated(test, || ["enabled"].into_iter().for_each(survives));
}

#[test]
fn a_subscriber_that_panics_when_a_span_is_entered_or_left_does_not_harm_the_run() {
    let test = "a_subscriber_that_panics_when_a_span_is_entered_or_left_does_not_harm_the_run";
    isolated(test, || ["enter", "exit"].into_iter().for_each(survives));
}

#[critical_process(id = "odd_panic", version = "1.0.0", sla = "10s", error_text = everywhere)]
fn odd_panic() {
    std::panic::panic_any(42_u8);
}

#[test]
fn a_panic_with_no_text_is_a_panic_all_the_same_and_arrives_unchanged() {
    let (capture, _guard) = Capture::installed();
    let payload = catch_unwind(odd_panic).unwrap_err();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&42));
    let span = capture.only("odd_panic");
    assert_eq!(span.field("error.type"), Some("panic"));
    assert_eq!(span.field("exception.message"), None);
}

#[stage(id = "shared_leg", context(leg))]
async fn shared_leg(leg: u8) {
    let _ = leg;
}

#[critical_process(id = "journey", version = "1.0.0", sla = "2s", context(leg = 0))]
async fn journey() {
    shared_leg(1).await;
    first_leg().await;
}

#[stage(id = "first_leg", process = "journey")]
async fn first_leg() {}

#[test]
fn a_describing_tracer_exports_the_same_attributes_and_takes_them_off_the_fields() {
    isolated("a_describing_tracer_exports_the_same_attributes_and_takes_them_off_the_fields", || {
        let traces = Traces::new();
        let (capture, described) = (Capture::new(), traces.described());
        dispatcher::with_default(&described, || {
            journey().now_or_never().unwrap();
            tracing::info_span!("somebody_elses").in_scope(|| ());
        });
        let spans = [
            ("journey", None, "spans::journey"),
            ("journey.shared_leg", Some("shared_leg"), "spans::shared_leg"),
            ("journey.first_leg", Some("first_leg"), "spans::first_leg"),
        ];
        for (name, stage, function) in spans {
            let span = traces.only(name);
            let text = |name: &str| attribute(&span, name).map(|value| value.as_str().into_owned());
            assert_eq!(text("critical_process.id").as_deref(), Some("journey"));
            assert_eq!(text("critical_process.version").as_deref(), Some("1.0.0"));
            assert_eq!(text("critical_process.criticality").as_deref(), Some("high"));
            assert_eq!(text("critical_process.stage").as_deref(), stage);
            assert_eq!(text("code.function.name").as_deref(), Some(function));
            assert_eq!(text("critical_process.outcome").as_deref(), Some("success"));
            let keys: BTreeSet<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
            assert_eq!(
                keys.len(),
                span.attributes.len(),
                "an attribute is there twice: {:?}",
                span.attributes
            );
        }
        assert_eq!(attribute(&traces.only("somebody_elses"), "critical_process.id"), None);
        dispatcher::with_default(&capture.dispatch(), || journey().now_or_never().unwrap());
        assert_eq!(capture.only("journey").field("critical_process.id"), None);
        assert_eq!(capture.only("journey").field("critical_process.outcome"), Some("success"));
    });
}
