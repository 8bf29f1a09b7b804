//! A failed request can be traced to the stage that failed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::processes::{AXCOUNCIL, Place, User, trace_of};

/// Starts a server in place of Sentry. Returns its DSN and the envelopes that it receives.
async fn sentry() -> (String, UnboundedReceiver<String>) {
    let (sender, received) = unbounded_channel();
    let router = Router::new().route(
        "/api/{project}/envelope/",
        post(async move |body: String| {
            let _ = sender.send(body);
            "{}"
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async { axum::serve(listener, router).await });
    (format!("http://public@{address}/1"), received)
}

/// Returns the next event, and skips envelopes without an event.
async fn event(received: &mut UnboundedReceiver<String>) -> Value {
    loop {
        let envelope = tokio::time::timeout(Duration::from_secs(60), received.recv()).await;
        let envelope = envelope.expect("an event comes").expect("Sentry runs");
        let mut lines = envelope.lines();
        if lines.any(|line| line.contains("\"type\":\"event\"")) {
            return serde_json::from_str(lines.next().expect("an item has a body")).expect("it is JSON");
        }
    }
}

#[tokio::test]
async fn from_the_header_of_a_response_one_command_finds_the_stage_that_failed() {
    let place = Place::new();
    let (dsn, mut received) = sentry().await;
    let council = place.start(AXCOUNCIL, &["--serve"], &[("SENTRY_DSN", &dsn)]);
    let (api, models) = (council.url("API"), council.url("model provider"));
    let user = User::of(&api).await;
    user.set(&models, &json!({ "mode": "fail", "path": "/v1/rank", "model": "zephyr" })).await;
    let response =
        user.ask("/deliberations", &json!({ "question": "Why?" })).send().await.expect("it answers");
    assert_eq!(response.status(), 502);
    let trace = trace_of(&response);
    let body: Value = response.json().await.expect("it is JSON");
    let message = body["error"]["message"].clone();
    assert_eq!(
        body,
        json!({ "error": { "code": "council_unavailable", "message": message, "trace_id": trace } })
    );

    // The command runs immediately, as a user would run it after a failure.
    let began = Instant::now();
    let found = place.run(AXCOUNCIL, &["trace", "--id", &trace]);
    let took = began.elapsed();
    let drawn = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.success(), "{found:?}");
    assert!(
        drawn.contains("failed at council_deliberation_3stage.stage2: model_status, calling model_provider"),
        "{drawn}"
    );
    // The command draws the whole trace, including what is written only after the command has started.
    assert!(drawn.contains("  council_deliberation_3stage  "), "{drawn}");
    println!("one command, {took:.1?} from the response:\n{drawn}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");

    let event = event(&mut received).await;
    assert_eq!(event["contexts"]["trace"]["trace_id"], trace);
    assert_eq!(event["tags"]["process_id"], "council_deliberation_3stage");
    assert_eq!(event["contexts"]["process"]["stage"], "stage2");
    assert_eq!(event["contexts"]["process"]["error_type"], "model_status");
    council.stop();
}

#[tokio::test]
async fn what_happened_to_a_user_at_some_time_is_found_by_that() {
    let place = Place::new();
    let council = place.start(AXCOUNCIL, &["--serve"], &[]);
    let user = User::of(&council.url("API")).await;
    let answer = user.ask("/knowledge", &json!({ "title": "t", "body": "b" })).send().await;
    let trace = trace_of(&answer.expect("it answers"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    council.stop();
    let time = |seconds: u64| format!("{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60);
    let find = |context: &str, around: u64| {
        let found = place.run(AXCOUNCIL, &["trace", "--context", context, "--around", &time(around)]);
        (found.status.success(), String::from_utf8_lossy(&found.stdout).into_owned())
    };
    let (is_found, drawn) = find("user_id=1", now);
    assert!(is_found && drawn.contains(&format!("trace {trace}, ")), "{drawn}");
    assert!(drawn.contains("knowledge_entry_save") && drawn.contains("→ sqlite"), "{drawn}");
    for (context, around) in [("user_id=2", now), ("user_id=1", now - 3600)] {
        let (is_found, drawn) = find(context, around);
        assert!(!is_found && drawn.starts_with("No trace in "), "{context}: {drawn}");
    }
}
