//! Collectors, ports and directories that do not accept telemetry. Each is reported once, and the program waits only
//! for a limited time.

use std::path::PathBuf;

use axum::Router;
use axum::response::{IntoResponse as _, Redirect};
use process_tests::collector::Collector;
use process_tests::loaded::Loaded;

use super::{Scratch, judge_metrics, judge_spans, lost, run, spans_in, text, under};

#[tokio::test]
async fn a_collector_that_cannot_be_reached_is_reported_once() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for protocol in ["http/protobuf", "grpc"] {
        let scratch = Scratch::new();
        let endpoint = format!("http://127.0.0.1:{port}");
        let output = run(
            &scratch,
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)],
        )
        .await;
        let lines = text(&output.stderr);
        let of_telemetry: Vec<_> = lines.lines().filter(|line| !line.contains(": failure after ")).collect();
        let [why, end] = of_telemetry[..] else { panic!("{protocol}: {lines}") };
        let peer = format!("cannot send telemetry to 127.0.0.1:{port}: ");
        assert!(why.contains(&peer) && why.contains("Connection refused"), "{protocol}: {why}");
        assert!(end.contains("some telemetry was not sent"), "{protocol}: {end}");
    }
}

#[test]
fn a_collector_that_never_answers_is_reported_once_however_often_it_is_tried() {
    // The system accepts connections, and the test never reads from them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let scratch = Scratch::new();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "20"),
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
        ("OTEL_METRICS_EXPORTER", "none"),
    ];
    let binary = std::process::Command::new(env!("CARGO_BIN_EXE_loaded"));
    let mut service = Loaded::start(binary, &scratch.0, 0, &variables);
    service.run();
    let report: Vec<String> = serde_json::from_value(service.ask("figures")["report"].take()).unwrap();
    let [why] = &report[..] else { panic!("{report:#?}") };
    assert!(why.contains("cannot send telemetry to"), "{why}");
}

#[test]
fn a_program_ends_within_a_bound_whatever_hangs() {
    // The system accepts connections, and the test never reads from them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    let (endpoint, dsn) = (format!("http://{place}"), format!("http://public@{place}/1"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for protocol in ["http/protobuf", "grpc"] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
            ("SENTRY_DSN", &dsn),
            ("RUST_LOG", "off"),
        ];
        let output = runtime.block_on(under("everything hangs", &Scratch::new(), &variables));
        let took: u64 = text(&output.stdout).trim().parse().unwrap();
        // The promised bound is five seconds. The rest allows for a slow machine.
        assert!((2_000..7_000).contains(&took), "{protocol}: it took {took} ms");
        let lines = text(&output.stderr);
        assert_eq!(lines.matches("some telemetry was not sent").count(), 1, "{protocol}: {lines}");
    }
}

#[tokio::test]
async fn spans_that_a_collector_rejects_are_counted() {
    for protocol in ["http/protobuf", "http/json", "grpc"] {
        let (collector, place) = match protocol {
            "grpc" => Collector::over_grpc().await,
            _ => Collector::over_http().await,
        };
        collector.reject(3);
        let endpoint = format!("http://{place}");
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let output = run(&Scratch::new(), &variables).await;
        let lines = text(&output.stderr);
        assert_eq!(lines.matches("PartialSuccess, error_message: too old").count(), 1, "{protocol}: {lines}");
        let rejected = 3 * collector.traces().len() as u64;
        assert_eq!(lost(&collector.metrics(), "span"), rejected, "{protocol}");
    }
}

#[tokio::test]
async fn a_port_for_prometheus_that_is_taken_is_reported_once() {
    let scratch = Scratch::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let variables = [
        ("OTEL_METRICS_EXPORTER", "console,prometheus"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", &port),
    ];
    let lines = text(&run(&scratch, &variables).await.stderr);
    assert_eq!(lines.matches(&format!("cannot serve Prometheus at 127.0.0.1:{port}")).count(), 1, "{lines}");
    judge_spans(&spans_in(&scratch.lines("traces")));
    judge_metrics(&scratch.lines("metrics"));
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_reported_once() {
    let output = run(&Scratch(PathBuf::from("/dev/null/telemetry")), &[]).await;
    let lines = text(&output.stderr);
    let of_telemetry: Vec<_> = lines.lines().filter(|line| line.contains("elemetry")).collect();
    // The metrics are exported when telemetry starts, and the spans later.
    let [metrics, traces, end] = of_telemetry[..] else { panic!("{lines}") };
    assert!(traces.contains("cannot write traces to /dev/null/telemetry"), "{traces}");
    assert!(metrics.contains("cannot write metrics to /dev/null/telemetry"), "{metrics}");
    assert!(end.contains("some telemetry was not sent"), "{end}");
}

#[tokio::test]
async fn a_redirect_is_not_a_delivery() {
    let collector =
        Router::new().fallback(async |request: axum::extract::Request| match request.uri().path() {
            "/login" => axum::http::StatusCode::OK.into_response(),
            _ => Redirect::to("/login").into_response(),
        });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, collector).await });
    let output = run(&Scratch::new(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let lines = text(&output.stderr);
    assert!(lines.contains("some telemetry was not sent"), "{lines}");
}
