//! One trace across services, and its id in every answer.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::routing::get;
use futures::FutureExt as _;
use process_runtime::{Install, Limits, critical_process, propagation};
use process_tests::isolated::{child, isolated};
use process_tests::traces::{Traces, attribute, is_child};
use test_machine::memory::resident;
use tower::{Layer as _, Service, ServiceExt as _};
use tracing::dispatcher;

use crate::{Caller, request_with, set_propagator, traceparent};

/// A process that calls another service. Returns the headers that it would send.
#[critical_process(id = "ask_neighbour", version = "1.0.0", sla = "1s")]
async fn ask_neighbour() -> HeaderMap {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers);
    headers
}

/// A process behind a route.
#[critical_process(id = "answer_neighbour", version = "1.0.0", sla = "1s")]
async fn answer_neighbour() -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, propagation::trace_id().unwrap_or_default())
}

fn service() -> Router {
    set_propagator();
    Router::new().route("/", get(answer_neighbour)).layer(propagation::layer())
}

async fn call(headers: HeaderMap) -> Response<Body> {
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers;
    service().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_process_of_one_service_is_the_parent_of_a_process_of_the_next() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let _ = service();
    let headers = ask_neighbour().await;
    assert!(headers.contains_key("traceparent"), "{headers:?}");
    let response = call(headers).await;

    let (caller, request, process) =
        (traces.only("ask_neighbour"), traces.only("request"), traces.only("answer_neighbour"));
    assert!(is_child(&request, &caller) && is_child(&process, &request));
    assert!(request.parent_span_is_remote);
    let trace = caller.span_context.trace_id().to_string();
    assert_eq!(response.headers()[propagation::TRACE_ID_HEADER], trace);
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, trace, "an error's body names the trace too");
    assert_eq!(attribute(&request, "http.response.status_code"), Some(503.into()));
}

#[tokio::test]
async fn a_caller_without_a_trace_begins_one() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    for forged in ["", "00-zz-1-01", "99-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"] {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", forged.parse().unwrap());
        let response = call(headers).await;
        let id = response.headers()[propagation::TRACE_ID_HEADER].to_str().unwrap();
        assert_eq!(id.len(), 32, "{forged}");
        assert_ne!(id, "0af7651916cd43dd8448eb211c80319c");
    }
}

#[tokio::test]
async fn a_request_that_has_a_span_gets_no_second_one() {
    use tracing::Instrument;
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let outer = tracing::info_span!("of_the_application");
    let response = call(HeaderMap::new()).instrument(outer).await;
    let outer = traces.only("of_the_application");
    assert!(is_child(&traces.only("answer_neighbour"), &outer));
    assert_eq!(traces.spans().len(), 2);
    assert_eq!(response.headers()[propagation::TRACE_ID_HEADER], outer.span_context.trace_id().to_string());
}

#[tokio::test]
async fn without_opentelemetry_a_response_names_no_trace() {
    let response = call(HeaderMap::new()).await;
    assert!(!response.headers().contains_key(propagation::TRACE_ID_HEADER));
}

#[tokio::test]
async fn an_unknown_method_is_other_and_its_text_is_cut() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let long = "M".repeat(390_000);
    let cut = format!("{}…[+389744 bytes]", "M".repeat(256));
    for (sent, method, original) in [
        ("GET", "GET", None),
        ("PATCH", "PATCH", None),
        ("QUERY", "QUERY", None),
        ("get", "_OTHER", Some("get")),
        ("PROPFIND", "_OTHER", Some("PROPFIND")),
        ("_OTHER", "_OTHER", Some("_OTHER")),
        (&long, "_OTHER", Some(&*cut)),
    ] {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = sent.parse().unwrap();
        service().oneshot(request).await.unwrap();
        let span = traces.spans().into_iter().rfind(|span| span.name == "request").unwrap();
        assert_eq!(attribute(&span, "http.request.method"), Some(method.to_owned().into()));
        let expected = original.map(|original| original.to_owned().into());
        assert_eq!(attribute(&span, "http.request.method_original"), expected);
    }
}

#[test]
fn the_limit_of_a_text_from_a_header_can_be_changed() {
    isolated(|| {
        let mut limits = Limits::default();
        limits.header_text = 4;
        let installation = Install::new().limits(limits).start();
        let traces = Traces::new();
        let _guard = dispatcher::set_default(&traces.dispatch());
        let mut request = Request::new(Body::empty());
        *request.method_mut() = "PROPFIND".parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(service().oneshot(request)).unwrap();
        let span = traces.spans().into_iter().rfind(|span| span.name == "request").unwrap();
        let original = attribute(&span, "http.request.method_original");
        assert_eq!(original, Some("PROP…[+4 bytes]".into()));
        installation.stop();
    });
}

#[test]
#[ignore = "child of the_variable_of_the_conventions_replaces_the_known_methods"]
fn reads_the_known_methods() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let method_of = |method: &str| {
        let request = Request::builder().method(method).body(()).unwrap();
        drop(propagation::request_span(&request));
        attribute(&traces.spans().pop().unwrap(), "http.request.method").unwrap().to_string()
    };
    assert_eq!(["GET", "PROPFIND", "POST"].map(method_of), ["GET", "PROPFIND", "_OTHER"]);
}

#[test]
fn the_variable_of_the_conventions_replaces_the_known_methods() {
    let mut child = child("trace::reads_the_known_methods");
    let output = child.env("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "PROPFIND, GET,,").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Each part of a request is as long as servers accept, and each text that is kept of it is short.
#[test]
fn a_flood_of_long_requests_leaves_memory_flat() {
    isolated(|| {
        set_propagator();
        let traces = Traces::new();
        let _guard = dispatcher::set_default(&traces.dispatch());
        let layer = propagation::layer().trust(|_: &Caller| true, ["company_id"]);
        let mut service = layer.layer(tower::service_fn(async |_: Request| {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        }));
        let (parent, long) = (traceparent("01"), "m".repeat(390_000));
        let (state, baggage) = ("a=1,b=,".repeat(55_000), format!("company_id={}", "m".repeat(8_000)));
        let headers =
            [("traceparent", &parent), ("tracestate", &state), ("baggage", &baggage), ("user-agent", &long)];
        let template = request_with(headers.map(|(name, text)| (name, text.as_bytes())));
        let method: Method = long.parse().unwrap();
        let uri: Uri = format!("http://{}/{}", &long[..60_000], &long[..5_000]).parse().unwrap();
        let mut send = || {
            let mut request = Request::new(Body::empty());
            *request.headers_mut() = template.headers().clone();
            (*request.method_mut(), *request.uri_mut()) = (method.clone(), uri.clone());
            request.extensions_mut().insert(Caller("council"));
            service.call(request).now_or_never().unwrap().unwrap();
        };
        (0..100).for_each(|_| send());
        let before = resident(std::process::id());
        (0..2_400).for_each(|_| send());
        let after = resident(std::process::id());
        // Each of the 2,400 spans that the exporter keeps takes about two kilobytes.
        if let Some((before, after)) = before.zip(after) {
            let grown = after.saturating_sub(before) >> 20;
            println!("2,400 long requests took {grown} MiB");
            assert!(grown < 16, "{grown} MiB");
        }
    });
}
