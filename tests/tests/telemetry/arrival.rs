//! Telemetry arrives over every protocol, with all promised attributes and units.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use process_tests::collector::Collector;
use serde_json::Value;
use test_machine::program::unconfigured;

use super::{Scratch, all, attributes, judge_metrics, judge_spans, metrics_in, of, run, spans_in, text};

fn nothing_secret(bytes: &str) {
    assert!(bytes.contains("sign_in"), "the rejected login is in it");
    assert!(!bytes.contains("canary"), "an argument that is not named, or error text, left the program");
}

#[tokio::test]
async fn with_nothing_configured_there_are_files_and_lines() {
    let scratch = Scratch::new();
    let output = run(&scratch, &[]).await;
    let traces = scratch.lines("traces");
    judge_spans(&spans_in(&traces));
    let resource = attributes(&traces[0]["resourceSpans"][0]["resource"]);
    assert_eq!((&*resource["service.name"], &*resource["service.version"]), ("reporting", "1.2.3"));
    let metrics = scratch.lines("metrics");
    judge_metrics(&metrics);
    nothing_secret(&traces.iter().chain(&metrics).map(Value::to_string).collect::<String>());

    let (log, lines) = (text(&output.stdout), text(&output.stderr));
    assert!(log.contains("traces: OTLP-JSON files in") && log.contains("the day is over"), "{log}");
    assert!(lines.contains("process=place_order.charge outcome=success"), "{lines}");
    assert!(
        lines.contains("process=place_order outcome=rejected") && lines.contains("customer_id=c-3"),
        "{lines}"
    );
    assert!(lines.contains("unknown card canary-4929"), "error text goes to the local console: {lines}");
    let failed = lines.lines().find(|line| line.contains("process=place_order outcome=failure"));
    let failed = failed.unwrap_or_else(|| panic!("{lines}"));
    let spans = spans_in(&traces);
    let trace = of(&spans, "place_order", "c-4")["traceId"].as_str().unwrap();
    assert!(failed.contains("customer_id=c-4") && failed.contains(trace), "{failed}");
    assert!(lines.contains("the checkout failed: unknown card canary-4929: an error occurred"), "{lines}");
}

async fn arrives(collector: Collector, place: SocketAddr, protocol: &str) {
    let scratch = Scratch::new();
    let endpoint = format!("http://{place}");
    let output = run(
        &scratch,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)],
    )
    .await;
    assert!(!scratch.0.exists(), "no files where an exporter is configured: {output:?}");
    let (traces, metrics) = (collector.traces(), collector.metrics());
    judge_spans(&spans_in(&traces));
    assert_eq!(attributes(&traces[0]["resourceSpans"][0]["resource"])["service.name"], "reporting");
    judge_metrics(&metrics);
    nothing_secret(&traces.iter().chain(&metrics).map(Value::to_string).collect::<String>());
}

#[tokio::test]
async fn it_arrives_over_http() {
    let (collector, place) = Collector::over_http().await;
    arrives(collector, place, "http/protobuf").await;
}

#[tokio::test]
async fn it_arrives_over_http_as_json() {
    let (collector, place) = Collector::over_http().await;
    arrives(collector, place, "http/json").await;
}

#[tokio::test]
async fn it_arrives_over_grpc() {
    let (collector, place) = Collector::over_grpc().await;
    arrives(collector, place, "grpc").await;
}

/// Starts a program with 171 processes that waits for its standard input, and returns the metrics of its first export.
async fn first_export() -> Vec<Value> {
    let (collector, place) = Collector::over_http().await;
    let mut command = unconfigured(env!("CARGO_BIN_EXE_first_failure"));
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{place}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    let started = Instant::now();
    let mut program = command.kill_on_drop(true).spawn().expect("the program starts");
    while collector.metrics().is_empty() {
        // The default interval of exports is a minute.
        assert!(started.elapsed() < Duration::from_secs(20), "nothing was exported at the start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = collector.metrics();
    drop(program.stdin.take());
    assert!(program.wait().await.expect("it ends").success());
    metrics_in(&first)
}

#[tokio::test]
async fn the_start_is_exported_once_with_every_counter_of_an_alert_at_zero() {
    let metrics = first_export().await;
    let points = |name: &str| {
        let metric = metrics.iter().find(|metric| metric["name"] == name);
        all(&metric.unwrap_or_else(|| panic!("{name} is not in {metrics:?}"))["sum"], "dataPoints")
    };
    for (name, series) in [("sli.bad", 1), ("sli.valid", 1), ("started", 1), ("runs", 12)] {
        let points = points(&format!("critical_process.{name}"));
        assert!(
            points.iter().all(|point| point["asInt"] == "0" || point["asInt"] == 0),
            "{name}: {points:?}"
        );
        let of = |point: &Value| attributes(point).get("critical_process.id").cloned();
        // No series was added to the one of those that exceed a limit.
        assert!(points.iter().all(|point| of(point).is_some()), "{name}");
        assert_eq!(points.len(), 171 * series, "{name}");
    }
}
