//! The layer that an application adds to its service, and its settings. What the layer does with a request belongs to
//! `service`.

use http::Request;
use opentelemetry::trace::TraceId;
use tower_layer::Layer;
use tracing::Span;

use super::baggage;
use super::caller::Callers;
use super::errors::ErrorBodies;
use super::peers::Peers;
use super::request::{self, Place};
use super::sampler::RootSampler;
use super::service::Propagation;
use crate::run::context;

/// Returns a layer that continues the caller's trace. The layer adds the id of the trace to each response, in the
/// header [`x-trace-id`](super::TRACE_ID_HEADER).
///
/// If no span is current, the layer creates one with [`request_span`] for each request. If an outer tracing layer has
/// created a span, the request runs in that span. The outer layer continues the caller's trace only if it creates its
/// spans with [`request_span`]. Do not serve requests inside a span that is not the span of one request, such as that
/// of a connection, because the layer would use that span for every request.
///
/// The layer reads the trace from the headers. It always removes the header `baggage`, and reads values from it only
/// if [`trust`](PropagationLayer::trust) allows that.
///
/// # Trust
///
/// A caller chooses the id of its trace, and may set the flag that the trace is not sampled. This layer continues the
/// trace of every caller. The flag of a caller that is not [trusted](PropagationLayer::trust_trace) only means that the
/// [root sampler](PropagationLayer::root_sampler) of this service decides. If it keeps every trace, no caller can keep
/// a failure from being exported. If it keeps a share of the traces, it decides by the id, which the caller has chosen.
/// A service that any client on the internet can call needs [`public`](PropagationLayer::public).
///
/// If the application's propagator reads the header `traceparent`, a header that is not valid is ignored, and the
/// request starts a new trace: the length must be right for the version, the digits must be lower case, no id may be
/// zero, and the header must occur once. Several headers `tracestate` are joined in their order and cut at the first
/// member that is beyond 32 members or 512 bytes; an invalid member is left out, and so is one with the key of an
/// earlier member. Headers of other propagators reach these propagators unchanged.
///
/// # Code that panics
///
/// A panic of a propagator, a subscriber, or a predicate of this layer is caught and reported once, and the request is
/// served without what it would have provided. A panic of the service itself is recorded in the span and continues; use
/// [`error_bodies`](PropagationLayer::error_bodies) to answer it.
pub fn layer() -> PropagationLayer {
    PropagationLayer { callers: Callers::default(), baggage_of: Peers::default() }
}

/// Creates the span of a request as a child of the caller's span. The name of the span is `request`, and its target is
/// `http`.
///
/// [`layer`] uses this function for requests without a span. In a service with a `TraceLayer`, pass this function to
/// the `TraceLayer`: `make_span_with(propagation::request_span)`. If the layer has settings about traces, such as
/// [`public`](PropagationLayer::public), use [`PropagationLayer::request_span`] instead.
///
/// The attribute `http.request.method` is `_OTHER` for a method that the semantic conventions do not know; then
/// `http.request.method_original` has the method, cut at 256 bytes
/// ([`Limits::header_text`](crate::Limits::header_text)). To change the known methods, list them in
/// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, separated by commas.
///
/// If a Sentry client is bound, the span also passes the caller's trace to sentry-tracing. The transaction that
/// sentry-tracing starts then has the trace id of the caller.
pub fn request_span<B>(request: &Request<B>) -> Span {
    layer().request_span(request)
}

/// The layer that [`layer`] returns.
#[derive(Clone, Debug)]
pub struct PropagationLayer {
    callers: Callers,
    baggage_of: Peers<Vec<&'static str>>,
}

impl PropagationLayer {
    /// Starts a new trace for each request, with a link to the trace of the caller. Use this at an edge that any client
    /// on the internet can call.
    ///
    /// Without it, a client that knows the id of a trace can add spans to this trace. The services behind the edge
    /// continue the new trace, so they do not need this setting.
    ///
    /// The traces of peers that [`trust_trace`](PropagationLayer::trust_trace) trusts are still continued. From the
    /// requests of any other caller, the layer removes the headers `traceparent` and `tracestate`, and those that the
    /// application's propagator reads by name or declares in `fields`, also if they are not valid. No service behind
    /// the edge can then continue them. A propagator that goes through all headers instead keeps its headers. If the
    /// propagator panics, only `traceparent` and `tracestate` are removed.
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use axum::Router;
    /// use axum::extract::ConnectInfo;
    /// use process_runtime::propagation;
    ///
    /// // The load balancer and the monitoring run on this machine.
    /// let is_local = |ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip().is_loopback();
    /// let service: Router = Router::new().layer(propagation::layer().public().trust_trace(is_local));
    /// # let _ = service;
    /// ```
    ///
    /// If an outer layer creates the span of the request, let it use [`request_span`](PropagationLayer::request_span)
    /// of this layer. Another outer span receives the link to the trace of the caller. An outer span that continues the
    /// trace of a caller without trust is reported, and the request then has a second span.
    #[must_use]
    pub fn public(mut self) -> PropagationLayer {
        self.callers.is_public = true;
        self
    }

    /// Continues the traces of these peers as they are: also with [`public`](PropagationLayer::public), and with their
    /// decision whether the trace is sampled.
    ///
    /// `is_trusted` receives a value that the *server* put into the extensions of the request, as for
    /// [`trust`](PropagationLayer::trust). The two kinds of trust are independent: a peer whose trace is trusted may
    /// not set business context.
    #[must_use]
    pub fn trust_trace<I: Send + Sync + 'static>(
        mut self,
        is_trusted: impl Fn(&I) -> bool + Send + Sync + 'static,
    ) -> PropagationLayer {
        self.callers.trusted.add(is_trusted, ());
        self
    }

    /// Sets the decision of the root sampler about a trace that a caller without trust has not sampled. `keeps` returns
    /// whether the trace is exported.
    ///
    /// By default, `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` decide, as they do for `telemetry::init` and for
    /// an SDK without a sampler of its own. Call this method if the application passes a sampler to its tracer
    /// provider. The caller has chosen the id of the trace, so a decision by the id is one that the caller can foresee.
    /// To keep every trace that such callers have not sampled, pass `|_| true`.
    #[must_use]
    pub fn root_sampler(
        mut self,
        keeps: impl Fn(TraceId) -> bool + Send + Sync + 'static,
    ) -> PropagationLayer {
        self.callers.root_sampler = RootSampler::of(keeps);
        self
    }

    /// Creates the span of a request as this layer would. Use it in an outer `TraceLayer`, if this layer has settings
    /// about traces:
    ///
    /// ```
    /// let edge = process_runtime::propagation::layer().public();
    /// let make_span = {
    ///     let edge = edge.clone();
    ///     move |request: &http::Request<axum::body::Body>| edge.request_span(request)
    /// };
    /// // .layer(edge).layer(TraceLayer::new_for_http().make_span_with(make_span))
    /// # let _ = (edge, make_span);
    /// ```
    pub fn request_span<B>(&self, request: &Request<B>) -> Span {
        let caller = self.callers.caller(request.headers(), request.extensions());
        request::open(request.method(), &caller, Place::Here)
    }

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
    /// If a [`Scope`](crate::context::Scope) or a run of this service sets one of these keys, inside or outside of this
    /// layer, that value takes precedence over the value of the peer. Runs that begin before the service has
    /// authenticated the caller carry the peer's value, so do not base decisions on it.
    ///
    /// A value is ignored if it is not valid UTF-8 or contains a control character. A key that occurs more than once is
    /// ignored. A longer value than 256 bytes ([`Limits::header_text`](crate::Limits::header_text)) is cut. The whole
    /// baggage is ignored if it exceeds the limits of the specification: 64 entries and 8192 bytes.
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
        let keys = baggage::valid_keys(keys);
        context::declare(keys.iter().copied());
        self.baggage_of.add(is_trusted, keys);
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
    /// already has a JSON body stays unchanged; call [`trace_id`](super::trace_id) to add the id to such a body.
    ///
    /// A panic in the service becomes a response with status 500 and such a body. Without this layer, the server closes
    /// the connection. The old body of a response is dropped without being read. The layer does not change the
    /// responses of outer layers. It also does not change the responses of the HTTP server to malformed requests.
    pub fn error_bodies(self) -> ErrorBodiesLayer {
        ErrorBodiesLayer { around: self }
    }
}

impl<S> Layer<S> for PropagationLayer {
    type Service = Propagation<S>;

    fn layer(&self, inner: S) -> Propagation<S> {
        Propagation { inner, callers: self.callers.clone(), baggage_of: self.baggage_of.clone() }
    }
}

/// The layer that [`PropagationLayer::error_bodies`] returns.
#[derive(Clone, Debug)]
pub struct ErrorBodiesLayer {
    around: PropagationLayer,
}

impl<S> Layer<S> for ErrorBodiesLayer {
    type Service = Propagation<ErrorBodies<S>>;

    fn layer(&self, inner: S) -> Propagation<ErrorBodies<S>> {
        self.around.layer(ErrorBodies::new(inner))
    }
}
