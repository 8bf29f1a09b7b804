//! Checks every byte that a collector and a Sentry server receive from the program.

use std::sync::{Arc, Mutex};

use axcouncil::{ACME_USER, PASSWORD};
use axum::Router;
use axum::body::Bytes;
use serde_json::json;
use tokio::net::TcpListener;

use crate::processes::{AXCOUNCIL, Place, User};

// The test blocks its thread while it waits for the program, so the peer answers on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_leaves_unless_it_is_named() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    let peer = Router::new().fallback(async move |body: Bytes| {
        kept.lock().expect("no test panics in here").extend_from_slice(&body);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async { axum::serve(listener, peer).await });

    let place = Place::new();
    let (endpoint, dsn) = (format!("http://{address}"), format!("http://public@{address}/1"));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("SENTRY_DSN", &dsn),
        ("SENTRY_TRACES_SAMPLE_RATE", "1"),
    ];
    let council = place.start(AXCOUNCIL, &["--serve"], &variables);
    let (api, payments) = (council.url("API"), council.url("payment provider"));
    let user = User::of(&api).await;
    let answers =
        async |path, body| user.ask(path, &body).send().await.expect("it answers").status().as_u16();
    let guess = json!({ "email": ACME_USER, "password": "canary-password" });
    assert_eq!(answers("/login", guess).await, 401);
    let stranger = json!({ "email": "canary@nowhere.example", "password": PASSWORD });
    assert_eq!(answers("/login", stranger).await, 401);
    assert_eq!(answers("/deliberations", json!({ "question": "" })).await, 422);
    let plan = json!({ "plan": "team", "seats": 5, "card": "canary-card" });
    assert_eq!(answers("/subscriptions", plan.clone()).await, 201);
    user.set(&payments, &json!({ "mode": "fail" })).await;
    assert_eq!(answers("/subscriptions", plan).await, 502);
    council.stop();

    let received = received.lock().expect("no test panics in here");
    let holds = |text: &str| received.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    for sent in
        ["user_authentication", "rejected", "wrong_password", "payment_subscription", r#""type":"event""#]
    {
        assert!(holds(sent), "{sent} is among {} bytes", received.len());
    }
    let secrets = ["canary", PASSWORD, ACME_USER, user.token()];
    for secret in secrets {
        assert!(!holds(secret), "{secret} left the program");
    }
}
