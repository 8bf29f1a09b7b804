//! One trace across services (feature `axum`): the caller's process is the parent of this service's, and this one's of
//! the next; its id is in every response and, if wanted, in every error's body. One needs it as soon as two services
//! talk, or a customer reports an error.
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//!
//! let service: Router = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(process_runtime::propagation::layer().error_bodies());
//! # let _ = service;
//! ```
//!
//! The format is that of OpenTelemetry's global propagator, which `telemetry::init` sets to W3C Trace Context.
//!
//! # Business context across services
//!
//! Baggage is off both ways, also where the application's propagator carries OpenTelemetry's. What a header says of
//! the context is nobody's business context, and [`inject`] sends none. It is turned on for
//!
//! * listed keys to listed hosts ([`Outgoing`]), so that no customer's id gets to a payment provider;
//! * listed keys from peers that the server identified ([`PropagationLayer::trust`]), and never over what the service
//!   itself knows, so that no caller can pass for another company.

mod baggage;
mod errors;
mod outgoing;
mod peers;

use std::future::Future;
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context as TraceContext, global};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Span;

pub use self::errors::{ErrorBodies, ErrorBodiesFuture, ErrorBodiesLayer};
pub use self::outgoing::Outgoing;
use self::peers::Peers;
use crate::base::notices;
use crate::run::carrier::Carrier;
use crate::run::context::{Scope, Taken};

/// The header of a response that names its trace: 32 hexadecimal digits.
pub const TRACE_ID_HEADER: HeaderName = HeaderName::from_static("x-trace-id");

/// The id of the trace that runs now: for the body of an error, and for whoever asks what happened. `None` where there
/// is no OpenTelemetry. A trace that the sampler left out has one too, by which Sentry's events of it are found.
pub fn trace_id() -> Option<String> {
    let context = TraceContext::current();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Adds the trace context that runs now to the headers of a call to another service, and nothing of the business
/// context: for that there is [`Outgoing`]. Baggage that the headers have already is taken out, wherever it came from.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// process_runtime::propagation::inject(&mut headers);
/// // client.post(url).headers(headers)
/// ```
pub fn inject(headers: &mut HeaderMap) {
    headers.remove(baggage::HEADER);
    let context = TraceContext::current().with_cleared_baggage();
    global::get_text_map_propagator(|propagator| {
        if context.has_active_span() && propagator.fields().next().is_none() {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                notices::once(
                    "no propagator is set, so traces end where this service calls another: give \
                     `opentelemetry::global::set_text_map_propagator` a `TraceContextPropagator`",
                );
            });
        }
        propagator.inject_context(&context, &mut Headers(&mut *headers));
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

/// Continues the caller's trace in this service, and names it in the response's [`TRACE_ID_HEADER`]. Each request has the
/// span of [`request_span`], unless it is in one already: a tracing layer of the application's stays as it is, and
/// continues the caller's trace if it makes its spans with [`request_span`]. A span that is not the request's, such as
/// that of a connection in an accept loop of the service's own, would be taken for it: end it before, or leave it off.
///
/// Nothing but the trace is taken from the headers. The `baggage` header does not get further than here, unless
/// [`trust`](PropagationLayer::trust) says so.
pub fn layer() -> PropagationLayer {
    PropagationLayer { peers: Peers::default() }
}

/// See [`layer`].
#[derive(Clone, Debug)]
pub struct PropagationLayer {
    peers: Peers,
}

impl PropagationLayer {
    /// Takes what trusted peers say of these keys as business context of the runs that a request causes.
    ///
    /// A peer is what the *server* put into the request's extensions: axum's `ConnectInfo`, the name in a client's
    /// certificate, what a layer outside of this one found a token to say. Headers such as `X-Forwarded-For` identify
    /// nobody. Without an `I` among the extensions the peer is not trusted, which is reported once.
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use axum::Router;
    /// use axum::extract::ConnectInfo;
    /// use process_runtime::propagation;
    ///
    /// let from_next_door = |ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip().is_loopback();
    /// let service: Router =
    ///     Router::new().layer(propagation::layer().trust(from_next_door, ["company_id"]));
    /// // Without this there is no `ConnectInfo`.
    /// let service = service.into_make_service_with_connect_info::<SocketAddr>();
    /// # let _ = service;
    /// ```
    ///
    /// What a [`Scope`] or a run of this service says of a key goes over it, whether it is outside of this layer or
    /// inside: a service that authenticates its callers knows better than any header. Until it has, what the peer says
    /// stands, so nothing should be decided by it. Values are texts of one line. A key that comes twice, and
    /// baggage beyond the 64 entries or 8192 bytes of the specification, is not taken.
    ///
    /// The keys are [declared](crate::context::declare) here, which may be too late for the fields of spans: name them
    /// in some `context(…)`, as `inherit(company_id)`.
    #[must_use]
    pub fn trust<I: Send + Sync + 'static>(
        mut self,
        is_trusted: impl Fn(&I) -> bool + Send + Sync + 'static,
        keys: impl IntoIterator<Item = &'static str>,
    ) -> PropagationLayer {
        self.peers.add(is_trusted, keys);
        self
    }

    /// Gives every error a body from which it can be found: each response of 400 and above whose content is not JSON
    /// gets
    ///
    /// ```json
    /// {"error": {"code": "not_found", "message": "There is no such thing.", "trace_id": "0af7651916cd43dd8448eb211c80319c"}}
    /// ```
    ///
    /// in place of its own: fallbacks, the rejections of extractors, a body that is too large. Code and text depend on
    /// the status alone. An error that is JSON stays as it is; put [`trace_id`] into it. A panic is answered with 500
    /// in this form, where otherwise the connection ends. What the HTTP server refuses before there is a request
    /// (a malformed one), and what layers outside of this one answer, has no such body.
    ///
    /// `trace_id` is `null` where there is no OpenTelemetry.
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

/// A service behind [`layer`].
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
        let said = self.peers.hear(&parts.extensions, &mut parts.headers);
        let future = span.in_scope(|| self.inner.call(Request::from_parts(parts, body)));
        PropagationFuture { future, span, said, scope: Carrier::default() }
    }
}

/// The span of a request, a child of the caller's: `request`, of the target `http`. [`layer`] makes it for a request
/// that has none; a service with a `TraceLayer` gives it to that instead: `make_span_with(propagation::request_span)`.
///
/// Where Sentry is there, the span tells sentry-tracing of the caller's trace too, so that its transaction has the
/// same trace id.
pub fn request_span<B>(request: &Request<B>) -> Span {
    let here = TraceContext::current();
    let caller = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&here, &Headers(request.headers()))
    });
    let sentry_trace = sentry_trace(&caller);
    // Whatever else a propagator takes from headers stays outside.
    let caller = caller.span().span_context().clone();
    let _inside = caller.is_valid().then(|| here.with_remote_span_context(caller).attach());
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
    pub struct PropagationFuture<F> {
        #[pin]
        future: F,
        span: Span,
        // What a trusted peer says, until the first poll: only there is known what the service itself says.
        said: Taken,
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
        if !this.said.is_empty() {
            *this.scope = Scope::below(std::mem::take(this.said));
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
