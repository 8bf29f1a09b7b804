//! The shape of a trace: stages, inner processes and spans of the body, and the context that they inherit.

use futures::future::join_all;
use process_runtime::context::{self, Scope};
use process_runtime::testing::Domain;
use process_runtime::{critical_process, record, stage};
use process_tests::capture::Capture;
use process_tests::isolated::isolated;
use process_tests::traces::{Traces, attribute, is_child};
use tokio::task::yield_now;
use tracing::{Level, dispatcher};

use super::{How, audit_trail, settle, settle_again};

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
    // Later runs do not inherit the context of a stage.
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
async fn spans_of_the_body_are_between_a_run_and_the_runs_inside() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    with_own_span().await;
    assert!(is_child(&traces.only("own"), &traces.only("with_own_span")));
    assert!(is_child(&traces.only("settle_again"), &traces.only("own")));
}

/// Names must be declared before the first run of a program, so this test runs in a process of its own.
#[test]
fn a_scope_around_a_run_gives_it_context() {
    isolated(|| {
        context::declare(["request_id"]);
        let (capture, _guard) = Capture::installed();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let scope = Scope::new().set("request_id", "r-1").set("batch", "of the scope");
        runtime.block_on(scope.in_scope(settle("of the run", How::Succeed))).unwrap();
        for name in ["settle", "settle.debit", "settle.audit_trail", "transfer"] {
            assert_eq!(capture.only(name).field("request_id"), Some("r-1"), "{name}");
            // The value of the nearer scope is used.
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
