//! Handlers for axum. Their arguments are extractors, their responses are judged by status, and a router accepts
//! them.

use axum::extract::{FromRequestParts, Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, body::Body};
use process_runtime::Outcome::{self, Degraded, Failure, Rejected, Success};
use process_runtime::critical_process;
use tower::ServiceExt as _;

use super::trial::{Trial, called, ran};

#[derive(Clone)]
struct App {
    prices: std::sync::Arc<[u32]>,
}

struct User(String);

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    #[critical_process(id = "http_extractor", version = "1.0.0", sla = "10s")]
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get("user").ok_or(StatusCode::UNAUTHORIZED)?;
        header.to_str().map(|name| User(name.to_owned())).map_err(|_| StatusCode::BAD_REQUEST)
    }
}

#[critical_process(id = "http_price", version = "1.0.0", sla = "10s", context(at))]
async fn price(
    State(App { prices }): State<App>,
    Path(at): Path<usize>,
) -> Result<Json<u32>, (StatusCode, String)> {
    tokio::task::yield_now().await;
    match prices.get(at) {
        Some(0) => Err((StatusCode::INTERNAL_SERVER_ERROR, "free".to_owned())),
        Some(price) => Ok(Json(*price)),
        None => Err((StatusCode::NOT_FOUND, format!("no {at}"))),
    }
}

#[critical_process(id = "http_order", version = "1.0.0", sla = "10s", context(user, n = order.len()))]
async fn order(State(_): State<App>, User(user): User, Json(order): Json<Vec<u32>>) -> Response {
    if order.is_empty() {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    if order.len() > 2 {
        return (StatusCode::BAD_GATEWAY, "too many").into_response();
    }
    (StatusCode::CREATED, user).into_response()
}

#[critical_process(id = "http_impl", version = "1.0.0", sla = "10s")]
async fn status(Path(status): Path<u16>, _: Request) -> impl IntoResponse {
    (StatusCode::from_u16(status).unwrap(), [("x-fixture", "1")], "body")
}

#[critical_process(id = "http_boxed", version = "1.0.0", sla = "10s")]
fn boxed(Path(status): Path<u16>) -> futures::future::BoxFuture<'static, StatusCode> {
    Box::pin(async move { StatusCode::from_u16(status).unwrap() })
}

#[critical_process(id = "http_future", version = "1.0.0", sla = "10s", degraded = is_accepted)]
fn future(Path(status): Path<u16>) -> impl Future<Output = Result<StatusCode, StatusCode>> + Send {
    async move {
        let status = StatusCode::from_u16(status).map_err(|_| StatusCode::IM_A_TEAPOT)?;
        if status.is_server_error() { Err(status) } else { Ok(status) }
    }
}

fn is_accepted(status: &StatusCode) -> bool {
    *status == StatusCode::ACCEPTED
}

#[critical_process(id = "http_query", version = "1.0.0", sla = "10s", fails(Json(false)))]
async fn query(RawQuery(query): RawQuery) -> Json<bool> {
    Json(query.is_some())
}

#[critical_process(id = "http_fallback", version = "1.0.0", sla = "10s")]
async fn fallback() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "nothing here")
}

struct Handlers;

impl Handlers {
    #[critical_process(id = "http_method", version = "1.0.0", sla = "10s")]
    async fn root(State(app): State<App>) -> String {
        app.prices.len().to_string()
    }
}

#[critical_process(id = "http_middleware", version = "1.0.0", sla = "10s")]
async fn middleware(request: Request, next: axum::middleware::Next) -> Response {
    next.run(request).await
}

fn router() -> Router {
    Router::new()
        .route("/", get(Handlers::root))
        .route("/price/{at}", get(price).layer(axum::middleware::from_fn(middleware)))
        .route("/order", post(order))
        .route("/status/{status}", get(status))
        .route("/boxed/{status}", get(boxed))
        .route("/future/{status}", get(future))
        .route("/query", get(query))
        .fallback(fallback)
        .with_state(App { prices: [7, 0].into() })
}

async fn ask(trial: &Trial, request: axum::http::request::Builder, body: &'static str) -> (u16, String) {
    let request = request.header("content-type", "application/json").body(Body::from(body)).unwrap();
    let response = trial.run(router().oneshot(request)).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get_at(path: &str, runs: &[(&str, Outcome)]) -> (u16, String) {
    let trial = Trial::new();
    let answer = ask(&trial, Request::get(path), "").await;
    trial.saw(runs);
    answer
}

#[tokio::test(start_paused = true)]
async fn handlers_are_taken_by_a_router_and_judged_by_their_status() {
    let ok = |text: &str| (200, text.to_owned());
    let price = |outcome| [("http_price", outcome), ("http_middleware", outcome)];
    assert_eq!(get_at("/", &[("http_method", Success)]).await, ok("2"));
    assert_eq!(get_at("/price/0", &price(Success)).await, ok("7"));
    assert_eq!(get_at("/price/1", &price(Failure)).await, (500, "free".to_owned()));
    assert_eq!(get_at("/price/9", &price(Rejected)).await, (404, "no 9".to_owned()));
    for (status, outcome) in [(200, Success), (302, Success), (409, Rejected), (503, Failure)] {
        assert_eq!(get_at(&format!("/status/{status}"), &[("http_impl", outcome)]).await.0, status);
        assert_eq!(get_at(&format!("/boxed/{status}"), &[("http_boxed", outcome)]).await.0, status);
        assert_eq!(get_at(&format!("/future/{status}"), &[("http_future", outcome)]).await.0, status);
    }
    assert_eq!(get_at("/future/202", &[("http_future", Degraded)]).await.0, 202);
    assert_eq!(get_at("/future/9", &[("http_future", Rejected)]).await.0, 418);
    assert_eq!(get_at("/query", &[("http_query", Failure)]).await, ok("false"));
    assert_eq!(get_at("/query?a=b", &[("http_query", Success)]).await, ok("true"));
    assert_eq!(get_at("/nowhere", &[("http_fallback", Rejected)]).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn an_extractor_is_a_run_and_what_it_takes_apart_is_context() {
    let post = || Request::post("/order").header("user", "ada");
    for (body, status, outcome) in [("[1]", 201, Success), ("[]", 422, Rejected), ("[1,2,3]", 502, Failure)] {
        let trial = Trial::new();
        assert_eq!(ask(&trial, post(), body).await.0, status);
        trial.saw(&[("http_extractor", Success), ("http_order", outcome)]);
        assert_eq!(trial.context()[0], ("user", "ada".to_owned()));
        assert_eq!(trial.error_type(), (status != 201).then(|| if status == 422 { "422" } else { "502" }));
    }
    let trial = Trial::new();
    assert_eq!(ask(&trial, Request::post("/order"), "[1]").await.0, 401);
    trial.saw(&[("http_extractor", Rejected)]);
}

#[critical_process(id = "http_status_sync", version = "1.0.0", sla = "10s")]
fn plain_status(of: u16) -> StatusCode {
    StatusCode::from_u16(of).unwrap()
}

#[critical_process(id = "http_error_response", version = "1.0.0", sla = "10s")]
async fn error_response(of: u16) -> Result<Response, Response> {
    let response = plain_status(of).into_response();
    if of < 300 { Ok(response) } else { Err(response) }
}

#[critical_process(id = "http_ok_with_500", version = "1.0.0", sla = "10s")]
async fn ok_with_a_failed_status() -> Result<(StatusCode, Json<u8>), std::fmt::Error> {
    Ok((StatusCode::INTERNAL_SERVER_ERROR, Json(1)))
}

#[critical_process(id = "http_err_with_200", version = "1.0.0", sla = "10s")]
async fn err_with_a_good_status() -> Result<(), (StatusCode, &'static str)> {
    Err((StatusCode::OK, "an error all the same"))
}

#[critical_process(id = "http_rejects", version = "1.0.0", sla = "10s", rejects((StatusCode::SERVICE_UNAVAILABLE, _)))]
async fn rules_go_before_the_status(of: StatusCode) -> Result<(), (StatusCode, String)> {
    Err((of, String::new()))
}

#[critical_process(id = "http_response_of_body", version = "1.0.0", sla = "10s")]
fn response_of_another_body() -> http::Response<Vec<u8>> {
    http::Response::builder().status(500).body(vec![]).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_status_decides_at_any_depth() {
    for (of, outcome) in [(201, Success), (404, Rejected), (500, Failure)] {
        assert_eq!(called("http_status_sync", outcome, || plain_status(of)), of);
        let trial = Trial::new();
        assert_eq!(trial.run(error_response(of)).await.is_ok(), of < 300);
        trial.saw(&[("http_status_sync", outcome), ("http_error_response", outcome)]);
    }
    assert!(ran("http_ok_with_500", Failure, ok_with_a_failed_status()).await.is_ok());
    assert!(ran("http_err_with_200", Failure, err_with_a_good_status()).await.is_err());
    let busy = rules_go_before_the_status(StatusCode::SERVICE_UNAVAILABLE);
    assert!(ran("http_rejects", Rejected, busy).await.is_err());
    let broken = rules_go_before_the_status(StatusCode::INTERNAL_SERVER_ERROR);
    assert!(ran("http_rejects", Failure, broken).await.is_err());
    assert_eq!(called("http_response_of_body", Failure, response_of_another_body).status(), 500);
}

#[critical_process(id = "http_assert_handler", version = "1.0.0", sla = "10s")]
async fn many_arguments(
    State(_app): State<App>,
    _: axum::http::Method,
    _: axum::http::Uri,
    Path((_a, _b)): Path<(String, u8)>,
    _headers: axum::http::HeaderMap,
    body: axum::body::Bytes,
) -> Result<impl IntoResponse + use<>, (StatusCode, Json<&'static str>)> {
    if body.is_empty() { Err((StatusCode::BAD_REQUEST, Json("empty"))) } else { Ok(body) }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_have_many_arguments_and_an_opaque_success() {
    let router = || {
        let router = Router::new().route("/{a}/{b}", post(many_arguments));
        router.with_state(App { prices: [].into() })
    };
    for (body, status, outcome) in [("", 400, Rejected), ("x", 200, Success)] {
        let trial = Trial::new();
        let request = Request::post("/a/1").body(Body::from(body)).unwrap();
        assert_eq!(trial.run(router().oneshot(request)).await.unwrap().status(), status);
        trial.saw(&[("http_assert_handler", outcome)]);
    }
}
