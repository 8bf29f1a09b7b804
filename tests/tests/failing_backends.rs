//! A collector that dies or hangs or answers with ever new texts, a disk that fills, and a Sentry that refuses events.
//! The service stays as fast as before, every lost span is counted, and memory does not grow, however large the values
//! and the answers are.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use process_tests::loaded::Loaded;
use prost::Message;
use tempfile::TempDir;
use test_machine::latency::{Compared, Pairs, Slice};
use test_machine::missing::skip;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::{Request, Status};

/// Waits until no other test of this binary measures. The caller may measure until the guard is dropped.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a peer has received, and how it answers.
#[derive(Debug, Default)]
struct Seen {
    /// The status of every answer, or 0 if the peer does not answer. With [`PARTIAL`], the peer accepts requests with
    /// spans in part.
    answer: AtomicU16,
    /// The number of texts so far.
    texts: AtomicU64,
    spans: AtomicU64,
    events: AtomicU64,
    lost: [AtomicU64; 2],
}

const REASONS: [&str; 2] = ["span", "event"];
const PARTIAL: u16 = 206;

/// A peer that is both a collector and a Sentry. It can stop, and start again at the same address.
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
        let grpc = Routes::new(TraceServiceServer::new(Grpc(Arc::clone(&self.seen))))
            .add_service(MetricsServiceServer::new(Grpc(Arc::clone(&self.seen))));
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/api/1/envelope/", post(envelope))
            .with_state(Arc::clone(&self.seen))
            .merge(grpc.into_axum_router());
        let (stop, stopped) = oneshot::channel::<()>();
        let serve =
            axum::serve(listener, router).with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
        let task = self.runtime.spawn(async { serve.await.unwrap() });
        self.serving = Some((stop, task));
    }

    /// Finishes the answers that the peer has begun, and then refuses connections.
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

    fn spans(&self) -> (u64, u64) {
        (self.seen.spans.load(Ordering::SeqCst), self.lost("span"))
    }

    fn lost(&self, reason: &str) -> u64 {
        let place = REASONS.iter().position(|known| *known == reason).unwrap();
        self.seen.lost[place].load(Ordering::SeqCst)
    }
}

impl Seen {
    async fn take_spans(&self, request: &ExportTraceServiceRequest) {
        if self.answer.load(Ordering::SeqCst) == 0 {
            std::future::pending::<()>().await;
        }
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        self.spans.fetch_add(scopes.map(|scope| scope.spans.len() as u64).sum(), Ordering::SeqCst);
    }

    /// Returns a text of this length that the peer has not sent before.
    fn new_text(&self, length: usize) -> String {
        let number = self.texts.fetch_add(1, Ordering::SeqCst);
        format!("reason {number}: {}", "x".repeat(length))
    }

    /// Returns the answer to a request with spans that are accepted, as a whole or in part.
    fn acceptance(&self, length: usize) -> ExportTraceServiceResponse {
        let is_partial = self.answer.load(Ordering::SeqCst) == PARTIAL;
        let partial =
            || ExportTracePartialSuccess { rejected_spans: 1, error_message: self.new_text(length) };
        ExportTraceServiceResponse { partial_success: is_partial.then(partial) }
    }

    fn take_losses(&self, request: ExportMetricsServiceRequest) {
        for (reason, lost) in lost_in(request) {
            let place = REASONS.iter().position(|known| *known == reason).unwrap();
            self.lost[place].store(lost, Ordering::SeqCst);
        }
    }
}

async fn traces(State(seen): State<Arc<Seen>>, body: Bytes) -> Response {
    if seen.answer.load(Ordering::SeqCst) == 400 {
        return (StatusCode::BAD_REQUEST, seen.new_text(1 << 20)).into_response();
    }
    seen.take_spans(&ExportTraceServiceRequest::decode(body).unwrap()).await;
    seen.acceptance(32 << 10).encode_to_vec().into_response()
}

async fn metrics(State(seen): State<Arc<Seen>>, body: Bytes) {
    seen.take_losses(ExportMetricsServiceRequest::decode(body).unwrap());
}

/// The collector of the peer, for gRPC.
struct Grpc(Arc<Seen>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        if self.0.answer.load(Ordering::SeqCst) == 400 {
            return Err(Status::invalid_argument(self.0.new_text(4 << 10)));
        }
        self.0.take_spans(request.get_ref()).await;
        Ok(tonic::Response::new(self.0.acceptance(1 << 20)))
    }
}

#[tonic::async_trait]
impl MetricsService for Grpc {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        self.0.take_losses(request.into_inner());
        Ok(tonic::Response::new(Default::default()))
    }
}

/// Returns how many items were lost for each reason, according to these measurements.
fn lost_in(request: ExportMetricsServiceRequest) -> impl Iterator<Item = (&'static str, u64)> {
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| scope.metrics);
    let dropped = metrics.filter(|metric| metric.name == "critical_process.telemetry.dropped");
    let points = dropped.flat_map(|metric| match metric.data {
        Some(Data::Sum(sum)) => sum.data_points,
        _ => Vec::new(),
    });
    points.filter_map(|point| {
        let text = format!("{:?}", point.attributes);
        let reason = REASONS.into_iter().find(|reason| text.contains(&format!("{reason:?}")))?;
        match point.value {
            Some(Value::AsInt(lost)) => Some((reason, lost as u64)),
            _ => None,
        }
    })
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

/// The variable with the number of pairs that one try measures. A pair is one round with a good backend and one with a
/// bad backend. 60 pairs have 100,000 runs with each.
///
/// With the variable, four threads execute the runs, and the 99th percentiles are compared too: for an optimised build
/// on a machine that does nothing else. Otherwise one thread executes them, and only the medians are compared.
const LATENCY: &str = "PROCESS_LATENCY";

fn pairs() -> Option<usize> {
    std::env::var(LATENCY).ok().map(|pairs| pairs.parse().expect("a number of pairs"))
}

/// Returns the latencies of one round.
fn round(service: &mut Loaded) -> Slice {
    service.run_on(if pairs().is_some() { 4 } else { 1 })
}

/// The maximum number of tries. The pairs of all tries so far are compared. The test fails only if the service is
/// still slower after the last try.
const TRIES: usize = 5;
/// The maximum number of bytes by which the memory of the service may grow after the first pair.
const GROWTH: u64 = 6 << 20;

/// Makes the backend good and bad in turn, and checks the latency and memory of the service.
fn paired(service: &mut Loaded, mut make: impl FnMut(bool)) {
    // Warms up caches, the first connection and the queue.
    make(true);
    service.run();
    make(false);
    service.run();
    let before = service.ask("figures")["bytes"].as_u64();
    let figures = compared(service, TRIES, |_, good| make(good));
    make(true);
    let after = service.ask("figures")["bytes"].as_u64();
    println!("{figures:?}, bytes: {before:?}, {after:?}");
    assert!(is_as_fast(&figures), "{figures:?}");
    if let (Some(before), Some(after)) = (before, after) {
        assert!(after <= before + GROWTH, "{before} bytes grew to {after}");
    }
}

/// Compares the latencies with a good and a bad backend.
fn compared(service: &mut Loaded, tries: usize, mut make: impl FnMut(&mut Loaded, bool)) -> Vec<Compared> {
    let percents = if pairs().is_some() { &[50, 99][..] } else { &[50] };
    let (mut measured, mut figures) = (Pairs::default(), Vec::new());
    for _ in 0..tries {
        for _ in 0..pairs().unwrap_or(6) {
            make(service, true);
            let good = round(service);
            make(service, false);
            measured.add(good, round(service));
        }
        figures = measured.compared(percents);
        if is_as_fast(&figures) {
            break;
        }
    }
    figures
}

fn is_as_fast(figures: &[Compared]) -> bool {
    figures.iter().all(Compared::is_as_fast)
}

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_loaded"))
}

fn scratch() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The maximum number of rounds in which the service may still lose items after its backend has come back.
const RECOVERY: usize = 10;

/// Checks that, soon after the backend has come back, there is a round that loses nothing and delivers everything.
fn judge_recovery(service: &mut Loaded, of: &str, seen: impl Fn() -> (u64, u64)) {
    let mut figures = move || {
        service.run();
        // The command `figures` flushes. Items that are lost during this flush are counted only in the answer to the
        // next command.
        service.ask("figures");
        (service.ask("figures")[of].as_u64().unwrap(), seen())
    };
    let mut all = vec![figures()];
    for _ in 0..RECOVERY {
        all.push(figures());
        let [.., (ended_before, (delivered_before, lost_before)), (ended, (delivered, lost))] = all[..]
        else {
            unreachable!("there are two")
        };
        if lost == lost_before && delivered - delivered_before == ended - ended_before {
            return;
        }
    }
    panic!("what ended, was delivered and was lost by each while: {all:?}");
}

/// Checks that every span that ended was delivered or counted as lost. Only the answer to the second `figures`
/// command counts all losses.
fn judge_spans(service: &mut Loaded, seen: impl Fn() -> (u64, u64)) {
    judge_recovery(service, "spans", &seen);
    service.ask("figures");
    let figures = service.ask("figures");
    assert_eq!(figures["flushed"], true);
    let (delivered, lost) = seen();
    println!("spans: {delivered} delivered, {lost} lost");
    assert!(delivered > 0 && lost > 0);
    assert_eq!(delivered + lost, figures["spans"].as_u64().unwrap());
    let report = figures["report"].to_string();
    let lines = ["cannot send telemetry", "the span queue is full", "cannot write"];
    assert!(lines.iter().any(|line| report.contains(line)), "{report}");
}

#[test]
fn a_collector_that_dies_and_comes_back() {
    let _alone = alone();
    let mut peer = Peer::new();
    let directory = scratch();
    let endpoint = format!("http://{}", peer.address);
    let mut service =
        Loaded::start(binary(), directory.path(), 0, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
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
    judge_spans(&mut service, || peer.spans());
}

#[test]
fn over_grpc_every_span_is_delivered_or_counted_too() {
    let _alone = alone();
    let mut peer = Peer::new();
    let directory = scratch();
    let endpoint = format!("http://{}", peer.address);
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let mut service = Loaded::start(binary(), directory.path(), 0, &variables);
    for _ in 0..3 {
        service.run();
        peer.die();
        service.run();
        peer.come_back();
    }
    judge_spans(&mut service, || peer.spans());
}

#[test]
fn the_measure_sees_a_service_that_becomes_slower() {
    let _alone = alone();
    let directory = scratch();
    let mut service = Loaded::start(binary(), directory.path(), 0, &[("OTEL_TRACES_EXPORTER", "none")]);
    service.run();
    // The work takes about half of the time of a run, so a run with 130 percent of the work is slower by about 15
    // percent.
    let work = |good| if good { "work 100" } else { "work 130" };
    let slower = compared(&mut service, 1, |service, good| drop(service.ask(work(good))));
    assert!(!is_as_fast(&slower), "{slower:?}");
}

#[test]
fn a_collector_that_hangs() {
    let _alone = alone();
    let peer = Peer::new();
    let directory = scratch();
    let endpoint = format!("http://{}", peer.address);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500")];
    let mut service = Loaded::start(binary(), directory.path(), 0, &variables);
    paired(&mut service, |good| peer.answer(if good { 200 } else { 0 }));
    judge_spans(&mut service, || peer.spans());
}

/// The number of rounds with new texts. Each sends dozens of requests.
const ROUNDS: usize = 4;

#[test]
fn a_collector_that_answers_with_a_new_text_each_time() {
    let _alone = alone();
    for (protocol, answer) in
        [("http/protobuf", 400), ("http/protobuf", PARTIAL), ("grpc", 400), ("grpc", PARTIAL)]
    {
        let peer = Peer::new();
        let directory = scratch();
        let endpoint = format!("http://{}", peer.address);
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BSP_SCHEDULE_DELAY", "5"),
        ];
        let mut service = Loaded::start(binary(), directory.path(), 0, &variables);
        peer.answer(answer);
        service.run();
        let before = service.ask("figures")["bytes"].as_u64();
        (0..ROUNDS).for_each(|_| drop(service.run()));
        let figures = service.ask("figures");
        let (after, texts) = (figures["bytes"].as_u64(), peer.seen.texts.load(Ordering::SeqCst));
        println!("{protocol} {answer}: {texts} texts, bytes: {before:?}, {after:?}, {}", figures["report"]);
        assert!(texts > 100, "{protocol} {answer}: {texts}");
        if let (Some(before), Some(after)) = (before, after) {
            assert!(after <= before + GROWTH, "{protocol} {answer}: {before} bytes grew to {after}");
        }
        peer.answer(200);
        service.run();
        service.ask("figures");
        let report: Vec<String> = serde_json::from_value(service.ask("figures")["report"].take()).unwrap();
        let [line] = &report[..] else { panic!("{protocol} {answer}: {report:#?}") };
        assert!(line.len() < 512 && line.contains("(ended: "), "{protocol} {answer}: {line}");
    }
}

/// The memory that a service may use for values of a megabyte: two queues of 16 MiB, and the batch and the event that
/// are being sent in the forms that a request goes through.
const FLOOD: u64 = 160 << 20;

#[test]
fn values_of_a_megabyte_while_the_collector_and_sentry_are_dead() {
    let _alone = alone();
    let mut peer = Peer::new();
    peer.die();
    let directory = scratch();
    let endpoint = format!("http://{}", peer.address);
    let dsn = format!("http://key@{}/1", peer.address);
    for protocol in ["http/protobuf", "grpc"] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("SENTRY_DSN", &dsn),
        ];
        let mut service = Loaded::start(binary(), directory.path(), 0, &variables);
        service.run();
        let before = service.ask("figures")["bytes"].as_u64();
        let peak = service.ask("flood 600")["peak"].as_u64();
        println!("{protocol}: bytes: {before:?}, peak: {peak:?}");
        if let (Some(before), Some(peak)) = (before, peak) {
            assert!(peak <= before + FLOOD, "{protocol}: {before} bytes grew to {peak}");
        }
        let report = service.ask("figures")["report"].to_string();
        assert!(report.contains("the span queue is full with"), "{report}");
    }
}

#[test]
fn a_sentry_that_refuses() {
    let _alone = alone();
    for refusal in [429, 500] {
        let peer = Peer::new();
        let directory = scratch();
        let endpoint = format!("http://{}", peer.address);
        let dsn = format!("http://key@{}/1", peer.address);
        let variables = [
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*format!("{endpoint}/v1/metrics")),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("SENTRY_DSN", &dsn),
        ];
        let mut service = Loaded::start(binary(), directory.path(), 20, &variables);
        paired(&mut service, |good| peer.answer(if good { 200 } else { refusal }));
        let seen = || (peer.seen.events.load(Ordering::SeqCst), peer.lost("event"));
        judge_recovery(&mut service, "failures", seen);
        let figures = service.ask("figures");
        let (delivered, lost) = seen();
        println!("{refusal}: {delivered} events delivered, {lost} lost");
        assert!(delivered > 0 && lost > 0);
        assert_eq!(delivered + lost, figures["failures"].as_u64().unwrap());
        let report = figures["report"].to_string();
        assert!(report.contains(&format!("the status is {refusal}")), "{report}");
    }
}

/// Returns a command that runs a program with mounts of its own, or `None` if this system does not allow it.
fn mounting() -> Option<Command> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    let works = |way: &&&[&str]| {
        let tried =
            Command::new("unshare").args(**way).args(["mount", "-t", "tmpfs", "none", "/mnt"]).status();
        tried.is_ok_and(|status| status.success())
    };
    let way = ways.iter().find(works)?;
    let mut command = Command::new("unshare");
    command.args(*way);
    Some(command)
}

#[test]
fn a_disk_that_is_full() {
    let _alone = alone();
    let Some(mut command) = mounting() else { return skip("this system does not allow `unshare --mount`") };
    let directory = scratch();
    let script = r#"mount -t tmpfs -o size=160m none "$1" && exec "$0" "$@""#;
    command.args(["sh", "-c", script, env!("CARGO_BIN_EXE_loaded")]);
    let mut service = Loaded::start(command, directory.path(), 0, &[]);
    service.run();
    // The directory as the service sees it. The service has mounts of its own, so the path leads through `/proc`.
    let disk = PathBuf::from(format!("/proc/{}/root{}", service.id(), directory.path().display()));
    let ballast = disk.join("ballast");
    paired(&mut service, |good| match good {
        true => drop(std::fs::remove_file(&ballast)),
        false => {
            let mut file = std::fs::File::create(&ballast).unwrap();
            while file.write_all(&[0; 4096]).is_ok() {}
        }
    });
    if pairs().is_some() {
        // After so many runs the oldest files are gone, so the spans in the files are not all that were delivered.
        return;
    }
    judge_spans(&mut service, || {
        let (mut spans, mut lost) = (0, 0);
        for entry in std::fs::read_dir(&disk).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(text.is_empty() || text.ends_with("}\n"));
            for line in text.lines() {
                assert!(line.starts_with('{') && line.ends_with('}'), "half a line: {line}");
                spans += line.matches(r#""spanId":"#).count() as u64;
                lost = lost.max(lost_by(line).unwrap_or(0));
            }
        }
        (spans, lost)
    });
}

/// Returns how many spans were lost, according to a line of measurements. Returns `None` if the line does not report
/// losses.
fn lost_by(line: &str) -> Option<u64> {
    if !line.contains("critical_process.telemetry.dropped") {
        return None;
    }
    let request: ExportMetricsServiceRequest = serde_json::from_str(line).unwrap();
    lost_in(request).find(|(reason, _)| *reason == "span").map(|(_, lost)| lost)
}
