//! `telemetry::init` from outside: a program that calls it, and what arrives at collectors, at Sentry and in files.

mod secure;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use process_tests::collector::Collector;
use process_tests::loaded::Loaded;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::mpsc;

/// A directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("telemetry-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }

    /// The lines of all files of a signal.
    fn lines(&self, signal: &str) -> Vec<Value> {
        let Ok(entries) = std::fs::read_dir(&self.0) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.to_string_lossy().ends_with(&format!("-{signal}.otlp.jsonl")));
        files.sort();
        let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
        texts
            .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the program; whatever happens to its telemetry, it ends well and soon.
async fn run(scratch: &Scratch, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reporting"));
    command.arg(&scratch.0);
    ended(command, variables).await
}

/// Runs the program that has circumstances.
async fn under(circumstance: &str, scratch: &Scratch, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circumstances"));
    command.arg(&scratch.0).arg(circumstance);
    ended(command, variables).await
}

async fn ended(mut command: Command, variables: &[(&str, &str)]) -> Output {
    command.kill_on_drop(true);
    for (name, _) in std::env::vars() {
        let is_of_telemetry = name.starts_with("OTEL_") || name.starts_with("SENTRY_");
        if is_of_telemetry || ["RUST_LOG", "SSL_CERT_FILE"].contains(&&*name) {
            command.env_remove(name);
        }
    }
    // The panic hook of the standard library takes its time for a backtrace.
    command.env("RUST_BACKTRACE", "0").envs(variables.iter().copied());
    let started = Instant::now();
    let output = command.output().await.expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The spans of OTLP-JSON requests.
fn spans_in(requests: &[Value]) -> Vec<Value> {
    let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let resources = requests.iter().flat_map(|request| all(request, "resourceSpans"));
    let scopes = resources.flat_map(|resource| all(&resource, "scopeSpans"));
    scopes.flat_map(|scope| all(&scope, "spans")).collect()
}

/// The attributes of a span or resource, as texts.
fn attributes(of: &Value) -> BTreeMap<String, String> {
    let pairs = of["attributes"].as_array().into_iter().flatten();
    let text = |value: &Value| {
        let value = value.as_object().and_then(|kinds| kinds.values().next()).cloned().unwrap_or_default();
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    };
    pairs.map(|pair| (pair["key"].as_str().unwrap().to_owned(), text(&pair["value"]))).collect()
}

fn named<'s>(spans: &'s [Value], name: &str) -> Vec<&'s Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

/// The one span of this name whose run was for this customer.
fn of<'s>(spans: &'s [Value], name: &str, customer: &str) -> &'s Value {
    let is_theirs = |span: &&&Value| attributes(span).get("customer_id").is_some_and(|id| id == customer);
    let found: Vec<_> = named(spans, name).into_iter().filter(|span| is_theirs(&span)).collect();
    assert_eq!(found.len(), 1, "{name} of {customer} among {spans:#?}");
    found[0]
}

/// What DESIGN.md promises of the spans of this program, wherever they arrive.
fn judge_spans(spans: &[Value]) {
    let run = of(spans, "place_order", "c-1");
    let says = attributes(run);
    let expected = [
        ("critical_process.id", "place_order"),
        ("critical_process.version", "1.2.0"),
        ("critical_process.criticality", "critical"),
        ("critical_process.outcome", "success"),
        ("critical_process.late", "false"),
        ("code.function.name", "reporting::place_order"),
        ("items", "2"),
        ("total", "500"),
    ];
    for (name, value) in expected {
        assert_eq!(says.get(name).map(String::as_str), Some(value), "{name} in {says:?}");
    }
    assert!(says["code.file.path"].ends_with("reporting.rs"), "{says:?}");
    assert!(says.contains_key("code.line.number"), "{says:?}");
    assert_eq!(run["parentSpanId"], of(spans, "around", "c-1")["spanId"]);

    let stage = of(spans, "place_order.charge", "c-1");
    assert_eq!(stage["parentSpanId"], run["spanId"]);
    assert_eq!(attributes(stage)["critical_process.stage"], "charge");
    let query = of(spans, "query", "c-1");
    assert_eq!((&query["parentSpanId"], &query["traceId"]), (&stage["spanId"], &run["traceId"]));

    assert_eq!(
        stage["events"].as_array().map(Vec::len),
        Some(1),
        "the warning, and nothing below it: {stage:#?}"
    );

    let rejected = of(spans, "place_order", "c-3");
    assert_eq!(attributes(rejected)["critical_process.outcome"], "rejected");
    assert_ne!(rejected["status"]["code"], 2);
    let failed = of(spans, "place_order", "c-4");
    assert_eq!(attributes(failed)["error.type"], "reporting::OrderError");
    assert_eq!(failed["status"]["code"], 2);

    // Made in the first customer's run, and ended in the second's.
    of(spans, "prefetch", "c-1");
    assert_eq!(named(spans, "prefetch").len(), 1);
    let keep_alive = named(spans, "keep_alive");
    assert_eq!(keep_alive.len(), 1);
    assert!(!attributes(keep_alive[0]).contains_key("customer_id"), "{:?}", keep_alive[0]);
}

/// Every instrument has its unit, and every SLA is a boundary.
fn judge_metrics(requests: &[Value]) {
    let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let resources = requests.iter().flat_map(|request| all(request, "resourceMetrics"));
    let scopes = resources.flat_map(|resource| all(&resource, "scopeMetrics"));
    let metrics: Vec<_> = scopes.flat_map(|scope| all(&scope, "metrics")).collect();
    let units = [
        ("critical_process.duration", "s"),
        ("critical_process.sla.utilization", "1"),
        ("critical_process.stage.duration", "s"),
        ("critical_process.started", "{run}"),
        ("critical_process.runs", "{run}"),
        ("critical_process.active", "{run}"),
        ("critical_process.overdue", "{run}"),
    ];
    let bounds = |name: &str| {
        let metric = metrics.iter().rfind(|metric| metric["name"] == name).unwrap();
        let bounds = metric["histogram"]["dataPoints"][0]["explicitBounds"].as_array().unwrap();
        bounds.iter().map(|bound| bound.as_f64().unwrap()).collect::<Vec<_>>()
    };
    for (name, unit) in units {
        let metric = metrics.iter().find(|metric| metric["name"] == name);
        assert_eq!(metric.map(|metric| &metric["unit"]), Some(&Value::from(unit)), "{name} in {metrics:#?}");
    }
    let [processes, stages] = ["critical_process.duration", "critical_process.stage.duration"].map(bounds);
    // None of them is a boundary anyway.
    assert!([2.7, 1.3].iter().all(|sla| processes.contains(sla)), "{processes:?}");
    assert!(stages.contains(&0.7), "{stages:?}");
    assert!(bounds("critical_process.sla.utilization").contains(&1.0));
}

fn nothing_secret(bytes: &str) {
    assert!(bytes.contains("sign_in"), "the rejected login is told of");
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
    assert!(lines.contains("place_order.charge: success"), "{lines}");
    assert!(lines.contains("place_order: rejected after") && lines.contains("customer_id=c-3"), "{lines}");
    assert!(lines.contains("there is no card canary-4929"), "error text goes to the local console: {lines}");
    let failed = lines.lines().find(|line| line.contains("place_order: failure after"));
    let failed = failed.unwrap_or_else(|| panic!("{lines}"));
    let spans = spans_in(&traces);
    let trace = of(&spans, "place_order", "c-4")["traceId"].as_str().unwrap();
    assert!(failed.contains("customer_id=c-4") && failed.contains(trace), "{failed}");
    assert!(
        lines.contains("the checkout failed: there is no card canary-4929: an error occurred"),
        "{lines}"
    );
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

#[tokio::test]
async fn a_collector_that_cannot_be_reached_is_told_once() {
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
        let peer = format!("127.0.0.1:{port} takes no telemetry: ");
        assert!(why.contains(&peer) && why.contains("Connection refused"), "{protocol}: {why}");
        assert!(end.contains("not all telemetry could be sent"), "{protocol}: {end}");
    }
}

#[test]
fn a_collector_that_never_answers_is_told_once_however_often_it_is_tried() {
    // Connections are made by the system, and nobody takes them.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", deaf.local_addr().unwrap());
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
    assert!(why.contains("takes no telemetry"), "{why}");
}

#[test]
fn a_program_ends_within_a_bound_whoever_hangs() {
    // Connections are made by the system, and nobody takes them.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = deaf.local_addr().unwrap();
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
        // Five seconds are promised, and that nobody is waited for longer; the rest is the machine's.
        assert!((2_000..7_000).contains(&took), "{protocol}: it took {took} ms");
        let lines = text(&output.stderr);
        assert_eq!(lines.matches("not all telemetry could be sent").count(), 1, "{protocol}: {lines}");
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

/// What the last of these requests says of what was lost for this reason.
fn lost(requests: &[Value], reason: &str) -> u64 {
    let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let resources = requests.iter().flat_map(|request| all(request, "resourceMetrics"));
    let scopes = resources.flat_map(|resource| all(&resource, "scopeMetrics"));
    let mut metrics = scopes.flat_map(|scope| all(&scope, "metrics"));
    let dropped = metrics.rfind(|metric| metric["name"] == "critical_process.telemetry.dropped").unwrap();
    let points = all(&dropped["sum"], "dataPoints");
    let point = points.iter().find(|point| attributes(point)["reason"] == reason).unwrap();
    point["asInt"].as_str().map_or_else(|| point["asInt"].as_u64(), |text| text.parse().ok()).unwrap()
}

#[tokio::test]
async fn a_port_for_prometheus_that_is_taken_is_told_once() {
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
    assert_eq!(lines.matches(&format!("no Prometheus can scrape 127.0.0.1:{port}")).count(), 1, "{lines}");
    judge_spans(&spans_in(&scratch.lines("traces")));
    judge_metrics(&scratch.lines("metrics"));
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_told_once() {
    let output = run(&Scratch(PathBuf::from("/dev/null/telemetry")), &[]).await;
    let lines = text(&output.stderr);
    let of_telemetry: Vec<_> = lines.lines().filter(|line| line.contains("elemetry")).collect();
    let [traces, metrics, end] = of_telemetry[..] else { panic!("{lines}") };
    assert!(traces.contains("traces cannot be written to /dev/null/telemetry"), "{traces}");
    assert!(metrics.contains("metrics cannot be written to /dev/null/telemetry"), "{metrics}");
    assert!(end.contains("not all telemetry could be sent"), "{end}");
}

#[tokio::test]
async fn a_wrong_variable_is_told_and_the_rest_works() {
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
        "OTEL_TRACES_EXPORTER is `zipkin`",
        "SENTRY_DSN cannot be read",
        "RUST_LOG cannot be read",
        "OTEL_BSP_MAX_QUEUE_SIZE is `many`",
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

/// A Sentry that takes its time to answer, or with none never answers; its DSN, and what it was sent.
async fn sentry(answers_after: Option<Duration>) -> (String, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let ingest = Router::new().route(
        "/api/{project}/envelope/",
        post(async move |body: axum::body::Bytes| {
            let Some(time) = answers_after else { return std::future::pending().await };
            let _ = sender.send(text(&body));
            tokio::time::sleep(time).await;
            "{}"
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dsn = format!("http://public@{}/1", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, ingest).await });
    (dsn, receiver)
}

/// The events among what Sentry was sent so far.
async fn events_in(mut receiver: mpsc::UnboundedReceiver<String>) -> Vec<Value> {
    receiver.close();
    let mut events = Vec::new();
    while let Some(envelope) = receiver.recv().await {
        let mut lines = envelope.lines();
        while let Some(line) = lines.next() {
            if line.contains("\"type\":\"event\"") {
                events.push(serde_json::from_str::<Value>(lines.next().unwrap()).unwrap());
            }
        }
    }
    events
}

#[tokio::test]
async fn sentry_hears_of_the_failure_alone() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let scratch = Scratch::new();
    let output = run(&scratch, &[("SENTRY_DSN", &dsn), ("SENTRY_ENVIRONMENT", "staging")]).await;
    let events = events_in(receiver).await;
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = &events[0];
    assert_eq!(event["tags"]["process_id"], "place_order");
    assert_eq!(event["tags"]["customer_id"], "c-4");
    assert_eq!((&event["environment"], &event["release"]), (&"staging".into(), &"reporting@1.2.3".into()));
    assert_eq!(event["exception"]["values"][1]["value"], "there is no card canary-4929");
    let failed = spans_in(&scratch.lines("traces"));
    assert_eq!(event["contexts"]["trace"]["trace_id"], of(&failed, "place_order", "c-4")["traceId"]);
    let lines = text(&output.stderr);
    assert!(!lines.contains("canary-4929"), "with a Sentry client error text stays there: {lines}");
    assert!(lines.contains("place_order: failure after"), "{lines}");
}

#[tokio::test]
async fn an_error_that_is_logged_makes_no_failure_of_a_run_that_succeeds() {
    let scratch = Scratch::new();
    under("an error is logged", &scratch, &[]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let says =
        |span: &&Value| (attributes(span)["critical_process.outcome"].clone(), span["status"]["code"] == 2);
    let ends: Vec<_> = named(&spans, "parse_order").iter().map(says).collect();
    assert_eq!(ends, [("success".to_owned(), false), ("failure".to_owned(), true)]);
}

#[tokio::test]
async fn a_subscriber_of_the_application_s_own_keeps_all_that_it_is_told() {
    let scratch = Scratch::new();
    let output = under("a subscriber is set", &scratch, &[]).await;
    let said = text(&output.stdout);
    for field in ["critical_process.id", "critical_process.version", "code.function.name", "text"] {
        assert!(said.contains(field), "{field} in {said}");
    }
    assert!(!said.contains("traces:"), "{said}");
    assert_eq!(text(&output.stderr).matches("a tracing subscriber is set already").count(), 1);
    assert!(scratch.lines("traces").is_empty());
}

#[tokio::test]
async fn a_logger_of_the_application_s_own_stays_and_traces_go_where_they_should() {
    let scratch = Scratch::new();
    let output = under("a logger is set", &scratch, &[]).await;
    assert!(text(&output.stdout).contains("traces: OTLP-JSON files"), "{output:?}");
    let lines = text(&output.stderr);
    assert_eq!(lines.matches("a logger of `log` is set already").count(), 1, "{lines}");
    assert!(!lines.contains("a tracing subscriber is set already"), "{lines}");
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "parse_order").len(), 1);
}

#[tokio::test]
async fn spans_that_are_made_without_tracing_inherit_as_well() {
    let scratch = Scratch::new();
    under("spans are made without tracing", &scratch, &[]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let one = |name: &str| *named(&spans, name).first().unwrap_or_else(|| panic!("{name} in {spans:#?}"));
    let orders = |name: &str| {
        let says = one(name)["attributes"].as_array().cloned().unwrap_or_default();
        let orders = says.iter().filter(|pair| pair["key"] == "order");
        orders.map(|pair| pair["value"]["stringValue"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(orders("query"), ["o-1"]);
    assert_eq!(one("query")["parentSpanId"], one("native")["spanId"]);
    assert_eq!(orders("says itself"), ["another"]);
    assert!(orders("outside").is_empty());
}

#[tokio::test]
async fn texts_are_as_long_as_the_variable_allows() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let says = attributes(of(&spans, "place_order.charge", "c-1"));
    assert_eq!((&*says["critical_process.stage"], &*says["critical_process.id"]), ("cha", "pla"));
    assert_eq!(says["critical_process.late"], "false", "it is no text");
}

#[tokio::test]
async fn a_sentry_client_of_the_application_s_own_stays() {
    let output =
        under("a Sentry client is set", &Scratch::new(), &[("SENTRY_DSN", "http://other@127.0.0.1:9/2")])
            .await;
    let said = text(&output.stdout);
    assert!(said.contains("//own:@127.0.0.1") && !said.contains("errors: Sentry"), "{said}");
    assert_eq!(text(&output.stderr).matches("a Sentry client is set already").count(), 1);
}

#[tokio::test]
async fn a_thread_that_ends_with_a_span_in_its_hands_ends_well() {
    let scratch = Scratch::new();
    under("a thread ends with a span", &scratch, &[]).await;
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "held").len(), 1);
}

#[tokio::test]
async fn every_thread_reports_to_sentry_whichever_used_it_first() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let output = under("a thread was first", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    let events = events_in(receiver).await;
    assert_eq!(events.len(), 2, "{events:#?}");
    assert!(events.iter().all(|event| event["release"] == "shop@2.0.0"), "{events:#?}");
    // A line for each run, and no second one for those that failed.
    assert_eq!(text(&output.stderr).matches("parse_order: failure").count(), 2, "{output:?}");
}

#[tokio::test]
async fn a_panic_waits_for_no_sentry() {
    let (dsn, _receiver) = sentry(None).await;
    let output = under("runs panic", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    let longest: u64 = text(&output.stdout).trim().parse().unwrap();
    assert!(longest < 500, "a panic took {longest} ms");
}

#[tokio::test]
async fn an_event_that_finds_no_room_takes_no_other_s_stack() {
    let (dsn, receiver) = sentry(Some(Duration::from_millis(20))).await;
    let scratch = Scratch::new();
    let output = under("many fail at once", &scratch, &[("SENTRY_DSN", &dsn), ("RUST_LOG", "off")]).await;
    let events = events_in(receiver).await;
    assert_eq!(text(&output.stderr).matches("events wait for Sentry, and more are lost").count(), 1);
    // What was lost to the very end is counted in the last measurements; of the one on its way nobody knows.
    let known = events.len() as u64 + dropped(&scratch.lines("metrics"), "event");
    assert!((399..=400).contains(&known), "{known}");
    assert!((10..400).contains(&events.len()), "{}", events.len());
    let has_stack = |event: &Value| event["threads"]["values"][0]["stacktrace"]["frames"].is_array();
    assert!(events.iter().all(has_stack), "{:#?}", events.iter().find(|event| !has_stack(event)));
}

/// What the last measurements say was lost for this reason.
fn dropped(requests: &[Value], reason: &str) -> u64 {
    let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let last = requests.last().expect("there are measurements");
    let scopes = all(last, "resourceMetrics").into_iter().flat_map(|resource| all(&resource, "scopeMetrics"));
    let mut metrics = scopes.flat_map(|scope| all(&scope, "metrics"));
    let dropped = metrics.find(|metric| metric["name"] == "critical_process.telemetry.dropped");
    let points = all(&dropped.expect("it is measured")["sum"], "dataPoints");
    let point =
        points.iter().find(|point| attributes(point)["reason"] == reason).expect("each reason is there");
    point["asInt"]
        .as_str()
        .map_or_else(|| point["asInt"].as_u64(), |text| text.parse().ok())
        .expect("a number")
}

#[tokio::test]
async fn a_panic_that_ends_the_program_is_told_where_somebody_flushes() {
    let (dsn, receiver) = sentry(Some(Duration::ZERO)).await;
    let output = under("a panic ends the program", &Scratch::new(), &[("SENTRY_DSN", &dsn)]).await;
    assert_eq!(text(&output.stdout).trim(), "flushed true");
    assert_eq!(events_in(receiver).await.len(), 1);
}

#[tokio::test]
async fn a_variable_means_to_opentelemetry_what_is_told_of_it() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_TRACES_SAMPLER", "ALWAYS_OFF ")]).await;
    assert!(scratch.lines("traces").is_empty());
    let scratch = Scratch::new();
    let unset = [("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")];
    let lines = text(&run(&scratch, &unset).await.stderr);
    assert_eq!(lines.matches("it is as if it were not set").count(), 2, "{lines}");
    judge_spans(&spans_in(&scratch.lines("traces")));
}

#[tokio::test]
async fn a_redirect_is_no_delivery() {
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
    assert!(lines.contains("not all telemetry could be sent"), "{lines}");
}
