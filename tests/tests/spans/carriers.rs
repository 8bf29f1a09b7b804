//! Runs in tasks, threads and channels, and between the threads of a runtime.

use std::sync::mpsc;

use futures::FutureExt as _;
use futures::future::join_all;
use opentelemetry::Value;
use process_runtime::{Carrier, critical_process};
use process_tests::capture::Capture;
use process_tests::isolated::isolated;
use process_tests::traces::{Traces, attribute, is_child};
use tokio::task::yield_now;
use tracing::dispatcher;

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

/// Executes a run that carries its context to other threads, and returns the traces. A scoped subscriber does not
/// apply to other threads, so this function sets the global one, and a test that calls it must run in a process of
/// its own.
fn carried_over() -> Traces {
    let traces = Traces::new();
    dispatcher::set_global_default(traces.dispatch()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let carrier = runtime.block_on(carrying(7));
    runtime.block_on(runtime.spawn(carrier.carry(carried("afterwards")))).unwrap();
    traces
}

#[test]
fn a_carrier_takes_trace_and_context_across_task_thread_and_channel() {
    isolated(|| {
        let traces = carried_over();
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
    isolated(|| {
        let traces = carried_over();
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
        // Each poll uses the subscriber of the test, on any thread.
        tokio::spawn(std::future::poll_fn(move |cx| {
            dispatcher::with_default(&dispatch, || run.as_mut().poll(cx))
        }))
    });
    join_all(runs).await;
    let spans = capture.named("many_polls");
    assert_eq!(spans.len(), 50);
    assert!(spans.iter().all(|span| span.events.len() == 10 && span.closed));
}
