//! Continues a trace across services (feature `axum`).
//!
//! Use this module as soon as one service calls another, or to find the trace of an error that a customer reports. Add
//! [`layer`] to the service, and call [`inject`] on the headers of outgoing calls:
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//!
//! let service: Router = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(process_runtime::propagation::layer().error_bodies());
//! # let _ = service;
//!
//! let mut headers = http::HeaderMap::new();
//! process_runtime::propagation::inject(&mut headers);
//! // client.post(url).headers(headers)
//! ```
//!
//! The runs of this service are then children of the calling process, and the parents of the runs in the services that
//! it calls. The header [`x-trace-id`](TRACE_ID_HEADER) of every response contains the id of the trace, and with
//! [`error_bodies`](PropagationLayer::error_bodies) so does the body of every error.
//!
//! The format of the trace headers is that of OpenTelemetry's global propagator. `telemetry::init` sets W3C Trace
//! Context.
//!
//! # Business context across services
//!
//! By default, no business context crosses a service boundary. [`layer`] ignores the header `baggage`, and [`inject`]
//! removes it, even if the application's propagator carries baggage. Enable it for single keys:
//!
//! * [`Outgoing`] sends listed keys to listed hosts, so that a customer's id does not reach a payment provider.
//! * [`PropagationLayer::trust`] accepts listed keys from peers that the server has identified. They never replace the
//!   values that the service sets itself, so a caller cannot pretend to be another company.

mod baggage;
mod errors;
mod outgoing;
mod peers;
mod trace;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Span;

pub use self::errors::{ErrorBodies, ErrorBodiesFuture, ErrorBodiesLayer};
pub use self::outgoing::Outgoing;
use self::peers::Peers;
pub use self::trace::{inject, request_span, trace_id};
use crate::run::carrier::Carrier;
use crate::run::context::NamedValues;
use crate::run::scope::Scope;

/// The response header with the id of the trace: 32 hexadecimal digits.
pub const TRACE_ID_HEADER: HeaderName = HeaderName::from_static("x-trace-id");

/// Returns a layer that continues the caller's trace and adds its id to each response, in the header
/// [`x-trace-id`](TRACE_ID_HEADER).
///
/// Each request runs in a span of [`request_span`], unless a span is already current. An outer tracing layer therefore
/// keeps its own span; it continues the caller's trace if it creates its spans with [`request_span`]. Do not serve
/// requests inside another span, such as that of a connection: the layer would use it as the span of the request.
///
/// The layer reads only the trace from the headers. It removes the header `baggage`, and reads it only if
/// [`trust`](PropagationLayer::trust) allows it.
pub fn layer() -> PropagationLayer {
    PropagationLayer { peers: Peers::default() }
}

/// The layer that [`layer`] returns.
#[derive(Clone, Debug)]
pub struct PropagationLayer {
    peers: Peers,
}

impl PropagationLayer {
    /// Accepts these keys from the baggage of trusted peers, as business context of the runs that the request causes.
    ///
    /// `is_trusted` receives a value that the *server* put into the extensions of the request, such as axum's
    /// `ConnectInfo`, the name in the client's certificate, or the content of a token that an outer layer verified.
    /// Headers such as `X-Forwarded-For` do not identify a peer. If the extensions contain no `I`, the peer is not
    /// trusted, and this is reported once.
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use axum::Router;
    /// use axum::extract::ConnectInfo;
    /// use process_runtime::propagation;
    ///
    /// let is_local = |ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip().is_loopback();
    /// let service: Router =
    ///     Router::new().layer(propagation::layer().trust(is_local, ["company_id"]));
    /// // This adds `ConnectInfo` to the extensions of each request.
    /// let service = service.into_make_service_with_connect_info::<SocketAddr>();
    /// # let _ = service;
    /// ```
    ///
    /// A value that a [`Scope`] or a run of this service sets for the same key takes precedence, inside and outside of
    /// this layer. Before the service has authenticated the caller, runs carry the peer's value, so do not base
    /// decisions on it.
    ///
    /// A value must be a text of one line. A key that occurs twice is ignored, and so is baggage that exceeds the
    /// limits of the specification: 64 entries and 8192 bytes.
    ///
    /// This method [declares](crate::context::declare) the keys, which may be too late for the fields of spans. Name
    /// them in the `context(…)` of a process too, for example as `inherit(company_id)`.
    #[must_use]
    pub fn trust<I: Send + Sync + 'static>(
        mut self,
        is_trusted: impl Fn(&I) -> bool + Send + Sync + 'static,
        keys: impl IntoIterator<Item = &'static str>,
    ) -> PropagationLayer {
        self.peers.add(is_trusted, keys);
        self
    }

    /// Gives every error response a JSON body with the id of its trace.
    ///
    /// The body replaces that of each response with a status of 400 or above whose content is not JSON, such as
    /// fallbacks and the rejections of extractors:
    ///
    /// ```json
    /// {
    ///   "error": {
    ///     "code": "not_found",
    ///     "message": "The resource was not found.",
    ///     "trace_id": "0af7651916cd43dd8448eb211c80319c"
    ///   }
    /// }
    /// ```
    ///
    /// `code` and `message` depend only on the status, and `trace_id` is `null` without OpenTelemetry. An error with a
    /// JSON body stays unchanged; add [`trace_id`] to it.
    ///
    /// A panic becomes a response with status 500 in this form; without this layer the server closes the connection.
    /// Malformed requests, which the HTTP server rejects itself, and the responses of outer layers are not changed.
    pub fn error_bodies(self) -> ErrorBodiesLayer {
        ErrorBodiesLayer { around: self }
    }
}

impl<S> Layer<S> for PropagationLayer {
    type Service = Propagation<S>;

    fn layer(&self, inner: S) -> Propagation<S> {
        Propagation { inner, peers: self.peers.clone() }
    }
}

/// The service of [`PropagationLayer`].
#[derive(Clone, Debug)]
pub struct Propagation<S> {
    inner: S,
    peers: Peers,
}

impl<S, B, R> Service<Request<B>> for Propagation<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = PropagationFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> PropagationFuture<S::Future> {
        let span = if Span::current().is_none() { request_span(&request) } else { Span::current() };
        let (mut parts, body) = request.into_parts();
        let baggage = self.peers.take_baggage(&parts.extensions, &mut parts.headers);
        let future = span.in_scope(|| self.inner.call(Request::from_parts(parts, body)));
        PropagationFuture { future, span, baggage, scope: Carrier::default() }
    }
}

pin_project! {
    /// The response future of [`Propagation`].
    #[derive(Debug)]
    pub struct PropagationFuture<F> {
        #[pin]
        future: F,
        span: Span,
        // The baggage of a trusted peer, until the first poll. Only then the context that the service sets is known.
        baggage: NamedValues,
        scope: Carrier,
    }
}

impl<F, R, E> Future for PropagationFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _inside = this.span.enter();
        if !this.baggage.is_empty() {
            *this.scope = Scope::below(std::mem::take(this.baggage));
        }
        let mut answer = ready!(this.scope.run(|| this.future.poll(cx)));
        if let Ok(response) = &mut answer {
            let status = response.status();
            this.span.record("http.response.status_code", i64::from(status.as_u16()));
            if status.is_server_error() {
                this.span.record("otel.status_code", "ERROR");
            }
            if let Some(id) = trace_id().and_then(|id| HeaderValue::from_str(&id).ok()) {
                response.headers_mut().insert(TRACE_ID_HEADER, id);
            }
        }
        Poll::Ready(answer)
    }
}
