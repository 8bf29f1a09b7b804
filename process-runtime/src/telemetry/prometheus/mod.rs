//! Exposes the metrics to Prometheus (feature `prometheus`): as text, and through a small HTTP server.
//!
//! The server limits the number and duration of connections and the size of a request's head, and runs only one
//! collection at a time. Defining instruments does not belong here.

mod exposition;

use std::convert::Infallible;
use std::net::TcpListener;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Registry, TEXT_FORMAT};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::environment::Scraped;
use crate::base::cause::Cause;
use crate::base::foreign::guard::attempt;
use crate::base::notices;

static UNACCEPTED: Cause = Cause::new("cannot accept a connection from Prometheus:");
static HUNG: Cause = Cause::new("the metrics for Prometheus could not be collected within");
static UNENCODED: Cause = Cause::new("cannot encode the metrics for Prometheus:");

/// The maximum number of open connections. Further connections wait to be accepted.
const CONNECTIONS: usize = 8;
/// The maximum duration of a connection, which is also Prometheus' default scrape timeout.
const TIME: Duration = Duration::from_secs(10);
/// The maximum time for a collection, so that a scrape is answered before its connection ends.
const COLLECTION_TIME: Duration = Duration::from_secs(8);
/// The maximum time for reading the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The maximum number of bytes in the head of a request.
const HEAD: usize = 16 << 10;
/// The pause after an attempt to accept a connection has failed.
const REST: Duration = Duration::from_secs(1);

/// The metrics in Prometheus' text format, for a service that serves them on a route of its own.
///
/// [`Telemetry::prometheus`](super::Telemetry::prometheus) returns it.
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

/// The error for metrics that could not be collected. [`Installation::report`](crate::Installation::report) contains
/// the cause, if OpenTelemetry reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metrics could not be collected")]
#[non_exhaustive]
pub struct CollectError;

impl Prometheus {
    /// The `Content-Type` of [`Prometheus::text`].
    pub const CONTENT_TYPE: &str = TEXT_FORMAT;

    /// Returns the metrics and the reader that collects them. Returns `None` if neither the environment nor the
    /// service enables them, or if the reader cannot be built.
    pub(super) fn if_enabled(has_route: bool, scraped: &Scraped) -> Option<(Prometheus, PrometheusExporter)> {
        if matches!((scraped, has_route), (Scraped::Never, _) | (Scraped::OnRoute, false)) {
            return None;
        }
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build();
        let problem = |error| notices::once(format!("cannot collect metrics for Prometheus: {error}"));
        Some((Prometheus { registry }, reader.map_err(problem).ok()?))
    }

    /// Starts a server for the metrics, and returns a description of its address. Returns `None` if the address cannot
    /// be bound or `runtime` is `None`.
    pub(super) fn serve(&self, host: &str, port: u16, runtime: Option<&Runtime>) -> Option<String> {
        let bound = TcpListener::bind((host, port)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let problem = |error| {
            notices::once(format!(
                "cannot serve Prometheus at {host}:{port}: {error}; set OTEL_EXPORTER_PROMETHEUS_HOST and \
                 OTEL_EXPORTER_PROMETHEUS_PORT to a free address"
            ))
        };
        let (address, listener) = bound.map_err(problem).ok()?;
        runtime?.spawn(serve(listener, self.clone()));
        Some(format!("metrics: for Prometheus at http://{address}/metrics"))
    }

    /// Returns the current value of every instrument in Prometheus' text format.
    ///
    /// Prometheus reads a text as a whole or not at all. A label that it refuses is therefore renamed or left out:
    /// `1st` becomes `_1st`, `le`, `quantile` and `__name__` become `exported_le` and so on, and a label without a name
    /// is left out. Of two metrics with the same name, and of two series with the same labels, only the first is
    /// served. Each of these is reported once.
    ///
    /// This calls the callbacks of observable instruments, so it takes at least as long as they do.
    ///
    /// # Errors
    ///
    /// Returns an error if the metrics cannot be collected, for example after [`Telemetry`](super::Telemetry) was
    /// dropped.
    pub fn text(&self) -> Result<String, CollectError> {
        // The callbacks of the application may panic.
        let families = attempt(|| self.registry.gather()).map_err(|_| CollectError)?;
        // A successful collection contains at least the service's name, so this collection has failed.
        if families.is_empty() {
            return Err(CollectError);
        }
        let text = exposition::text(families).map_err(|error| {
            UNENCODED.happened(error);
            CollectError
        })?;
        UNENCODED.ended();
        Ok(text)
    }
}

/// Answers scrapes until the runtime stops.
async fn serve(listener: TcpListener, prometheus: Prometheus) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return notices::once(format!("cannot serve Prometheus: {error}")),
    };
    let (room, turn) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(1)));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                UNACCEPTED.ended();
                let answering = answer(stream, prometheus.clone(), Arc::clone(&turn));
                tokio::spawn(async move {
                    let _place = place;
                    // A client that is too slow or disconnects is not reported.
                    let _ = tokio::time::timeout(TIME, answering).await;
                });
            }
            Err(error) => {
                UNACCEPTED.happened(error);
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Answers one request.
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

/// Collects the metrics and returns the response. Callbacks of instruments may block, so the collection does not run
/// on the thread that sends telemetry.
async fn collected(prometheus: Prometheus, turn: Arc<Semaphore>) -> Response<String> {
    // The collection owns the permit, and keeps it even if the request times out first. While a collection hangs, no
    // second one can therefore start.
    let text = async {
        let turn = turn.acquire_owned().await;
        let collect = move || {
            let _turn = turn;
            prometheus.text()
        };
        tokio::task::spawn_blocking(collect).await
    };
    let text = tokio::time::timeout(COLLECTION_TIME, text).await;
    match &text {
        Ok(_) => HUNG.ended(),
        Err(_) => HUNG
            .happened(format_args!("{COLLECTION_TIME:?}: a callback of an observable instrument may hang")),
    }
    match text {
        Ok(Ok(Ok(text))) => {
            let mut response = Response::new(text);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
            response
        }
        Ok(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be collected\n"),
        Err(_) => plain(StatusCode::GATEWAY_TIMEOUT, "the metrics could not be collected in time\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response
}
