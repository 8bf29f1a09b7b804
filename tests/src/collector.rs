//! A collector that keeps every request as OTLP-JSON. It listens for gRPC, or for HTTP in both encodings.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
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
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The requests that arrived.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    traces: Arc<Mutex<Vec<Value>>>,
    metrics: Arc<Mutex<Vec<Value>>>,
    logs: Arc<Mutex<Vec<Value>>>,
    rejected: Arc<AtomicI64>,
    /// The number of requests with log records that were refused.
    refused: Arc<AtomicU64>,
    /// The HTTP status with which requests with log records are refused. `None` if they are accepted.
    refusal: Option<StatusCode>,
    /// The number of requests with log records that are accepted before others are refused.
    accepted_first: u64,
    refusals: Arc<AtomicI64>,
    acceptances: Arc<AtomicI64>,
}

impl Collector {
    /// Listens on a free port for OTLP over HTTP.
    pub async fn over_http() -> (Collector, SocketAddr) {
        Collector::default().listening_over_http().await
    }

    /// Listens on a free port for OTLP over HTTP, and answers requests with log records with this status.
    pub async fn over_http_without_logs(refusal: StatusCode) -> (Collector, SocketAddr) {
        Collector { refusal: Some(refusal), ..Collector::default() }.listening_over_http().await
    }

    /// Does the same, but accepts the first request with log records.
    pub async fn over_http_with_logs_once(refusal: StatusCode) -> (Collector, SocketAddr) {
        let collector = Collector { refusal: Some(refusal), accepted_first: 1, ..Collector::default() };
        collector.listening_over_http().await
    }

    async fn listening_over_http(self) -> (Collector, SocketAddr) {
        let (collector, listener) = (self, Collector::listen().await);
        let place = listener.local_addr().expect("it listens");
        let (answering, metrics) = (collector.clone(), Arc::clone(&collector.metrics));
        let logging = collector.clone();
        let router = Router::new()
            .route(
                "/v1/traces",
                post(async move |headers: HeaderMap, body: Bytes| {
                    if let Some(text) = answering.refusal() {
                        return (StatusCode::BAD_REQUEST, text.into_bytes());
                    }
                    let status = keep::<ExportTraceServiceRequest>(&answering.traces, &headers, &body);
                    let answer = answering.answer();
                    let is_json = is_json(&headers);
                    (
                        status,
                        if is_json { serde_json::to_vec(&answer).unwrap() } else { answer.encode_to_vec() },
                    )
                }),
            )
            .route(
                "/v1/metrics",
                post(async move |headers, body| {
                    keep::<ExportMetricsServiceRequest>(&metrics, &headers, &body)
                }),
            )
            .route(
                "/v1/logs",
                post(async move |headers, body| match logging.refusal {
                    Some(refusal) if logging.logs().len() as u64 >= logging.accepted_first => {
                        logging.refused.fetch_add(1, Ordering::Relaxed);
                        refusal
                    }
                    _ => keep::<ExportLogsServiceRequest>(&logging.logs, &headers, &body),
                }),
            );
        tokio::spawn(async { axum::serve(listener, router).await });
        (collector, place)
    }

    /// Listens on a free port for OTLP over gRPC.
    pub async fn over_grpc() -> (Collector, SocketAddr) {
        Collector::listening_over_grpc(true).await
    }

    /// Listens on a free port for OTLP over gRPC, without the service for log records.
    pub async fn over_grpc_without_logs() -> (Collector, SocketAddr) {
        Collector::listening_over_grpc(false).await
    }

    async fn listening_over_grpc(with_logs: bool) -> (Collector, SocketAddr) {
        let (collector, listener) = (Collector::default(), Collector::listen().await);
        let place = listener.local_addr().expect("it listens");
        let server = Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .add_optional_service(with_logs.then(|| LogsServiceServer::new(collector.clone())));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        (collector, place)
    }

    async fn listen() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.expect("a port is free")
    }

    /// Makes the collector report in each later answer that it rejected this number of spans.
    pub fn reject(&self, spans: i64) {
        self.rejected.store(spans, Ordering::Relaxed);
        self.reject_only(i64::MAX);
    }

    /// Makes the collector accept whole requests again after this number of later requests.
    pub fn reject_only(&self, requests: i64) {
        self.acceptances.store(-requests, Ordering::Relaxed);
    }

    /// Makes the collector refuse this number of requests with spans, each with a text of its own.
    pub fn refuse(&self, requests: i64) {
        self.refusals.store(requests, Ordering::Relaxed);
    }

    fn refusal(&self) -> Option<String> {
        let left = self.refusals.fetch_sub(1, Ordering::Relaxed);
        (left > 0).then(|| format!("refusal {left}\n{}", "x".repeat(8 << 10)))
    }

    fn answer(&self) -> ExportTraceServiceResponse {
        let accepts = self.acceptances.fetch_add(1, Ordering::Relaxed) >= 0;
        let rejected_spans = if accepts { 0 } else { self.rejected.load(Ordering::Relaxed) };
        let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".into() };
        ExportTraceServiceResponse { partial_success: (rejected_spans > 0).then_some(partial) }
    }

    /// Returns the requests with spans.
    pub fn traces(&self) -> Vec<Value> {
        self.traces.lock().expect("no test panics in here").clone()
    }

    /// Returns the requests with log records.
    pub fn logs(&self) -> Vec<Value> {
        self.logs.lock().expect("no test panics in here").clone()
    }

    /// Returns the number of requests with log records that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the requests with measurements.
    pub fn metrics(&self) -> Vec<Value> {
        self.metrics.lock().expect("no test panics in here").clone()
    }
}

fn keep<R: Message + Default + Serialize + DeserializeOwned>(
    kept: &Mutex<Vec<Value>>,
    headers: &HeaderMap,
    body: &Bytes,
) -> StatusCode {
    let request = if is_json(headers) { serde_json::from_slice(body).ok() } else { R::decode(&**body).ok() };
    let Some(request) = request else { return StatusCode::BAD_REQUEST };
    push(kept, &request);
    StatusCode::OK
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get("content-type").is_some_and(|kind| kind == "application/json")
}

fn push(kept: &Mutex<Vec<Value>>, request: &impl Serialize) {
    let request = serde_json::to_value(request).expect("a request is JSON");
    kept.lock().expect("no test panics in here").push(request);
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if let Some(text) = self.refusal() {
            return Err(Status::invalid_argument(text));
        }
        push(&self.traces, request.get_ref());
        Ok(Response::new(self.answer()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        push(&self.metrics, request.get_ref());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        push(&self.logs, request.get_ref());
        Ok(Response::new(Default::default()))
    }
}
