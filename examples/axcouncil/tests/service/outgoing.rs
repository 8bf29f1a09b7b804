//! The business context that providers receive: models receive the company, the payment provider receives nothing.

use axcouncil::ACME_USER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use reqwest::Url;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::client::{Service, code};

/// Starts a provider that gives every request the same answer. Returns its URL, and the headers of each request.
async fn provider(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> (Url, UnboundedReceiver<HeaderMap>) {
    let (sender, received) = unbounded_channel();
    let router = Router::new().fallback(async move |headers: HeaderMap| {
        sender.send(headers).expect("the test still listens");
        answer()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    tokio::spawn(async { axum::serve(listener, router).await });
    (url.parse().expect("it is a URL"), received)
}

#[tokio::test]
async fn the_payment_provider_receives_nothing_about_the_customer() {
    let (url, mut received) = provider(|| Json(json!({ "id": "ch_1" })).into_response()).await;
    let service = Service::with(|config| config.payments = Some(url)).await;
    let token = service.login(ACME_USER).await;
    let order = json!({ "plan": "team", "seats": 3, "card": "tok_visa" });
    assert_eq!(service.post("/subscriptions", &token, &order).await.0, 201);
    let headers = received.recv().await.expect("it was asked");
    let names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    // This service exports no traces. `services/two.rs` tests that the trace continues in the next service.
    let known = ["accept", "content-length", "content-type", "host", "traceparent", "tracestate"];
    assert!(names.iter().all(|name| known.contains(name)), "{headers:?}");
}

#[tokio::test]
async fn the_models_receive_the_company_and_a_host_that_a_caller_names_does_not() {
    let (elsewhere, mut sent_elsewhere) = provider(|| StatusCode::OK.into_response()).await;
    let redirect =
        move || (StatusCode::TEMPORARY_REDIRECT, [("location", elsewhere.to_string())]).into_response();
    let (url, mut received) = provider(redirect).await;
    let service = Service::with(|config| config.models = Some(url)).await;
    let token = service.login(ACME_USER).await;
    let (status, body) = service.post("/deliberations", &token, &json!({ "question": "Why?" })).await;
    assert_eq!((status, code(&body)), (502, "council_unavailable"));
    let headers = received.recv().await.expect("they were asked");
    assert_eq!(headers["baggage"], "company_id=1");
    assert!(sent_elsewhere.try_recv().is_err(), "a redirect was followed");
}
