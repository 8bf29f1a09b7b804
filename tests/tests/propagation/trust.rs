//! Whose trace a service continues, and who decides whether it is exported.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context as OtelContext, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SpanData;
use process_runtime::propagation::{self, PropagationLayer, TRACE_ID_HEADER, layer};
use process_runtime::{Install, critical_process};
use process_tests::isolated::{child, isolated};
use process_tests::traces::{Traces, attribute, is_child};
use tower::ServiceExt as _;
use tower_http::trace::TraceLayer;
use tracing::dispatcher;

use crate::{Caller, SPAN, TRACE, request_with, set_propagator, traceparent};

/// Fails. Returns the headers that it would send to the next service.
#[critical_process(id = "fail_at_the_edge", version = "1.0.0", sla = "1s")]
async fn fail_at_the_edge(_received: HeaderMap) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers);
    (StatusCode::INTERNAL_SERVER_ERROR, headers)
}

/// Answers a service in front of it.
#[critical_process(id = "answer_the_edge", version = "1.0.0", sla = "1s")]
async fn answer_the_edge() -> StatusCode {
    StatusCode::OK
}

fn routes() -> Router {
    set_propagator();
    Router::new().route("/", get(fail_at_the_edge))
}

fn partner(caller: &Caller) -> bool {
    caller.0 == "partner"
}

/// Sends a request with the trace of a caller, and returns the response.
async fn call(service: Router, flag: &str, caller: Option<Caller>) -> Response<Body> {
    let mut request = request_with([("traceparent", traceparent(flag).as_bytes())]);
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    service.oneshot(request).await.unwrap()
}

/// Returns the spans of a request with this flag, and the id of the trace in the response.
async fn spans_of(layer: PropagationLayer, flag: &str, caller: Option<Caller>) -> (Vec<SpanData>, String) {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let response = call(routes().layer(layer), flag, caller).await;
    (traces.spans(), response.headers()[TRACE_ID_HEADER].to_str().unwrap().to_owned())
}

fn trace_of(span: &SpanData) -> String {
    span.span_context.trace_id().to_string()
}

/// Asserts that the spans are in a trace of their own, which begins with the request and links to the caller's span.
fn assert_only_linked(spans: &[SpanData]) {
    let request = spans.iter().find(|span| span.name == "request").unwrap();
    assert_eq!(request.parent_span_id.to_string(), "0".repeat(16));
    assert!(spans.iter().all(|span| trace_of(span) == trace_of(request) && trace_of(span) != TRACE));
    let links = spans.iter().flat_map(|span| span.links.iter());
    let linked: Vec<_> = links.map(|link| link.span_context.span_id().to_string()).collect();
    assert_eq!(linked, [SPAN]);
    assert_eq!(request.links.links[0].span_context.trace_id().to_string(), TRACE);
}

#[tokio::test]
async fn a_browser_an_edge_and_an_inner_service_have_two_traces_and_one_link() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    set_propagator();
    let ask = async || {
        let mut request = Request::new(Body::empty());
        propagation::inject(request.headers_mut());
        // The inner service is in a task of its own, as in a program of its own.
        let inner = Router::new().route("/", get(answer_the_edge)).layer(layer());
        tokio::spawn(inner.oneshot(request)).await.unwrap().unwrap().status()
    };
    let edge = Router::new().route("/", get(ask)).layer(layer().public());
    let response = call(edge, "01", None).await;
    assert_eq!(response.status(), 200);

    let spans = traces.spans();
    assert_only_linked(&spans[2..]);
    let requests: Vec<_> = spans.iter().filter(|span| span.name == "request").collect();
    let [inner, edge] = requests[..] else { panic!("{requests:?}") };
    assert!(is_child(inner, edge) && is_child(&traces.only("answer_the_edge"), inner));
    assert_eq!(response.headers()[TRACE_ID_HEADER], trace_of(edge));
    assert_eq!(spans.len(), 3);
}

#[tokio::test]
async fn a_flag_of_a_caller_without_trust_hides_no_failure() {
    for flag in ["00", "02", "fe", "01"] {
        let (spans, id) = spans_of(layer(), flag, None).await;
        assert_eq!(spans.len(), 2, "{flag}");
        assert!(spans.iter().all(|span| trace_of(span) == TRACE), "{flag}: {spans:?}");
        assert_eq!(id, TRACE);
        let request = spans.iter().find(|span| span.name == "request").unwrap();
        assert_eq!(request.parent_span_id.to_string(), SPAN);
        assert_only_linked(&spans_of(layer().public(), flag, None).await.0);
    }
}

#[tokio::test]
async fn the_root_sampler_decides_for_a_caller_without_trust_and_the_trace_stays_one() {
    // A partner is trusted only if the layer has its predicate, and a predicate for baggage is not one for traces.
    let without_trust = [
        (layer(), None),
        (layer(), Some(Caller("partner"))),
        (layer().trust(partner, ["company_id"]), Some(Caller("partner"))),
        (layer().trust_trace(partner), Some(Caller("stranger"))),
    ];
    for (layer, caller) in without_trust {
        let of = |kept: bool| {
            let layer = layer.clone().root_sampler(move |trace| kept && trace.to_string() == TRACE);
            spans_of(layer, "00", caller.clone())
        };
        assert_eq!(of(true).await.0.len(), 2);
        let (spans, id) = of(false).await;
        assert!(spans.is_empty(), "{spans:?}");
        assert_eq!(id, TRACE, "the Sentry events of a trace that is not exported have its id");
        // A caller whose flag is set has its trace sampled, as before.
        assert_eq!(spans_of(layer.clone().root_sampler(|_| false), "01", caller.clone()).await.0.len(), 2);
    }
}

#[tokio::test]
async fn the_decision_of_a_trusted_peer_is_honoured() {
    let trusting = layer().trust_trace(partner);
    for layer in [trusting.clone(), trusting.public()] {
        let (spans, id) = spans_of(layer.clone(), "00", Some(Caller("partner"))).await;
        assert!(spans.is_empty(), "{spans:?}");
        assert_eq!(id, TRACE);
        let (spans, id) = spans_of(layer, "01", Some(Caller("partner"))).await;
        assert!(spans.len() == 2 && spans.iter().all(|span| trace_of(span) == TRACE), "{spans:?}");
        assert_eq!(id, TRACE);
    }
}

#[tokio::test]
async fn a_public_edge_trusts_only_identified_peers() {
    for caller in [None, Some(Caller("stranger"))] {
        let (spans, id) = spans_of(layer().public().trust_trace(partner), "01", caller).await;
        assert_only_linked(&spans);
        assert_ne!(id, TRACE);
    }
    // Trust in baggage is not trust in a trace.
    let layer = layer().public().trust(partner, ["company_id"]);
    assert_only_linked(&spans_of(layer, "01", Some(Caller("partner"))).await.0);
}

#[tokio::test]
async fn a_public_edge_accepts_the_baggage_of_a_trusted_peer_without_a_trace() {
    set_propagator();
    let show = async || {
        let mut sent = HeaderMap::new();
        propagation::Outgoing::new().allow("next", ["company_id"]).inject("next", &mut sent);
        sent.get("baggage").is_some_and(|value| value == "company_id=7").to_string()
    };
    let layer = layer().public().trust(partner, ["company_id"]);
    let service = Router::new().route("/", get(show)).layer(layer);
    for traced in [None, Some("01")] {
        let traceparent = traced.map(traceparent);
        let traced = traceparent.as_ref().map(|value| ("traceparent", value.as_bytes()));
        let mut request = request_with([("baggage", b"company_id=7".as_slice())].into_iter().chain(traced));
        request.extensions_mut().insert(Caller("partner"));
        let response = service.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "true");
    }
}

#[tokio::test]
async fn trust_in_a_trace_is_not_trust_in_baggage() {
    set_propagator();
    let show = async |headers: HeaderMap| {
        let mut sent = HeaderMap::new();
        propagation::Outgoing::new().allow("next", ["company_id"]).inject("next", &mut sent);
        format!("{:?} {:?}", headers.get("baggage"), sent.get("baggage"))
    };
    let service = Router::new().route("/", get(show)).layer(layer().trust_trace(|_: &Caller| true));
    let mut request = request_with([("baggage", b"company_id=victim".as_slice())]);
    request.extensions_mut().insert(Caller("partner"));
    let response = service.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
    assert_eq!(body, "None None");
}

#[tokio::test]
async fn a_public_edge_does_not_hand_on_the_headers_of_a_caller() {
    set_propagator();
    let names = async |headers: HeaderMap| format!("{:?}", headers.keys().collect::<Vec<_>>());
    for (layer, kept) in [
        (layer().public(), ""),
        (layer(), "\"traceparent\""),
        (layer().public().trust_trace(partner), "\"traceparent\""),
    ] {
        let service = Router::new().route("/", get(names)).layer(layer);
        let response = call(service, "01", Some(Caller("partner"))).await;
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        assert_eq!(body, format!("[{kept}]"));
    }
}

#[tokio::test]
async fn a_span_of_an_outer_layer_follows_the_settings_of_the_edge() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let edge = layer().public();
    let make_span = {
        let edge = edge.clone();
        move |request: &Request| edge.request_span(request)
    };
    let outer = TraceLayer::new_for_http().make_span_with(make_span).on_failure(());
    call(routes().layer(edge).layer(outer), "00", None).await;
    assert_eq!(traces.spans().len(), 2);
    assert_only_linked(&traces.spans());
}

#[tokio::test]
async fn an_outer_span_that_lets_anybody_in_is_reported_and_the_rest_is_in_a_trace_of_its_own() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let outer = TraceLayer::new_for_http().make_span_with(propagation::request_span).on_failure(());
    for _ in 0..2 {
        call(routes().layer(layer().public()).layer(outer.clone()), "01", None).await;
    }
    let (outer, inner): (Vec<_>, Vec<_>) =
        traces.spans().into_iter().partition(|span| trace_of(span) == TRACE);
    assert_eq!((outer.len(), inner.len()), (2, 4));
    assert_only_linked(&inner[..2]);
    let report = Install::new().start().report();
    assert_eq!(
        report.iter().filter(|line| line.contains("PropagationLayer::request_span")).count(),
        1,
        "{report:?}"
    );
}

#[tokio::test]
async fn a_second_layer_behind_a_public_edge_stays_in_its_trace() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let inner = TraceLayer::new_for_http().make_span_with(propagation::request_span).on_failure(());
    call(routes().layer(layer()).layer(inner).layer(layer().public()), "01", None).await;
    let spans = traces.spans();
    assert_eq!(spans.len(), 3);
    assert!(
        spans.iter().all(|span| trace_of(span) == trace_of(&spans[0]) && trace_of(span) != TRACE),
        "{spans:?}"
    );
}

#[test]
#[ignore = "child of the_variables_of_the_sdk_are_the_root_sampler"]
fn fails_under_flag_00() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let of_stranger = runtime.block_on(spans_of(layer(), "00", None)).0.len();
    let of_public = runtime.block_on(spans_of(layer().public(), "00", None)).0.len();
    println!("exported: {of_stranger} {of_public}");
}

#[test]
fn the_variables_of_the_sdk_are_the_root_sampler() {
    let exported = |variables: &[(&str, &str)]| {
        let mut child = child("trust::fails_under_flag_00");
        let output = child.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.split("exported: ").nth(1)).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{text}"))
    };
    let sampler = |sampler, share| [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", share)];
    assert_eq!(exported(&[]), "2 2");
    assert_eq!(exported(&sampler("parentbased_always_on", "")), "2 2");
    assert_eq!(exported(&sampler("always_on", "")), "2 2");
    assert_eq!(exported(&sampler("parentbased_always_off", "")), "0 0");
    assert_eq!(exported(&sampler("parentbased_traceidratio", "1.0")), "2 2");
    assert_eq!(exported(&sampler("parentbased_traceidratio", "0")), "0 0");
    // The last 16 digits of this trace are 0.516 of the largest possible number.
    assert!(exported(&sampler("parentbased_traceidratio", "0.51")).starts_with('0'));
    assert!(exported(&sampler("parentbased_traceidratio", "0.52")).starts_with('2'));
}

/// Reads the trace from a header of its own, in a form of its own.
#[derive(Debug)]
struct Vendor([String; 1]);

impl TextMapPropagator for Vendor {
    fn inject_context(&self, _: &OtelContext, injector: &mut dyn Injector) {
        injector.set("X-Vendor", "mine".to_owned());
        injector.set("traceparent", "an alias of mine".to_owned());
        injector.set("tracestate", "A=upper,=,".to_owned());
        injector.set("x-empty", String::new());
    }

    fn extract_with_context(&self, context: &OtelContext, extractor: &dyn Extractor) -> OtelContext {
        assert_eq!(extractor.get("traceparent"), Some("whatever"));
        assert_eq!(extractor.get_all("X-Vendor"), Some(vec!["Trace=+AF7;Span=1", "second"]));
        assert!(extractor.keys().contains(&"x-vendor"));
        let state = (0..50).map(|at| (format!("k{at}"), "v".repeat(100)));
        let state = TraceState::from_key_value(state).unwrap();
        let (trace, span) = (TraceId::from_hex(TRACE).unwrap(), SpanId::from_hex(SPAN).unwrap());
        context.with_remote_span_context(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn headers_of_other_propagators_are_theirs_and_only_what_is_kept_is_bounded() {
    isolated(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let traces = Traces::new();
        let _guard = dispatcher::set_default(&traces.dispatch());
        let service = routes().layer(layer());
        global::set_text_map_propagator(Vendor(["x-vendor".to_owned()]));
        let request = request_with([
            ("traceparent", b"whatever".as_slice()),
            ("x-vendor", b"Trace=+AF7;Span=1"),
            ("x-vendor", b"second"),
        ]);
        let response = runtime.block_on(service.oneshot(request)).unwrap();
        assert_eq!(response.headers()[TRACE_ID_HEADER], TRACE);
        assert_eq!(response.headers()["x-vendor"], "mine");
        assert_eq!(response.headers()["traceparent"], "an alias of mine");
        assert_eq!(response.headers()["tracestate"], "A=upper,=,");
        assert!(!response.headers().contains_key("x-empty"));
        let state = traces.only("request").span_context.trace_state().header();
        assert!(state.len() <= 512 && state.starts_with("k0=v"), "{state}");
        assert_eq!(attribute(&traces.only("request"), "http.response.status_code"), Some(500.into()));
        global::set_text_map_propagator(TraceContextPropagator::new());
    });
}
