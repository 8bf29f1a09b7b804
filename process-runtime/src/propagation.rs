//! Trace context across services (feature `axum`): one trace from the caller's process to this service's and on to
//! the next, and its id in every response. One needs it as soon as two services talk, or a customer reports an error.
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//!
//! let service: Router = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(process_runtime::propagation::layer());
//! # let _ = service;
//! ```
//!
//! The format is that of OpenTelemetry's global propagator, which `telemetry::init` sets to W3C Trace Context. It sets
//! no baggage: what a header carries into or out of the service is nobody's business context.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context as TraceContext, global};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Span;

/// The header of a response that names its trace: 32 hexadecimal digits.
pub const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// The id of the trace that runs now: for the body of an error, and for whoever asks what happened. `None` where no
/// trace is recorded by OpenTelemetry.
pub fn trace_id() -> Option<String> {
    let context = TraceContext::current();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Adds the trace context that runs now to the headers of a call to another service.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// process_runtime::propagation::inject(&mut headers);
/// // client.post(url).headers(headers)
/// ```
pub fn inject(headers: &mut HeaderMap) {
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&TraceContext::current(), &mut Headers(&mut *headers));
    });
}

struct Headers<H>(H);

impl Injector for Headers<&mut HeaderMap> {
    fn set(&mut self, key: &str, value: String) {
        // What is no header cannot be sent as one.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::from_str(&value))
        {
            self.0.insert(name, value);
        }
    }
}

impl Extractor for Headers<&HeaderMap> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Continues the caller's trace in this service, and names it in the response's [`TRACE_ID`]. Each request has the
/// span of [`request_span`], unless it is in one already: a tracing layer of the application's stays as it is, and
/// continues the caller's trace if it makes its spans with [`request_span`].
pub fn layer() -> PropagationLayer {
    PropagationLayer { _private: () }
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct PropagationLayer {
    _private: (),
}

impl<S> Layer<S> for PropagationLayer {
    type Service = Propagation<S>;

    fn layer(&self, inner: S) -> Propagation<S> {
        Propagation { inner }
    }
}

/// A service behind [`layer`].
#[derive(Clone, Debug)]
pub struct Propagation<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Propagation<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Answer<S::Future> {
        let span = if Span::current().is_none() { request_span(&request) } else { Span::current() };
        let future = span.in_scope(|| self.inner.call(request));
        Answer { future, span }
    }
}

/// The span of a request, a child of the caller's: `request`, of the target `http`. [`layer`] makes it for a request
/// that has none; a service with a `TraceLayer` gives it to that instead: `make_span_with(propagation::request_span)`.
///
/// Where Sentry is there, the span tells sentry-tracing of the caller's trace too, so that its transaction has the
/// same trace id.
pub fn request_span<B>(request: &Request<B>) -> Span {
    let caller =
        global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request.headers())));
    let sentry_trace = sentry_trace(&caller);
    let _inside = caller.attach();
    tracing::info_span!(
        target: "http",
        "request",
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        sentry.trace = sentry_trace,
    )
}

/// The caller's trace as Sentry writes it, but for its sampling, which stays Sentry's own.
#[cfg(feature = "sentry")]
fn sentry_trace(caller: &TraceContext) -> Option<String> {
    let span = caller.span();
    let ids = span.span_context();
    let is_told = ids.is_remote() && crate::observe::sentry::is_active();
    is_told.then(|| format!("{}-{}", ids.trace_id(), ids.span_id()))
}

#[cfg(not(feature = "sentry"))]
fn sentry_trace(_: &TraceContext) -> Option<String> {
    None
}

pin_project! {
    /// The answer of a service behind [`layer`].
    #[derive(Debug)]
    pub struct Answer<F> {
        #[pin]
        future: F,
        span: Span,
    }
}

impl<F, R, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _inside = this.span.enter();
        let mut answer = ready!(this.future.poll(cx));
        if let Ok(response) = &mut answer {
            let status = response.status();
            this.span.record("http.response.status_code", i64::from(status.as_u16()));
            if status.is_server_error() {
                this.span.record("otel.status_code", "ERROR");
            }
            if let Some(id) = trace_id().and_then(|id| HeaderValue::from_str(&id).ok()) {
                response.headers_mut().insert(TRACE_ID, id);
            }
        }
        Poll::Ready(answer)
    }
}
