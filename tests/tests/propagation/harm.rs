//! Code that panics around a request: a propagator, a subscriber, a predicate, a handler, a body. None of it changes
//! the response, except for the handler.

use std::any::Any;
use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use futures::FutureExt as _;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context as OtelContext, global};
use process_runtime::propagation::{self, PropagationLayer, layer};
use process_runtime::{Install, Outcome, critical_process, registry};
use process_tests::isolated::isolated;
use process_tests::traces::{Traces, attribute};
use tower::{Layer as _, Service};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Subscriber, dispatcher};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use crate::{Caller, request_with, set_propagator, traceparent};

/// A payload that panics when it is dropped, and whose panic does the same, twice.
struct Hostile(u8);

impl Drop for Hostile {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Hostile(self.0 - 1));
        }
    }
}

fn panic_hard() -> ! {
    std::panic::panic_any(Hostile(2))
}

async fn answer(_: Request) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("fine")))
}

/// Sends a request with a trace and baggage.
fn status_of(layer: PropagationLayer) -> StatusCode {
    let parent = traceparent("00");
    let mut request = request_with([("traceparent", parent.as_bytes()), ("baggage", b"company_id=7")]);
    request.extensions_mut().insert(Caller("council"));
    let response = layer.layer(tower::service_fn(answer)).call(request);
    response.now_or_never().expect("it answers at once").unwrap().status()
}

fn count_of(report: &[String], text: &str) -> usize {
    report.iter().filter(|line| line.contains(text)).count()
}

/// Panics in each method whose turn it is.
#[derive(Debug)]
struct BrokenPropagator(&'static str, [String; 1]);

impl BrokenPropagator {
    fn reach(&self, method: &str) {
        if self.0 == method {
            panic_hard();
        }
    }
}

impl TextMapPropagator for BrokenPropagator {
    fn inject_context(&self, _: &OtelContext, injector: &mut dyn Injector) {
        injector.set("traceparent", "half of it".to_owned());
        self.reach("inject");
    }

    fn extract_with_context(&self, context: &OtelContext, _: &dyn Extractor) -> OtelContext {
        self.reach("extract");
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        self.reach("fields");
        FieldIter::new(&self.1)
    }
}

#[test]
fn a_propagator_that_panics_costs_only_the_trace() {
    isolated(|| {
        for method in ["extract", "inject", "fields"] {
            global::set_text_map_propagator(BrokenPropagator(method, ["traceparent".to_owned()]));
            for layer in [layer(), layer().public()] {
                assert_eq!(status_of(layer), 200, "{method}");
            }
            propagation::inject(&mut axum::http::HeaderMap::new());
        }
        let report = Install::new().start().report();
        assert_eq!(count_of(&report, "propagator panicked: a request continues no trace"), 1, "{report:?}");
        assert_eq!(count_of(&report, "propagator panicked: a call continues no trace"), 1, "{report:?}");
    });
}

#[test]
fn a_predicate_that_panics_trusts_nobody() {
    set_propagator();
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    assert_eq!(status_of(layer().trust(|_: &Caller| panic_hard(), ["company_id"])), 200);
    assert_eq!(status_of(layer().public().trust_trace(|_: &Caller| panic_hard())), 200);
    assert_eq!(traces.spans()[1].links.links.len(), 1, "the caller is not trusted");
    // A sampler that panics hides nothing.
    assert_eq!(status_of(layer().root_sampler(|_| panic_hard())), 200);
    assert_eq!(traces.spans().len(), 3);
    let report = Install::new().start().report();
    assert_eq!(count_of(&report, "a predicate for trusted peers panicked"), 1, "{report:?}");
    assert_eq!(count_of(&report, "`root_sampler` panicked"), 1, "{report:?}");
}

/// A layer that does something in one of its callbacks.
struct In<F>(&'static str, F);

impl<F: Fn()> In<F> {
    fn reach(&self, callback: &str) {
        if self.0 == callback && ARMED.get() {
            (self.1)();
        }
    }
}

thread_local! {
    /// Whether the layers of this thread do anything. `Dispatch::new` also calls a layer, outside of the toolkit.
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, F: Fn() + 'static> Layer<S> for In<F> {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        // `enabled` is then called for each span.
        Interest::sometimes()
    }

    fn enabled(&self, _: &tracing::Metadata<'_>, _: LayerContext<'_, S>) -> bool {
        self.reach("enabled");
        true
    }

    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: LayerContext<'_, S>) {
        self.reach("new");
    }

    fn on_enter(&self, _: &Id, _: LayerContext<'_, S>) {
        self.reach("enter");
    }

    fn on_exit(&self, _: &Id, _: LayerContext<'_, S>) {
        self.reach("exit");
    }

    fn on_record(&self, _: &Id, _: &Record<'_>, _: LayerContext<'_, S>) {
        self.reach("record");
    }

    fn on_close(&self, _: Id, _: LayerContext<'_, S>) {
        self.reach("close");
    }
}

const CALLBACKS: [&str; 6] = ["enabled", "new", "enter", "exit", "record", "close"];

fn with_layer<R>(layer: In<impl Fn() + Send + Sync + 'static>, f: impl FnOnce() -> R) -> R {
    let dispatch = Dispatch::new(Registry::default().with(layer));
    ARMED.set(true);
    let returned = dispatcher::with_default(&dispatch, f);
    ARMED.set(false);
    returned
}

#[test]
fn a_subscriber_that_panics_changes_no_response() {
    set_propagator();
    for callback in CALLBACKS {
        for layer in [layer(), layer().public()] {
            let status = with_layer(In(callback, || panic_hard()), || status_of(layer));
            assert_eq!(status, 200, "{callback}");
        }
    }
}

#[test]
fn a_subscriber_that_panics_during_a_panic_of_the_handler_does_not_abort() {
    set_propagator();
    for callback in CALLBACKS {
        let panics =
            |_: Request| -> std::future::Ready<Result<Response<Body>, Infallible>> { panic!("canary") };
        let payload = with_layer(In(callback, || panic_hard()), || {
            let mut service = layer().layer(tower::service_fn(panics));
            caught(|| drop(service.call(Request::default())))
        });
        assert_eq!(payload.downcast_ref(), Some(&"canary"), "{callback}");
        let payload = with_layer(In(callback, || panic_hard()), || {
            let mut service =
                layer().layer(tower::service_fn(async |_: Request| -> Result<Response<Body>, Infallible> {
                    panic!("canary")
                }));
            caught(|| drop(service.call(Request::default()).now_or_never()))
        });
        assert_eq!(payload.downcast_ref(), Some(&"canary"), "{callback}");
    }
}

fn caught(f: impl FnOnce()) -> Box<dyn Any + Send> {
    catch_unwind(AssertUnwindSafe(f)).expect_err("it panics")
}

#[critical_process(id = "called_by_a_layer", version = "1.0.0", sla = "1s")]
fn called_by_a_layer() {}

#[test]
fn a_layer_that_calls_a_process_for_a_request_does_not_do_so_for_that_process() {
    set_propagator();
    for callback in CALLBACKS {
        let count = || registry::stats("called_by_a_layer").unwrap().ended.count(Outcome::Success);
        let before = count();
        let calls = || {
            thread_local!(static DEPTH: Cell<u32> = const { Cell::new(0) });
            DEPTH.set(DEPTH.get() + 1);
            assert!(DEPTH.get() < 3, "it calls itself");
            called_by_a_layer();
            DEPTH.set(DEPTH.get() - 1);
        };
        assert_eq!(with_layer(In(callback, calls), || status_of(layer())), 200, "{callback}");
        assert!(count() > before, "{callback}");
    }
}

/// Panics after it has waited.
#[critical_process(id = "panic_behind_a_layer", version = "1.0.0", sla = "1s")]
async fn panic_behind_a_layer() -> StatusCode {
    tokio::task::yield_now().await;
    std::panic::panic_any(42_u8)
}

#[test]
fn a_panic_of_the_handler_continues_and_is_accounted_for() {
    set_propagator();
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let handler = async |_: Request| {
        let status = panic_behind_a_layer().await;
        Ok::<_, Infallible>(Response::builder().status(status).body(Body::empty()).unwrap())
    };
    let mut service = layer().layer(tower::service_fn(handler));
    let mut response = Box::pin(service.call(Request::default()));
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(response.as_mut().poll(&mut context).is_pending());
    let payload = caught(|| drop(response.as_mut().poll(&mut context)));
    assert_eq!(payload.downcast_ref(), Some(&42_u8), "the payload is the handler's");
    assert!(!OtelContext::current().has_active_span(), "the span is left");
    drop(response);
    let (request, process) = (traces.only("request"), traces.only("panic_behind_a_layer"));
    assert_eq!(request.status, opentelemetry::trace::Status::error(""));
    assert_eq!(attribute(&process, "critical_process.outcome"), Some("panic".into()));
    assert_eq!(registry::stats("panic_behind_a_layer").unwrap().ended.count(Outcome::Panic), 1);
}

/// A body that panics when it is created from a text, or when it is dropped.
struct BrokenBody {
    is_dropped_hard: bool,
}

thread_local!(static CREATES_HARD: Cell<bool> = const { Cell::new(false) });

impl From<String> for BrokenBody {
    fn from(_: String) -> BrokenBody {
        if CREATES_HARD.get() {
            panic_hard();
        }
        BrokenBody { is_dropped_hard: false }
    }
}

impl Drop for BrokenBody {
    fn drop(&mut self) {
        if self.is_dropped_hard {
            panic_hard();
        }
    }
}

#[test]
fn a_body_that_panics_changes_no_status() {
    let answer = async |_: Request| {
        let mut response = Response::new(BrokenBody { is_dropped_hard: true });
        *response.status_mut() = StatusCode::NOT_FOUND;
        Ok::<_, Infallible>(response)
    };
    let mut service = layer().error_bodies().layer(tower::service_fn(answer));
    let mut ask = || service.call(Request::default()).now_or_never().unwrap().unwrap();
    let response = ask();
    assert_eq!(
        (response.status(), response.headers()["content-type"].as_bytes()),
        (StatusCode::NOT_FOUND, b"application/json".as_slice())
    );
    // A body that cannot be created leaves the response as it is.
    CREATES_HARD.set(true);
    let mut response = ask();
    assert_eq!((response.status(), response.headers().len()), (StatusCode::NOT_FOUND, 0));
    response.body_mut().is_dropped_hard = false;
    CREATES_HARD.set(false);
}

/// A service that panics before it is ready, every second time.
#[derive(Default)]
struct RarelyReady(u32);

impl Service<Request> for RarelyReady {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 += 1;
        if self.0 % 2 == 1 {
            panic_hard();
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[test]
fn every_panic_of_a_service_is_an_error_body() {
    let mut service = layer().error_bodies().layer(RarelyReady::default());
    for status in [500, 200, 500, 200] {
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let response = service.call(Request::default()).now_or_never().unwrap().unwrap();
        assert_eq!(response.status(), status);
    }
    let hostile =
        tower::service_fn(async |_: Request| -> Result<Response<Body>, Infallible> { panic_hard() });
    let mut service = layer().error_bodies().layer(hostile);
    let response = service.call(Request::default()).now_or_never().unwrap().unwrap();
    assert_eq!(
        (response.status(), response.headers()["content-type"].as_bytes()),
        (StatusCode::INTERNAL_SERVER_ERROR, b"application/json".as_slice())
    );
}

/// A body without an end, which counts how often it is read.
struct Endless<'r>(&'r Cell<u32>);

impl From<String> for Endless<'_> {
    fn from(_: String) -> Self {
        thread_local!(static UNREAD: &'static Cell<u32> = Box::leak(Box::default()));
        Endless(UNREAD.with(|unread| *unread))
    }
}

impl futures::Stream for Endless<'_> {
    type Item = Vec<u8>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        self.0.set(self.0.get() + 1);
        Poll::Ready(Some(vec![0; 1 << 20]))
    }
}

#[test]
fn the_body_of_an_error_is_never_read() {
    let reads = Cell::new(0);
    let answer = async |_: Request| {
        let mut response = Response::new(Endless(&reads));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        Ok::<_, Infallible>(response)
    };
    let mut service = layer().error_bodies().layer(tower::service_fn(answer));
    let response = service.call(Request::default()).now_or_never().unwrap().unwrap();
    assert!(!std::ptr::eq(response.body().0, &reads), "the body is replaced");
    assert_eq!(reads.get(), 0);
}
