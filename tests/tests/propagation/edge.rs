//! An edge that anybody can call: which headers it hands on, where the link to the caller's trace is, and which peers
//! it trusts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{Extensions, HeaderMap, Response, StatusCode};
use axum::routing::get;
use futures::FutureExt as _;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context as OtelContext, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use process_runtime::critical_process;
use process_runtime::propagation::{PropagationLayer, TRACE_ID_HEADER, layer};
use process_tests::isolated::isolated;
use process_tests::traces::{Traces, is_child};
use tower::ServiceExt as _;
use tower_http::trace::{DefaultMakeSpan, TraceLayer};
use tracing::{Level, dispatcher};

use crate::{SPAN, TRACE, request_with, set_propagator, traceparent};

/// Returns the response to a request whose handler answers with the names of the headers that it received.
fn respond(layer: PropagationLayer, request: Request) -> Response<Body> {
    let names = async |headers: HeaderMap| {
        let names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
        names.join(" ")
    };
    let service = Router::new().route("/", get(names)).layer(layer);
    service.oneshot(request).now_or_never().expect("it answers at once").unwrap()
}

/// Returns the names of the headers that reach the handler, and the id of the trace in the response.
fn received(layer: &PropagationLayer, headers: &[(&'static str, &str)]) -> (String, String) {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let response = respond(layer.clone(), request_with(headers));
    let id = response.headers()[TRACE_ID_HEADER].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(response.into_body(), 1_000).now_or_never().expect("it is complete");
    (String::from_utf8(body.unwrap().to_vec()).unwrap(), id)
}

#[test]
fn a_public_edge_hands_on_no_trace_of_a_caller_whether_it_is_valid_or_not() {
    set_propagator();
    let valid = traceparent("01");
    let (longer, upper) = (format!("{valid}-"), valid.to_uppercase());
    for headers in [
        vec![("traceparent", &*valid)],
        vec![("traceparent", &valid), ("traceparent", &valid)],
        vec![("traceparent", &longer), ("tracestate", "a=1")],
        vec![("traceparent", &upper)],
        vec![("traceparent", "")],
        vec![("tracestate", "a=1")],
        vec![],
    ] {
        let headers: Vec<_> = headers.into_iter().chain([("x-mine", "1")]).collect();
        let (names, id) = received(&layer().public(), &headers);
        assert_eq!(names, "x-mine", "{headers:?}");
        assert_ne!(id, TRACE, "{headers:?}");
    }
}

/// Reads the trace from one header, which is not among its fields. It also looks at all other headers.
#[derive(Debug)]
struct SingleHeader([String; 1]);

impl TextMapPropagator for SingleHeader {
    fn inject_context(&self, _: &OtelContext, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &OtelContext, extractor: &dyn Extractor) -> OtelContext {
        for key in extractor.keys() {
            assert!(extractor.get(key).is_some(), "{key}");
        }
        let ids = extractor.get("b3").and_then(|line| line.split_once('-'));
        let parsed = ids
            .and_then(|(trace, span)| Some((TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?)));
        let Some((trace, span)) = parsed else { return context.clone() };
        let remote = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE);
        context.with_remote_span_context(remote)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn the_headers_that_a_propagator_reads_are_removed_and_others_are_not() {
    isolated(|| {
        global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(SingleHeader(["x-b3-traceid".to_owned()])),
            Box::new(TraceContextPropagator::new()),
        ]));
        let b3 = format!("{TRACE}-{SPAN}");
        let headers = [
            ("traceparent", "00-no-01"),
            ("authorization", "Bearer mine"),
            ("b3", &*b3),
            ("x-b3-traceid", TRACE),
        ];
        // A header that is not valid for one propagator does not hide the header of another.
        let (names, id) = received(&layer(), &headers);
        assert_eq!((&*id, names.split(' ').count()), (TRACE, 4), "{names}");
        let (names, id) = received(&layer().public(), &headers);
        assert_eq!(names, "authorization");
        assert_ne!(id, TRACE);
        let invalid = [("b3", "1"), ("authorization", "Bearer mine")];
        assert_eq!(received(&layer().public(), &invalid).0, "authorization");
    });
}

#[critical_process(id = "work_at_the_edge", version = "1.0.0", sla = "1s")]
async fn work_at_the_edge() -> StatusCode {
    StatusCode::OK
}

#[tokio::test]
async fn an_outer_span_of_the_application_receives_the_link() {
    set_propagator();
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let make_span = DefaultMakeSpan::new().level(Level::INFO);
    let outer = TraceLayer::new_for_http().make_span_with(make_span).on_failure(());
    let service = Router::new().route("/", get(work_at_the_edge)).layer(layer().public()).layer(outer);
    let valid = traceparent("01");
    for _ in 0..2 {
        let request = request_with([("traceparent", valid.as_bytes())]);
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let spans = traces.spans();
    assert_eq!(spans.len(), 4, "{spans:?}");
    for spans in spans.chunks(2) {
        let [process, request] = spans else { panic!("{spans:?}") };
        assert!(is_child(process, request) && process.links.is_empty());
        let links = &request.links.links;
        assert_eq!(links.len(), 1, "{request:?}");
        assert_eq!(links[0].span_context.trace_id().to_string(), TRACE);
        assert_ne!(request.span_context.trace_id().to_string(), TRACE);
    }
}

/// The peer of a connection through a Unix socket.
#[derive(Clone)]
struct Socket;

/// Returns the extensions of a request whose peer the server has identified.
fn identified<I: Clone + Send + Sync + 'static>(identity: I) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(ConnectInfo(identity));
    extensions
}

#[test]
fn an_edge_trusts_the_peer_of_the_connection_and_no_header() {
    set_propagator();
    let is_local = |ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip().is_loopback();
    let by_address = layer().public().trust_trace(is_local);
    let by_socket = layer().public().trust_trace(|_: &ConnectInfo<Socket>| true);
    let address = |ip| identified(SocketAddr::new(IpAddr::V4(ip), 4_711));
    let local = || address(Ipv4Addr::LOCALHOST);
    let valid = traceparent("01");
    let is_continued = |layer: &PropagationLayer, extensions| {
        let traces = Traces::new();
        let _guard = dispatcher::set_default(&traces.dispatch());
        let mut request = request_with([
            ("traceparent", valid.as_bytes()),
            ("x-forwarded-for", b"127.0.0.1"),
            ("forwarded", b"for=127.0.0.1"),
        ]);
        *request.extensions_mut() = extensions;
        respond(layer.clone(), request).headers()[TRACE_ID_HEADER] == TRACE
    };
    assert!(is_continued(&by_address, local()) && is_continued(&by_socket, identified(Socket)));
    assert!(!is_continued(&by_address, address(Ipv4Addr::new(203, 0, 113, 9))));
    // A peer that the server has identified in another way, or not at all, is not trusted.
    assert!(!is_continued(&by_address, identified(Socket)) && !is_continued(&by_socket, local()));
    assert!(!is_continued(&by_address, Extensions::new()));
}
