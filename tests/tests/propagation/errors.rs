//! Every error response has a code, and the id of the trace of its request.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::{Method, Response, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use process_runtime::{Outcome, critical_process, propagation, registry};
use process_tests::traces::{Traces, attribute};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};
use tracing::dispatcher;

use crate::set_propagator;

/// Panics.
#[critical_process(id = "break_down", version = "1.0.0", sla = "1s")]
async fn break_down() -> StatusCode {
    tokio::task::yield_now().await;
    panic!("canary: a secret of the inside")
}

/// The future of a service that panics when it is polled, and again when it is dropped.
struct Twice;

impl Future for Twice {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        panic!("canary: once")
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("canary: and again")
    }
}

fn service() -> Router {
    set_propagator();
    let problem = [(header::CONTENT_TYPE, "application/problem+json; charset=utf-8")];
    let retry = [(header::RETRY_AFTER, "7"), (header::CONTENT_LENGTH, "6"), (header::CONTENT_ENCODING, "br")];
    Router::new()
        .route("/ok", get(async || "fine"))
        .route("/text", get(async || (StatusCode::BAD_GATEWAY, "canary: postgres://user:secret@db")))
        .route("/empty", get(async || StatusCode::from_u16(599).unwrap()))
        .route("/busy", get(async move || (StatusCode::SERVICE_UNAVAILABLE, retry, "canary")))
        .route("/own", get(async || (StatusCode::CONFLICT, Json(json!({ "own": true })))))
        .route("/problem", get(async move || (StatusCode::GONE, problem, "{}")))
        .route("/body", post(async |Json(_): Json<u64>| ()).layer(DefaultBodyLimit::max(4)))
        .route("/number/{number}", get(async |Path(_): Path<u64>| ()))
        .route("/panic", get(break_down))
        .layer(propagation::layer().error_bodies())
}

struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Answer {
    fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.body).unwrap()["error"].clone()
    }
}

async fn ask(method: Method, path: &str, body: &'static str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let response = service().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn every_error_has_a_code_a_safe_text_and_the_traces_id() {
    let traces = Traces::new();
    let _guard = dispatcher::set_default(&traces.dispatch());
    for (method, path, body, status, code) in [
        (Method::GET, "/nowhere", "", 404, "not_found"),
        (Method::DELETE, "/ok", "", 405, "method_not_allowed"),
        (Method::GET, "/text", "", 502, "bad_gateway"),
        (Method::GET, "/empty", "", 599, "internal"),
        (Method::GET, "/busy", "", 503, "unavailable"),
        (Method::POST, "/body", "x", 400, "bad_request"),
        (Method::POST, "/body", "\"x\"", 422, "unprocessable"),
        (Method::POST, "/body", "12345", 413, "body_too_large"),
        (Method::GET, "/number/seven", "", 400, "bad_request"),
        (Method::GET, "/panic", "", 500, "internal"),
    ] {
        let answer = ask(method, path, body).await;
        let error = answer.error();
        assert_eq!((answer.status, &error["code"]), (status, &Value::from(code)), "{path}");
        assert!(error["message"].as_str().is_some_and(|text| text.ends_with('.')), "{path}: {error}");
        assert!(!answer.body.contains("canary"), "{path}: {error}");
        let id = answer.headers[propagation::TRACE_ID_HEADER].to_str().unwrap();
        assert_eq!(error["trace_id"], id, "{path}");
        assert_eq!(answer.headers["content-type"], "application/json");
        let span = traces.spans().pop().unwrap();
        assert_eq!(span.span_context.trace_id().to_string(), id);
        assert_eq!(attribute(&span, "http.response.status_code"), Some(i64::from(status).into()), "{path}");
    }
}

#[tokio::test]
async fn headers_of_an_error_stay_but_for_those_of_its_body() {
    let busy = ask(Method::GET, "/busy", "").await;
    assert_eq!(busy.headers["retry-after"], "7");
    assert_eq!(busy.headers["content-length"], busy.body.len().to_string());
    assert!(!busy.headers.contains_key("content-encoding"));
    assert_eq!(ask(Method::DELETE, "/ok", "").await.headers["allow"], "GET,HEAD");
    let head = ask(Method::HEAD, "/text", "").await;
    assert_eq!((head.status, &*head.body), (502, ""));
}

#[tokio::test]
async fn a_body_with_a_code_of_its_own_stays_as_it_is() {
    for (path, status, body) in
        [("/ok", 200, "fine"), ("/own", 409, r#"{"own":true}"#), ("/problem", 410, "{}")]
    {
        let answer = ask(Method::GET, path, "").await;
        assert_eq!((answer.status, &*answer.body), (status, body));
    }
}

#[tokio::test]
async fn without_opentelemetry_an_error_has_a_body_all_the_same() {
    let error = ask(Method::GET, "/nowhere", "").await.error();
    assert_eq!(error["trace_id"], Value::Null);
}

#[tokio::test]
async fn what_panics_whenever_it_can_is_one_error() {
    let service = propagation::layer().error_bodies().layer(tower::service_fn(|_: Request| Twice));
    assert_eq!(service.oneshot(Request::default()).await.unwrap().status(), 500);
    let at_the_call = tower::service_fn(|_: Request| -> Twice { panic!("canary: at once") });
    let service = propagation::layer().error_bodies().layer(at_the_call);
    assert_eq!(service.oneshot(Request::default()).await.unwrap().status(), 500);
}

#[tokio::test]
async fn a_panic_is_still_a_panic_of_its_process() {
    let before = registry::stats("break_down").unwrap().ended.count(Outcome::Panic);
    ask(Method::GET, "/panic", "").await;
    // Another test of this binary may also make this process panic, so the count may have grown by more than one.
    assert!(registry::stats("break_down").unwrap().ended.count(Outcome::Panic) > before);
}
