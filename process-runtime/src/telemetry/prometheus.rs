//! What a Prometheus scrapes (feature `prometheus`): the measurements as text, and a small HTTP server for them.
//! Connections, their time and their headers are bounded, and one collection goes on at a time.

use std::convert::Infallible;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::environment::Scraped;
use crate::base::notices;

/// The most connections at once; others wait to be accepted.
const CONNECTIONS: usize = 8;
/// How long a connection lasts at most: as long as Prometheus waits by default.
const TIME: Duration = Duration::from_secs(10);
/// How long a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The most bytes of a request's head.
const HEAD: usize = 16 << 10;
/// How long a listener that cannot accept rests.
const REST: Duration = Duration::from_secs(1);

/// What a Prometheus scrapes, for a service that serves it on a route of its own; from
/// [`Telemetry::prometheus`](super::Telemetry::prometheus).
///
/// ```no_run
/// use axum::{Router, http::StatusCode, http::header::CONTENT_TYPE, routing::get};
/// use process_runtime::telemetry::{Prometheus, TelemetryBuilder};
///
/// let telemetry = TelemetryBuilder::new().prometheus().init();
/// let mut routes = Router::<()>::new();
/// if let Some(prometheus) = telemetry.prometheus().cloned() {
///     let scrape = async move || {
///         let text = prometheus.text().map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
///         Ok::<_, (StatusCode, String)>(([(CONTENT_TYPE, Prometheus::CONTENT_TYPE)], text))
///     };
///     routes = routes.route("/metrics", get(scrape));
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Prometheus {
    registry: Registry,
}

/// Measurements that could not be collected; what OpenTelemetry says of it is in
/// [`Installation::report`](crate::Installation::report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the measurements could not be collected")]
#[non_exhaustive]
pub struct CollectError;

impl Prometheus {
    /// The `Content-Type` of [`Prometheus::text`].
    pub const CONTENT_TYPE: &str = TEXT_FORMAT;

    /// With the reader that collects for it, where the environment or the service asks for it.
    pub(super) fn wanted(has_route: bool, scraped: &Scraped) -> Option<(Prometheus, PrometheusExporter)> {
        if matches!((scraped, has_route), (Scraped::Never, _) | (Scraped::OnRoute, false)) {
            return None;
        }
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
        let problem = |error| notices::once(format!("no measurements can be had for Prometheus: {error}"));
        Some((Prometheus { registry }, reader.map_err(problem).ok()?))
    }

    /// Serves scrapes there; says where that is.
    pub(super) fn serve(&self, host: &str, port: u16, runtime: Option<&Runtime>) -> Option<String> {
        let bound = TcpListener::bind((host, port)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let problem = |error| {
            notices::once(format!(
                "no Prometheus can scrape {host}:{port}: {error} (OTEL_EXPORTER_PROMETHEUS_HOST, OTEL_EXPORTER_PROMETHEUS_PORT)"
            ))
        };
        let (address, listener) = bound.map_err(problem).ok()?;
        runtime?.spawn(serve(listener, self.clone()));
        Some(format!("metrics: for Prometheus at http://{address}/metrics"))
    }

    /// Every instrument of the meter provider, as it is now, in Prometheus' text format. It calls the callbacks of
    /// observable instruments, and takes as long as they do.
    ///
    /// # Errors
    /// Where collecting fails, as it does after the end of [`Telemetry`](super::Telemetry).
    pub fn text(&self) -> Result<String, CollectError> {
        // A callback of the application may panic.
        let families = catch_unwind(AssertUnwindSafe(|| self.registry.gather())).map_err(|_| CollectError)?;
        // The service's name is always among them.
        if families.is_empty() {
            return Err(CollectError);
        }
        TextEncoder::new().encode_to_string(&families).map_err(|error| {
            notices::once(format!("measurements cannot be written for Prometheus: {error}"));
            CollectError
        })
    }
}

/// Answers scrapes for as long as its runtime lives.
async fn serve(listener: TcpListener, prometheus: Prometheus) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return notices::once(format!("no Prometheus can scrape: {error}")),
    };
    let (room, turn) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(1)));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answering = answer(stream, prometheus.clone(), Arc::clone(&turn));
                tokio::spawn(async move {
                    let _place = place;
                    // Who asks too slowly, or goes away, is told nothing.
                    let _ = tokio::time::timeout(TIME, answering).await;
                });
            }
            Err(error) => {
                notices::once(format!("a scrape could not be accepted: {error}"));
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// One request and its answer.
async fn answer(stream: TcpStream, prometheus: Prometheus, turn: Arc<Semaphore>) -> hyper::Result<()> {
    let scrape = service_fn(move |request: Request<Incoming>| {
        let (prometheus, turn) = (prometheus.clone(), Arc::clone(&turn));
        async move {
            let is_scrape = request.method() == Method::GET && request.uri().path() == "/metrics";
            Ok::<_, Infallible>(match is_scrape {
                true => collected(prometheus, turn).await,
                false => plain(StatusCode::NOT_FOUND, "GET /metrics\n"),
            })
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .keep_alive(false)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), scrape)
        .await
}

/// Collects away from the thread that sends telemetry, since callbacks may block.
async fn collected(prometheus: Prometheus, turn: Arc<Semaphore>) -> Response<String> {
    // It is kept by the collection and not by who asked: one that hangs is not joined by others.
    let turn = turn.acquire_owned().await;
    let text = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        prometheus.text()
    });
    match text.await {
        Ok(Ok(text)) => {
            let mut response = Response::new(text);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
            response
        }
        _ => plain(StatusCode::INTERNAL_SERVER_ERROR, "the measurements could not be collected\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response
}
