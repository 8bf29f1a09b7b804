//! The attributes and the status of a span, in `tracing` and as exported.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use opentelemetry::Value;
use opentelemetry::trace::{SpanId, Status};
use process_runtime::{critical_process, record, registry, stage};
use process_tests::capture::Capture;
use process_tests::isolated::isolated;
use process_tests::traces::{Traces, attribute};
use tokio::task::yield_now;
use tracing::{Dispatch, Level, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;

use super::{HERE, How, Trouble, run, settle_again};

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
        assert_eq!(text("code.file.path").as_deref(), Some(HERE));
        assert_eq!(attribute(&span, "critical_process.late"), Some(Value::Bool(false)));
        assert_eq!(attribute(&span, "is_large"), Some(Value::Bool(false)));
        let keys: BTreeSet<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert_eq!(keys.len(), span.attributes.len(), "an attribute is there twice: {:?}", span.attributes);
        // The text of a failure is not in the status.
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
    isolated(|| {
        let traces = Traces::new();
        let (capture, described) = (Capture::new(), traces.described());
        dispatcher::with_default(&described, || {
            journey().now_or_never().unwrap();
            tracing::info_span!("somebody_elses").in_scope(|| ());
        });
        let spans = [
            ("journey", None, "spans::attributes::journey"),
            ("journey.shared_leg", Some("shared_leg"), "spans::attributes::shared_leg"),
            ("journey.first_leg", Some("first_leg"), "spans::attributes::first_leg"),
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
