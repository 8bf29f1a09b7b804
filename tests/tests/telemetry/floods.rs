//! Clients, libraries and peers that send texts or numbers of any size: what leaves the program stays bounded, and what
//! was there before stays readable.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderName;
use axum::routing::post;
use process_runtime::timeline::{self, Found, Query};
use process_tests::collector::Collector;
use serde_json::Value;
use test_machine::program::unconfigured;

use super::{Scratch, ended, events_in, lost, sentry, spans_in, text};

/// Runs the program `flooded`. Returns its standard output and standard error.
async fn flooded(flood: &str, scratch: &Scratch, variables: &[(&str, &str)]) -> (String, String) {
    let mut command = unconfigured(env!("CARGO_BIN_EXE_flooded"));
    command.arg(&scratch.0).arg(flood);
    let output = ended(command, variables).await;
    (text(&output.stdout), text(&output.stderr))
}

fn find(scratch: &Scratch, key: &str, value: &str) -> Found {
    let query = Query { context: vec![(key.to_owned(), value.to_owned())], ..Query::default() };
    timeline::find(&scratch.0, &query, 10).unwrap()
}

/// Returns every text in a value, with the key of the attribute that it belongs to, or with its own name.
fn texts(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        Value::Array(values) => values.iter().for_each(|value| texts(name, value, found)),
        Value::Object(fields) => {
            let key = fields.get("key").and_then(Value::as_str);
            for (field, value) in fields {
                let is_value = field.ends_with("Value");
                texts(key.unwrap_or(if is_value { name } else { field }), value, found);
            }
        }
        _ => {}
    }
}

/// Returns the size of the longest line of the files of a signal, in bytes.
fn longest_line(scratch: &Scratch) -> usize {
    let files = std::fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().path());
    let lines = files
        .flat_map(|file| std::fs::read_to_string(file).unwrap().lines().map(str::len).collect::<Vec<_>>());
    lines.max().unwrap_or(0)
}

#[tokio::test]
async fn spans_of_any_library_are_bounded_and_erase_no_earlier_trace() {
    let scratch = Scratch::new();
    flooded("spans of other libraries", &scratch, &[]).await;
    let found = find(&scratch, "customer_id", "c-1");
    assert_eq!((found.timelines.len(), &found.skipped[..]), (1, &[][..]));
    let (spans, metrics) = (spans_in(&scratch.lines("traces")), scratch.lines("metrics"));
    // The program makes spans faster than a slow machine writes them.
    assert_eq!(spans.len() as u64 + lost(&metrics, "span"), 801);
    assert!(lost(&metrics, "cut") > 800);
    for span in &spans {
        let mut found = Vec::new();
        texts("", span, &mut found);
        for (name, text) in &found {
            let is_of_an_error = name.starts_with("exception.") || name == "message";
            let limit = if is_of_an_error { 8 << 10 } else { 1 << 10 };
            assert!(text.len() <= limit + 32, "{name}: {} bytes", text.len());
        }
        let bytes = found.iter().map(|(_, text)| text.len()).sum::<usize>();
        assert!(bytes <= (64 << 10) + 4096, "{bytes} bytes");
    }
    let request = spans.iter().find(|span| span["status"]["message"].as_str() != Some("")).unwrap();
    let status = request["status"]["message"].as_str().unwrap();
    assert!(status.ends_with(" bytes]"), "{status}");
    let marked = format!("{}…[+{} bytes]", "M".repeat(1 << 10), 390_000 - 1024);
    assert!(spans.iter().any(|span| span["name"] == *marked));
}

#[tokio::test]
async fn values_that_json_makes_longer_stay_readable() {
    let scratch = Scratch::new();
    flooded("full values", &scratch, &[]).await;
    for number in ["0", "255", "511"] {
        let found = find(&scratch, "number", number);
        assert_eq!((found.timelines.len(), &found.skipped[..]), (1, &[][..]), "{number}");
    }
    let longest = longest_line(&scratch);
    assert!(longest <= 4 << 20, "{longest} bytes");
}

#[tokio::test]
async fn a_collector_receives_full_spans_in_requests_that_it_accepts() {
    for protocol in ["grpc", "http/json"] {
        let (collector, place) = match protocol {
            "grpc" => Collector::over_grpc().await,
            _ => Collector::over_http().await,
        };
        let endpoint = format!("http://{place}");
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        flooded("full values", &Scratch::new(), &variables).await;
        assert_eq!(spans_in(&collector.traces()).len(), 512, "{protocol}");
        assert_eq!(lost(&collector.metrics(), "span"), 0, "{protocol}");
    }
}

#[tokio::test]
async fn a_collector_cannot_reject_more_than_it_received() {
    for protocol in ["http/protobuf", "grpc"] {
        let (collector, place) = match protocol {
            "grpc" => Collector::over_grpc().await,
            _ => Collector::over_http().await,
        };
        collector.reject(i64::MAX);
        let endpoint = format!("http://{place}");
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        flooded("two failures", &Scratch::new(), &variables).await;
        assert_eq!(spans_in(&collector.traces()).len(), 2, "{protocol}");
        assert_eq!(lost(&collector.metrics(), "span"), 2, "{protocol}");
    }
}

#[tokio::test]
async fn the_text_of_a_panic_arrives_cut() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    flooded("a long panic", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    let events = events_in(receiver).await;
    let [event] = &events[..] else { panic!("{} events", events.len()) };
    let value = event["exception"]["values"][0]["value"].as_str().unwrap();
    assert_eq!(value, format!("{}…[+{} bytes]", "x".repeat(8 << 10), 400_000 - (8 << 10)));
}

/// Starts a server in place of Sentry, which answers 200 with this header. Returns its DSN.
async fn limiting(name: &'static str, value: &'static str) -> String {
    let answer = ([(HeaderName::from_static(name), value)], "{}");
    let ingest = Router::new().route("/api/{project}/envelope/", post(async move || answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dsn = format!("http://public@{}/1", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, ingest).await });
    dsn
}

#[tokio::test]
async fn no_answer_silences_the_program_for_more_than_an_hour() {
    for (name, value) in [
        ("retry-after", "1e15"),
        ("retry-after", "inf"),
        ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ("x-sentry-rate-limits", "1e15::org"),
        ("x-sentry-rate-limits", "60:transaction:org, 1e15:default;error:org:reason"),
    ] {
        let dsn = limiting(name, value).await;
        let (report, _) = flooded("two failures", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
        let line = report.lines().find(|line| line.contains("it limits their rate")).expect(&report);
        let (_, seconds) = line.split_once("for another ").expect(line);
        let seconds: u64 = seconds.split(' ').next().unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&seconds), "{name}: {value}: {line}");
    }
}

#[tokio::test]
async fn the_limits_of_the_queues_and_of_an_event_can_be_changed() {
    let scratch = Scratch::new();
    flooded("a small queue", &scratch, &[]).await;
    assert!(lost(&scratch.lines("metrics"), "span") > 50);
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    flooded("a small event", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    let events = events_in(receiver).await;
    let [event] = &events[..] else { panic!("{} events", events.len()) };
    assert!(event.to_string().len() <= 4 << 10, "{event}");
    let mark = event["extra"]["critical_process.cut"].as_str().unwrap();
    assert!(mark.ends_with(" to 4096 bytes"), "{mark}");
}
