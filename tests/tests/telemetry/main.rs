//! `telemetry::init` from outside: a program that calls it, and the telemetry that arrives at collectors, at Sentry
//! and in files. Functions that start programs and peers and that check telemetry are here. The tests are in the
//! modules.

mod arrival;
mod errors;
mod existing;
mod floods;
#[cfg(unix)]
mod forks;
mod logs;
mod secure;
mod unreachable;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use serde_json::Value;
use test_machine::program::unconfigured;
use tokio::sync::mpsc;

/// A directory for the files of one test.
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

    /// Returns the lines of all files of a signal.
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

/// Runs the program `reporting`. It must succeed and end soon, whatever happens to its telemetry.
async fn run(scratch: &Scratch, variables: &[(&str, &str)]) -> Output {
    let mut command = unconfigured(env!("CARGO_BIN_EXE_reporting"));
    command.arg(&scratch.0);
    ended(command, variables).await
}

/// Runs the program `circumstances`. It must succeed and end soon.
async fn under(circumstance: &str, scratch: &Scratch, variables: &[(&str, &str)]) -> Output {
    let mut command = unconfigured(env!("CARGO_BIN_EXE_circumstances"));
    command.arg(&scratch.0).arg(circumstance);
    ended(command, variables).await
}

async fn ended(command: Command, variables: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::from(command);
    // With a backtrace, the panic hook of the standard library is slow.
    command.kill_on_drop(true).env_remove("SSL_CERT_FILE").env("RUST_BACKTRACE", "0");
    command.envs(variables.iter().copied());
    let started = Instant::now();
    let output = command.output().await.expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the items of the list under a key, or nothing if the key has no list.
fn all(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().cloned().unwrap_or_default()
}

/// Returns the metrics in OTLP-JSON requests, in order.
fn metrics_in(requests: &[Value]) -> Vec<Value> {
    let resources = requests.iter().flat_map(|request| all(request, "resourceMetrics"));
    let scopes = resources.flat_map(|resource| all(&resource, "scopeMetrics"));
    scopes.flat_map(|scope| all(&scope, "metrics")).collect()
}

/// Returns the spans in OTLP-JSON requests.
fn spans_in(requests: &[Value]) -> Vec<Value> {
    let resources = requests.iter().flat_map(|request| all(request, "resourceSpans"));
    let scopes = resources.flat_map(|resource| all(&resource, "scopeSpans"));
    scopes.flat_map(|scope| all(&scope, "spans")).collect()
}

/// Returns the attributes of a span or resource, as texts.
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

/// Returns the one span with this name and this customer.
fn of<'s>(spans: &'s [Value], name: &str, customer: &str) -> &'s Value {
    let is_theirs = |span: &&&Value| attributes(span).get("customer_id").is_some_and(|id| id == customer);
    let found: Vec<_> = named(spans, name).into_iter().filter(|span| is_theirs(&span)).collect();
    assert_eq!(found.len(), 1, "{name} of {customer} among {spans:#?}");
    found[0]
}

/// Asserts the shape and the attributes of the program's spans, for any destination.
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

    assert!(all(stage, "events").is_empty(), "the warning is a log record: {stage:#?}");

    let rejected = of(spans, "place_order", "c-3");
    assert_eq!(attributes(rejected)["critical_process.outcome"], "rejected");
    assert_ne!(rejected["status"]["code"], 2);
    let failed = of(spans, "place_order", "c-4");
    assert_eq!(attributes(failed)["error.type"], "reporting::OrderError");
    assert_eq!(failed["status"]["code"], 2);

    // This span was opened in the run of the first customer, and ended in the run of the second.
    of(spans, "prefetch", "c-1");
    assert_eq!(named(spans, "prefetch").len(), 1);
    let keep_alive = named(spans, "keep_alive");
    assert_eq!(keep_alive.len(), 1);
    assert!(!attributes(keep_alive[0]).contains_key("customer_id"), "{:?}", keep_alive[0]);
}

/// Asserts that every instrument has its unit, and that every SLA is a boundary.
fn judge_metrics(requests: &[Value]) {
    let metrics = metrics_in(requests);
    let units = [
        ("critical_process.duration", "s"),
        ("critical_process.sla.utilization", "1"),
        ("critical_process.stage.duration", "s"),
        ("critical_process.started", "{run}"),
        ("critical_process.runs", "{run}"),
        ("critical_process.sli.valid", "{run}"),
        ("critical_process.sli.bad", "{run}"),
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
    // None of these SLAs is a default boundary.
    assert!([2.7, 1.3].iter().all(|sla| processes.contains(sla)), "{processes:?}");
    assert!(stages.contains(&0.7), "{stages:?}");
    assert!(bounds("critical_process.sla.utilization").contains(&1.0));
}

/// Returns how many items were lost for a reason, according to the last of these requests.
fn lost(requests: &[Value], reason: &str) -> u64 {
    let metrics = metrics_in(requests);
    let dropped =
        metrics.iter().rfind(|metric| metric["name"] == "critical_process.telemetry.dropped").unwrap();
    let points = all(&dropped["sum"], "dataPoints");
    let point = points.iter().find(|point| attributes(point)["reason"] == reason).unwrap();
    point["asInt"].as_str().map_or_else(|| point["asInt"].as_u64(), |text| text.parse().ok()).unwrap()
}

/// Starts a server in place of Sentry. The server answers after `answers_after`, or never if that is `None`. Returns
/// the server's DSN and the envelopes that it receives.
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

/// Returns the events in the envelopes so far.
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
