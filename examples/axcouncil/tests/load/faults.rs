//! The latency of a request while the collector and Sentry are dead, hang or refuse, compared with the latency while
//! they work. Each pair consists of a slice with a good peer and a slice with a bad one. With `PROCESS_LATENCY`, which
//! is the number of pairs, the test fails if requests take longer: for an optimised build on a machine that does
//! nothing else. Otherwise it measures a few pairs and only prints them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::service::{Connection, Service};

/// How long one slice takes.
const SLICE: Duration = Duration::from_millis(500);
/// The maximum number of tries, each with some more pairs.
const TRIES: usize = 4;
/// The latency with a bad peer, as a multiple of the latency with a good one.
const SLOWER: f64 = 1.05;
/// How much longer a request may take with a bad peer in any case, in seconds.
const LONGER: f64 = 1e-6;

fn pairs() -> Option<usize> {
    std::env::var("PROCESS_LATENCY").ok().map(|pairs| pairs.parse().expect("a number of pairs"))
}

/// How the peer fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It refuses connections.
    Dead,
    /// It does not answer.
    Hung,
    /// It refuses each request with a text that it has not sent before.
    NewTexts,
    /// It refuses each request for the present.
    Busy,
}

const ANSWERS: u8 = 0;

/// A collector and a Sentry at one address.
struct Peer {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Peer {
    async fn new() -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it listens");
        let mut peer = Peer { address, mode: Arc::new(AtomicU8::new(ANSWERS)), serving: None };
        peer.serve(listener);
        peer
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new().fallback(post(answer)).with_state(Arc::clone(&self.mode));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve =
            axum::serve(listener, router).with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
        let task = tokio::spawn(async { serve.await.expect("it serves") });
        self.serving = Some((stop, task));
    }

    async fn make(&mut self, fault: Option<Fault>) {
        match (fault, self.serving.take()) {
            (Some(Fault::Dead), Some((stop, task))) => {
                drop(stop);
                task.await.expect("it ends");
            }
            (None, None) => self.serve(TcpListener::bind(self.address).await.expect("the port is free")),
            (_, serving) => self.serving = serving,
        }
        self.mode.store(fault.map_or(ANSWERS, |fault| fault as u8 + 1), Ordering::SeqCst);
    }
}

async fn answer(State(mode): State<Arc<AtomicU8>>, _body: Bytes) -> Response {
    static TEXTS: AtomicU64 = AtomicU64::new(0);
    let is = |fault: Fault| mode.load(Ordering::SeqCst) == fault as u8 + 1;
    if is(Fault::Hung) {
        std::future::pending::<()>().await;
    }
    if is(Fault::NewTexts) {
        let text = TEXTS.fetch_add(1, Ordering::SeqCst);
        return (StatusCode::BAD_REQUEST, format!("reason {text}: {}", "x".repeat(32 << 10))).into_response();
    }
    if is(Fault::Busy) {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response();
    }
    StatusCode::OK.into_response()
}

/// Sends requests for the time of a slice, of which every other one fails. Returns the median and the 99th percentile
/// of the latency in seconds, first of the requests that succeed and then of those that fail.
async fn slice(connection: &mut Connection, token: &str) -> [f64; 4] {
    let entry = json!({ "title": "Latency", "body": "What a request costs while telemetry fails." });
    let order = json!({ "plan": "team", "seats": 3, "card": "tok_visa" });
    let (started, mut times) = (Instant::now(), [Vec::new(), Vec::new()]);
    while started.elapsed() < SLICE {
        for (kind, (path, body, status)) in
            [("/knowledge", &entry, 201), ("/subscriptions", &order, 502)].into_iter().enumerate()
        {
            let answer = connection.send(Method::POST, path, token, body).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            times[kind].push(answer.took);
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    [(0, 50), (0, 99), (1, 50), (1, 99)].map(|(kind, percent)| super::percentile(&times[kind], percent))
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "as the other load")]
async fn a_request_takes_as_long_while_the_backends_fail() {
    let _alone = super::ALONE.lock().await;
    for fault in [Fault::Dead, Fault::Hung, Fault::NewTexts, Fault::Busy] {
        let mut peer = Peer::new().await;
        let (endpoint, dsn) = (format!("http://{}", peer.address), format!("http://key@{}/1", peer.address));
        let service = Service::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("SENTRY_DSN", &dsn)]);
        service.break_payments().await;
        let mut connection = service.connect().await;
        let token = connection.log_in().await;
        for fault in [None, Some(fault)] {
            peer.make(fault).await;
            slice(&mut connection, &token).await;
        }
        let mut all = Vec::new();
        for tried in 1.. {
            for _ in 0..pairs().unwrap_or(2) {
                peer.make(None).await;
                let good = slice(&mut connection, &token).await;
                peer.make(Some(fault)).await;
                all.push((good, slice(&mut connection, &token).await));
            }
            let of = |figure: usize, value: fn(f64, f64) -> f64| {
                median(all.iter().map(|(good, bad)| value(good[figure], bad[figure])))
            };
            let mut is_as_fast = true;
            for (figure, name) in ["p50", "p99", "failures p50", "failures p99"].into_iter().enumerate() {
                let (good, ratio, longer) = (
                    of(figure, |good, _| good),
                    of(figure, |good, bad| bad / good),
                    of(figure, |good, bad| bad - good),
                );
                println!("{fault:?}, {name}: {:.0} µs × {ratio:.3} ({:+.1} µs)", good * 1e6, longer * 1e6);
                is_as_fast &= ratio <= SLOWER || longer <= LONGER;
            }
            if is_as_fast || pairs().is_none() {
                break;
            }
            assert!(tried < TRIES, "{fault:?}: the service is slower, as the lines above show");
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
