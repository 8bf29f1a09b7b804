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
use test_machine::latency::{Compared, Pairs, Slice};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::service::{Connection, Service};

/// How long one slice takes.
const SLICE: Duration = Duration::from_millis(500);
/// The maximum number of tries, each with some more pairs.
const TRIES: usize = 4;

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

/// Sends requests for the time of a slice, of which every other one fails, and returns their latencies.
async fn slice(connection: &mut Connection, token: &str) -> Slice {
    let entry = json!({ "title": "Latency", "body": "What a request costs while telemetry fails." });
    let order = json!({ "plan": "team", "seats": 3, "card": "tok_visa" });
    let (started, mut times) = (Instant::now(), [Vec::new(), Vec::new()]);
    while started.elapsed() < SLICE {
        for (kind, (path, body, status)) in
            [("/knowledge", &entry, 201), ("/subscriptions", &order, 502)].into_iter().enumerate()
        {
            let answer = connection.send(Method::POST, path, token, body).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            times[kind].push(answer.took.as_nanos() as u64);
        }
    }
    times
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
        let mut all = Pairs::default();
        for tried in 1.. {
            for _ in 0..pairs().unwrap_or(2) {
                peer.make(None).await;
                let good = slice(&mut connection, &token).await;
                peer.make(Some(fault)).await;
                all.add(good, slice(&mut connection, &token).await);
            }
            let figures = all.compared(&[50, 99]);
            println!("{fault:?}: {figures:?}");
            let is_as_fast = figures.iter().all(Compared::is_as_fast);
            if is_as_fast || pairs().is_none() {
                break;
            }
            assert!(tried < TRIES, "{fault:?}: the service is slower, as the lines above show");
        }
    }
}
