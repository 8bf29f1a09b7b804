//! Environment variables with valid and invalid values.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, Uri};
use process_tests::collector::Collector;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

use super::{Scratch, attributes, judge_spans, of, run, spans_in, text};

/// A server that accepts every request, and keeps where it was sent and its headers.
#[derive(Clone, Default)]
struct Heads(Arc<Mutex<Vec<(Uri, HeaderMap)>>>);

impl Heads {
    async fn start() -> (Heads, SocketAddr) {
        let (heads, listener) = (Heads::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (place, kept) = (listener.local_addr().unwrap(), heads.clone());
        let keep = async move |uri: Uri, headers: HeaderMap| kept.0.lock().unwrap().push((uri, headers));
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(keep)).await });
        (heads, place)
    }

    fn kept(&self) -> Vec<(Uri, HeaderMap)> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn headers_that_can_be_sent_are_sent_and_the_others_are_reported() {
    for protocol in ["http/protobuf", "grpc"] {
        let (heads, place) = Heads::start().await;
        let (endpoint, scratch) = (format!("http://{place}"), Scratch::new());
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "api-key=Basic%20canary,bad name=canary,b=canary%0A,te=canary,%78-last= z ",
            ),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP"),
        ];
        let lines = text(&run(&scratch, &variables).await.stderr);
        let kept = heads.kept();
        assert!(!kept.is_empty(), "{protocol}: {lines}");
        for (_, headers) in &kept {
            assert_eq!(headers["api-key"], "Basic canary", "{protocol}");
            assert_eq!(headers["x-last"], "z", "{protocol}");
            assert!(!headers.contains_key("b"), "{protocol}: {headers:?}");
            assert_ne!(headers.get("te").map(|te| te.as_bytes()), Some(&b"canary"[..]), "{protocol}");
            let compression = ["content-encoding", "grpc-encoding"].map(|name| headers.contains_key(name));
            assert!(compression.contains(&true), "{protocol}: {headers:?}");
        }
        for entry in 2..=4 {
            let report = format!("invalid OTEL_EXPORTER_OTLP_HEADERS, entry {entry}: ");
            assert_eq!(lines.matches(&report).count(), 1, "{protocol}: {lines}");
        }
        assert!(lines.lines().all(|line| !line.contains("OTEL") || !line.contains("canary")), "{lines}");
    }
}

#[tokio::test]
async fn the_path_of_a_signal_is_before_the_query_of_an_endpoint() {
    let (heads, place) = Heads::start().await;
    let endpoint = format!("http://user:canary@{place}/base/?token=a%2Fb#part");
    let lines = text(&run(&Scratch::new(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await.stderr);
    let mut paths: Vec<_> = heads.kept().iter().map(|(uri, _)| uri.to_string()).collect();
    paths.sort();
    paths.dedup();
    let expected = ["logs", "metrics", "traces"].map(|signal| format!("/base/v1/{signal}?token=a%2Fb"));
    assert_eq!(paths, expected, "{lines}");
    assert_eq!(lines.matches("invalid OTEL_EXPORTER_OTLP_ENDPOINT").count(), 2, "{lines}");
    assert!(lines.lines().all(|line| !line.contains("OTEL") || !line.contains("canary")), "{lines}");
}

#[tokio::test]
async fn a_proxy_is_used_and_an_invalid_one_is_reported() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://user:canary@{}", proxy.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (stream, _) = proxy.accept().await.unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.unwrap();
        line
    });
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318");
    run(&Scratch::new(), &[endpoint, ("HTTP_PROXY", &address), ("OTEL_METRICS_EXPORTER", "none")]).await;
    let line = asked.await.unwrap();
    assert!(line.starts_with("CONNECT collector.invalid:4318 "), "{line}");

    let (collector, place) = Collector::over_http().await;
    let endpoint = format!("http://{place}");
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("HTTP_PROXY", "socks5://user:canary@proxy")];
    let lines = text(&run(&Scratch::new(), &variables).await.stderr);
    assert_eq!(lines.matches("invalid HTTP_PROXY `socks5://…`").count(), 1, "{lines}");
    judge_spans(&spans_in(&collector.traces()));
}

#[tokio::test]
async fn a_proxy_that_a_client_of_a_cgi_program_may_have_chosen_is_not_used() {
    let (collector, place) = Collector::over_http().await;
    let endpoint = format!("http://{place}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("HTTP_PROXY", "http://user:canary@127.0.0.1:9"),
        ("REQUEST_METHOD", "GET"),
    ];
    let lines = text(&run(&Scratch::new(), &variables).await.stderr);
    assert_eq!(lines.matches("HTTP_PROXY is ignored, because REQUEST_METHOD is set").count(), 1, "{lines}");
    assert!(lines.lines().all(|line| !line.contains("PROXY") || !line.contains("canary")), "{lines}");
    judge_spans(&spans_in(&collector.traces()));
}

#[tokio::test]
async fn a_secret_in_a_variable_with_a_mistake_is_not_printed() {
    let variables = [
        ("SENTRY_DNS", "https://canary@sentry.example/1"),
        ("OTEL_EXPORTER_OTLP_HEADRES", "api-key=canary"),
        ("OTEL_EXPORTER_OTLP_URL", "https://user:canary@collector"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "user:canary%40collector"),
        ("OTEL_TRACES_EXPORTER", "https://user:canary@collector"),
        ("OTEL_UNSUPPORTED", " "),
    ];
    let lines = text(&run(&Scratch::new(), &variables).await.stderr);
    let named: Vec<_> =
        lines.lines().filter(|line| line.contains("OTEL_") || line.contains("SENTRY_")).collect();
    assert_eq!(named.len(), variables.len() - 1, "{lines}");
    assert!(named.iter().all(|line| !line.contains("canary")), "{lines}");
}

#[tokio::test]
async fn a_temporality_is_a_problem_only_of_metrics_that_are_sent_over_otlp() {
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let (_collector, place) = Collector::over_http().await;
    let endpoint = format!("http://{place}");
    let sent = [(name, "delta"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)];
    let disabled = [sent[0], sent[1], ("OTEL_SDK_DISABLED", "true")];
    for (variables, reports) in [(&sent[..1], 0), (&sent[..], 1), (&disabled[..], 0)] {
        let lines = text(&run(&Scratch::new(), variables).await.stderr);
        assert_eq!(lines.matches("delta temporality").count(), reports, "{variables:?}: {lines}");
    }
}

#[tokio::test]
async fn a_span_has_at_most_the_configured_attributes_with_its_inherited_context() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let query = spans.iter().find(|span| span["name"] == "query").unwrap();
    assert!(query["droppedAttributesCount"].as_u64().is_some_and(|dropped| dropped > 0), "{query:#}");
    for span in &spans {
        assert!(attributes(span).len() <= 3, "{span:#}");
    }
}

#[tokio::test]
async fn resource_attributes_are_decoded_and_an_invalid_one_costs_itself() {
    let scratch = Scratch::new();
    let list = "team%2Ename = a%2Cb%20c ,nothing,=x,share=100%,,service.namespace=shop";
    let lines = text(&run(&scratch, &[("OTEL_RESOURCE_ATTRIBUTES", list)]).await.stderr);
    let resource = attributes(&scratch.lines("traces")[0]["resourceSpans"][0]["resource"]);
    for (key, value) in [
        ("team.name", "a,b c"),
        ("share", "100%"),
        ("service.namespace", "shop"),
        ("service.name", "reporting"),
        ("telemetry.sdk.language", "rust"),
    ] {
        assert_eq!(resource.get(key).map(String::as_str), Some(value), "{resource:?}");
    }
    for entry in 2..=4 {
        let report = format!("invalid OTEL_RESOURCE_ATTRIBUTES, entry {entry}: ");
        assert_eq!(lines.matches(&report).count(), 1, "{lines}");
    }
}

#[tokio::test]
async fn a_variable_without_the_effect_that_its_value_has_elsewhere_is_named() {
    let scratch = Scratch::new();
    let variables = [
        ("OTEL_SDK_DISABLED", "1"),
        ("OTEL_LOG_LEVEL", "debug"),
        ("OTEL_EXPORTER_OLTP_HEADERS", "api-key=canary"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
        ("RUST_LOG", "infoo"),
        ("OTEL_PYTHON_LOG_LEVEL", "debug"),
    ];
    let output = run(&scratch, &variables).await;
    let (log, lines) = (text(&output.stdout), text(&output.stderr));
    for report in [
        "invalid OTEL_SDK_DISABLED `1`: use `true` or `false`; this value is ignored, and `false` applies",
        "unknown variable OTEL_LOG_LEVEL `debug`: ",
        "unknown variable OTEL_EXPORTER_OLTP_HEADERS: ",
        "invalid OTEL_PROPAGATORS, entry 2: `b3` is unknown",
        "invalid RUST_LOG, entry 1: `infoo`: it is not a level",
    ] {
        assert_eq!(lines.matches(report).count(), 1, "{report} in {lines}");
    }
    assert!(!lines.contains("OTEL_PYTHON"), "it is for another language: {lines}");
    assert!(log.contains("the day is over"), "`info` applies: {log}");
    judge_spans(&spans_in(&scratch.lines("traces")));
}

#[tokio::test]
async fn the_log_has_escape_sequences_only_on_a_terminal() {
    let output = run(&Scratch::new(), &[("RUST_LOG", "debug"), ("TERM", "xterm")]).await;
    assert!(text(&output.stdout).contains("the day is over"));
    assert!(![&output.stdout, &output.stderr].iter().any(|bytes| bytes.contains(&0x1b)), "{output:?}");
}

#[tokio::test]
async fn a_wrong_variable_is_reported_and_the_rest_works() {
    let scratch = Scratch::new();
    let output = run(
        &scratch,
        &[
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("SENTRY_DSN", "not a dsn"),
            ("RUST_LOG", "==="),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ],
    )
    .await;
    let lines = text(&output.stderr);
    for wrong in [
        "invalid OTEL_TRACES_EXPORTER `zipkin`",
        "invalid SENTRY_DSN",
        "invalid RUST_LOG",
        "invalid OTEL_BSP_MAX_QUEUE_SIZE `many`",
    ] {
        assert_eq!(lines.matches(wrong).count(), 1, "{wrong} in {lines}");
    }
    judge_spans(&spans_in(&scratch.lines("traces")));
}

#[tokio::test]
async fn a_disabled_sdk_sends_nothing() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_SDK_DISABLED", "true")]).await;
    assert!(!scratch.0.exists());
}

#[tokio::test]
async fn texts_are_as_long_as_the_variable_allows() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let says = attributes(of(&spans, "place_order.charge", "c-1"));
    assert_eq!((&*says["critical_process.stage"], &*says["critical_process.id"]), ("cha", "pla"));
    assert_eq!(says["critical_process.late"], "false", "it is not a text");
}

#[tokio::test]
async fn a_variable_means_what_opentelemetry_documents() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_TRACES_SAMPLER", "ALWAYS_OFF ")]).await;
    assert!(scratch.lines("traces").is_empty());
    let scratch = Scratch::new();
    let unset = [("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")];
    let lines = text(&run(&scratch, &unset).await.stderr);
    assert_eq!(lines.matches("the variable is ignored").count(), 2, "{lines}");
    judge_spans(&spans_in(&scratch.lines("traces")));
}
