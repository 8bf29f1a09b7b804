//! A collector that dies or hangs, a disk that fills, a Sentry that refuses: the service is as fast as ever, what was
//! lost is counted to the last span, and nothing grows.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Figures are taken one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a peer has seen, and how it answers.
#[derive(Debug, Default)]
struct Seen {
    /// A status; 0 is silence.
    answer: AtomicU16,
    spans: AtomicU64,
    events: AtomicU64,
    lost: [AtomicU64; 2],
}

const REASONS: [&str; 2] = ["span", "event"];

/// A collector and a Sentry in one, which can die and come back at the same address.
struct Peer {
    runtime: Runtime,
    address: SocketAddr,
    seen: Arc<Seen>,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Peer {
    fn new() -> Peer {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen { answer: AtomicU16::new(200), ..Seen::default() });
        let mut peer = Peer { runtime, address, seen, serving: None };
        peer.serve(listener);
        peer
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/api/1/envelope/", post(envelope))
            .with_state(Arc::clone(&self.seen));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve =
            axum::serve(listener, router).with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
        let task = self.runtime.spawn(async { serve.await.unwrap() });
        self.serving = Some((stop, task));
    }

    /// What it has begun to answer, it answers; whoever comes then is refused.
    fn die(&mut self) {
        let (stop, task) = self.serving.take().expect("it lives");
        drop(stop);
        self.runtime.block_on(task).unwrap();
    }

    fn come_back(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind(self.address)).unwrap();
        self.serve(listener);
    }

    fn answer(&self, status: u16) {
        self.seen.answer.store(status, Ordering::SeqCst);
    }

    fn lost(&self, reason: &str) -> u64 {
        let place = REASONS.iter().position(|known| *known == reason).unwrap();
        self.seen.lost[place].load(Ordering::SeqCst)
    }
}

async fn traces(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    if seen.answer.load(Ordering::SeqCst) == 0 {
        std::future::pending::<()>().await;
    }
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    seen.spans.fetch_add(scopes.map(|scope| scope.spans.len() as u64).sum(), Ordering::SeqCst);
    StatusCode::OK.into_response()
}

async fn metrics(State(seen): State<Arc<Seen>>, body: Bytes) -> StatusCode {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    for metric in scopes.flat_map(|scope| scope.metrics) {
        if let (Some(Data::Sum(sum)), "critical_process.telemetry.dropped") =
            (metric.data, metric.name.as_str())
        {
            for point in sum.data_points {
                let text = format!("{:?}", point.attributes);
                let place = REASONS.iter().position(|reason| text.contains(&format!("{reason:?}")));
                if let (Some(place), Some(Value::AsInt(lost))) = (place, point.value) {
                    seen.lost[place].store(lost as u64, Ordering::SeqCst);
                }
            }
        }
    }
    StatusCode::OK
}

async fn envelope(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    let status = StatusCode::from_u16(seen.answer.load(Ordering::SeqCst)).unwrap();
    if status == StatusCode::TOO_MANY_REQUESTS {
        return (status, [(header::RETRY_AFTER, "1")]).into_response();
    }
    if status.is_success() {
        let text = String::from_utf8_lossy(&body);
        let events = text.lines().filter(|line| line.starts_with(r#"{"type":"event""#)).count();
        seen.events.fetch_add(events as u64, Ordering::SeqCst);
    }
    status.into_response()
}

/// The service.
struct Loaded {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Loaded {
    /// `failing`: of how many runs one fails.
    fn start(mut command: Command, directory: &Path, failing: u64, variables: &[(&str, &str)]) -> Loaded {
        for (name, _) in std::env::vars() {
            if name.starts_with("OTEL_") || name.starts_with("SENTRY_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let mut child = command
            .arg(directory)
            .arg(failing.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Loaded { child, input, output }
    }

    fn ask(&mut self, what: &str) -> serde_json::Value {
        writeln!(self.input, "{what}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?} after {what}"))
    }

    /// The median latency of a while, in nanoseconds.
    fn run(&mut self, time: Duration) -> f64 {
        self.ask(&format!("run {}", time.as_millis()))["median"].as_f64().unwrap()
    }
}

/// Pairs of one good and one bad time each.
const PAIRS: usize = 6;
/// How long a time is.
const TIME: Duration = Duration::from_millis(700);
/// How often the whole is measured before it is believed that the service became slower.
const TRIES: usize = 3;
/// What the service may grow by, in KiB, after the first pair.
const GROWTH: u64 = 6 * 1024;

/// Makes the backend good and bad in turn; what the service needed more while it was bad, as a ratio.
fn paired(service: &mut Loaded, mut make: impl FnMut(bool)) {
    // Caches, the first connection, the queue.
    make(true);
    service.run(TIME);
    make(false);
    service.run(TIME);
    let before = service.ask("figures")["kib"].as_u64();
    let mut measured = Vec::new();
    for _ in 0..TRIES {
        let mut ratios: Vec<f64> = (0..PAIRS)
            .map(|_| {
                make(true);
                let good = service.run(TIME);
                make(false);
                service.run(TIME) / good
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let median = (ratios[(PAIRS - 1) / 2] + ratios[PAIRS / 2]) / 2.0;
        measured.push(median);
        if median <= 1.05 {
            break;
        }
    }
    make(true);
    let figures = service.ask("figures");
    println!("bad / good: {measured:.3?}, KiB: {before:?} -> {}", figures["kib"]);
    assert!(measured.last().is_some_and(|ratio| *ratio <= 1.05), "latency, bad / good: {measured:?}");
    if let (Some(before), Some(after)) = (before, figures["kib"].as_u64()) {
        assert!(after <= before + GROWTH, "{before} KiB grew to {after}");
    }
}

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_loaded"))
}

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// All that ended was delivered or counted.
fn judge_spans(service: &mut Loaded, peer: &Peer) {
    // The first tells the last measurements, of which some were lost meanwhile.
    service.ask("figures");
    let figures = service.ask("figures");
    assert_eq!(figures["flushed"], true);
    let (delivered, lost) = (peer.seen.spans.load(Ordering::SeqCst), peer.lost("span"));
    println!("spans: {delivered} delivered, {lost} lost");
    assert!(delivered > 0 && lost > 0);
    assert_eq!(delivered + lost, figures["spans"].as_u64().unwrap());
    let report = figures["report"].to_string();
    assert!(report.contains("takes no telemetry") || report.contains("spans wait"), "{report}");
}

#[test]
fn a_collector_that_dies_and_comes_back() {
    let _alone = alone();
    let mut peer = Peer::new();
    let directory = scratch("dies");
    let endpoint = format!("http://{}", peer.address);
    let mut service = Loaded::start(binary(), &directory, 0, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let mut lives = true;
    paired(&mut service, |good| {
        if good != lives {
            if good {
                peer.come_back()
            } else {
                peer.die()
            }
            lives = good;
        }
    });
    judge_spans(&mut service, &peer);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_collector_that_hangs() {
    let _alone = alone();
    let peer = Peer::new();
    let directory = scratch("hangs");
    let endpoint = format!("http://{}", peer.address);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500")];
    let mut service = Loaded::start(binary(), &directory, 0, &variables);
    paired(&mut service, |good| peer.answer(if good { 200 } else { 0 }));
    judge_spans(&mut service, &peer);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_sentry_that_refuses() {
    let _alone = alone();
    for refusal in [429, 500] {
        let peer = Peer::new();
        let directory = scratch("refuses");
        let endpoint = format!("http://{}", peer.address);
        let dsn = format!("http://key@{}/1", peer.address);
        let variables = [
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*format!("{endpoint}/v1/metrics")),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("SENTRY_DSN", &dsn),
        ];
        let mut service = Loaded::start(binary(), &directory, 20, &variables);
        paired(&mut service, |good| peer.answer(if good { 200 } else { refusal }));
        let figures = service.ask("figures");
        let (delivered, lost) = (peer.seen.events.load(Ordering::SeqCst), peer.lost("event"));
        println!("{refusal}: {delivered} events delivered, {lost} lost");
        assert!(delivered > 0 && lost > 0);
        assert_eq!(delivered + lost, figures["failures"].as_u64().unwrap());
        let report = figures["report"].to_string();
        assert!(report.contains(&format!("answers {refusal}")), "{report}");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
