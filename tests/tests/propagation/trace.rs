//! One trace across services, and its id in every answer.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use process_runtime::{critical_process, propagation};
use process_tests::traces::{Traces, attribute, is_child};
use tower::ServiceExt;
use tracing::dispatcher;

use crate::set_propagator;

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
async fn a_trace_that_is_not_sampled_has_its_id_for_sentry_alone() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().unwrap());
    let response = call(headers).await;
    assert_eq!(response.headers()[propagation::TRACE_ID_HEADER], "0af7651916cd43dd8448eb211c80319c");
    assert!(traces.spans().is_empty());
}
