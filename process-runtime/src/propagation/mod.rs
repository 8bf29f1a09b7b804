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
//! In the trace, the runs of this service then appear below the run of its caller, and the runs of the services that
//! it calls appear below its own runs. Every response contains the id of the trace in the header
//! [`x-trace-id`](TRACE_ID_HEADER). With [`error_bodies`](PropagationLayer::error_bodies), the bodies of errors
//! contain this id as well.
//!
//! OpenTelemetry's global propagator determines the format of the trace headers. `telemetry::init` sets a propagator
//! for W3C Trace Context.
//!
//! # Business context across services
//!
//! By default, no business context crosses a service boundary. [`layer`] ignores the header `baggage` of a request.
//! [`inject`] removes this header from a call, even if the application's propagator has added it. Enable single keys:
//!
//! * [`Outgoing`] sends listed keys to listed hosts. Any other host, such as a payment provider, receives none of
//!   them.
//! * [`PropagationLayer::trust`] accepts listed keys from peers that the server has identified and the application
//!   trusts. The values of a peer never replace values that the service sets itself, so a caller cannot pretend to be
//!   another company.

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

/// Returns a layer that continues the caller's trace. The layer adds the id of the trace to each response, in the
/// header [`x-trace-id`](TRACE_ID_HEADER).
///
/// If no span is current, the layer creates one with [`request_span`] for each request. If an outer tracing layer has
/// created a span, the request runs in that span. The outer layer continues the caller's trace only if it creates its
/// spans with [`request_span`]. Do not serve requests inside a span that is not the span of one request, such as that
/// of a connection, because the layer would use that span for every request.
///
/// The layer reads the trace from the headers. It always removes the header `baggage`, and reads values from it only
/// if [`trust`](PropagationLayer::trust) allows that.
pub fn layer() -> PropagationLayer {
    PropagationLayer { peers: Peers::default() }
}

/// The layer that [`layer`] returns.
#[derive(Clone, Debug)]
pub struct PropagationLayer {
    peers: Peers,
}

impl PropagationLayer {
    /// Accepts these keys from the baggage of trusted peers. The values of the keys become business context of the
    /// runs that the request causes.
    ///
    /// `is_trusted` receives a value of type `I` that the *server* put into the extensions of the request. Examples
    /// are axum's `ConnectInfo`, the name in the client's certificate, and the content of a token that an outer layer
    /// verified. Headers such as `X-Forwarded-For` do not identify a peer. If the extensions contain no `I`, the peer
    /// is not trusted, and the missing value is reported once.
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
    /// If a [`Scope`] or a run of this service sets one of these keys, inside or outside of this layer, that value
    /// takes precedence over the value of the peer. Runs that begin before the service has authenticated the caller
    /// carry the peer's value, so do not base decisions on it.
    ///
    /// A value is ignored if it is not valid UTF-8 or contains a control character. A key that occurs more than once
    /// is ignored. The whole baggage is ignored if it exceeds the limits of the specification: 64 entries and 8192
    /// bytes.
    ///
    /// This method [declares](crate::context::declare) the keys. If [`Install`](crate::Install) has started or a
    /// process has run before this call, spans have no fields for the keys. Therefore also name the keys in the
    /// `context(…)` of a process, for example as `inherit(company_id)`.
    #[must_use]
    pub fn trust<I: Send + Sync + 'static>(
        mut self,
        is_trusted: impl Fn(&I) -> bool + Send + Sync + 'static,
        keys: impl IntoIterator<Item = &'static str>,
    ) -> PropagationLayer {
        self.peers.add(is_trusted, keys);
        self
    }

    /// Gives error responses a JSON body with the id of the trace.
    ///
    /// The JSON replaces the body of each response that has a 4xx or 5xx status and is not JSON. Examples are
    /// fallbacks and the rejections of extractors. The new body has this form:
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
    /// `code` and `message` depend only on the status. Without OpenTelemetry, `trace_id` is `null`. A response that
    /// already has a JSON body stays unchanged; call [`trace_id`] to add the id to such a body.
    ///
    /// A panic in the service becomes a response with status 500 and such a body. Without this layer, the server
    /// closes the connection. The layer does not change the responses of outer layers. It also does not change the
    /// responses of the HTTP server to malformed requests.
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
        // The baggage of a trusted peer. It becomes a scope at the first poll, because the context that the service
        // sets is known only then.
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
