//! The service around each request: its span, the baggage of its peer, and the id of its trace in the response. What a
//! caller may do belongs to `caller` and `peers`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;
use tracing::Span;

use super::caller::{Caller, Callers};
use super::peers::Peers;
use super::request::{self, Place};
use super::{baggage, trace};
use crate::base::notices;
use crate::run::carrier::Carrier;
use crate::run::context::NamedValues;
use crate::run::scope::Scope;

/// The response header with the id of the trace: 32 hexadecimal digits.
pub const TRACE_ID_HEADER: HeaderName = HeaderName::from_static("x-trace-id");

/// The service of [`PropagationLayer`](super::PropagationLayer).
#[derive(Clone, Debug)]
pub struct Propagation<S> {
    pub(super) inner: S,
    pub(super) callers: Callers,
    pub(super) baggage_of: Peers<Vec<&'static str>>,
}

impl<S> Propagation<S> {
    /// Returns the span of a request. In a public service, the trace of a caller that is not continued is removed from
    /// the headers, so that nothing behind the service continues it. A trace that is not valid is removed too, because
    /// other code may accept it.
    fn span(&self, parts: &mut Parts) -> Span {
        let current = request::current();
        if !current.is_none() && !self.callers.is_public {
            return current;
        }
        let caller = self.callers.caller(&parts.headers, &parts.extensions);
        let span = match &caller {
            _ if current.is_none() => request::open(&parts.method, &caller, Place::Here),
            Caller::Linked(linked) if trace::is_current(linked) => {
                notices::once(
                    "a span outside of `propagation::layer().public()` continues the trace of a caller that is not \
                     trusted, so each request has a second span in a trace of its own: create the outer span with \
                     `PropagationLayer::request_span`",
                );
                request::open(&parts.method, &caller, Place::Root)
            }
            Caller::Linked(linked) => {
                request::link_from_current(&current, linked);
                current
            }
            _ => current,
        };
        if self.callers.is_public && !matches!(caller, Caller::Parent(_)) {
            trace::remove(&mut parts.headers);
        }
        span
    }
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
        let (mut parts, body) = request.into_parts();
        // The span may remove the headers of a caller that is not trusted with the trace, but is with baggage.
        let baggage = baggage::take(&self.baggage_of, &parts.extensions, &mut parts.headers);
        let span = OpenSpan(self.span(&mut parts));
        let future = request::run(&span.0, || self.inner.call(Request::from_parts(parts, body)));
        PropagationFuture { future, span, baggage, scope: Carrier::default() }
    }
}

pin_project! {
    /// The response future of [`Propagation`].
    #[derive(Debug)]
    pub struct PropagationFuture<F> {
        #[pin]
        future: F,
        span: OpenSpan,
        // The baggage of a trusted peer. It becomes a scope at the first poll, because the context that the service
        // sets is known only then.
        baggage: NamedValues,
        scope: Carrier,
    }
}

/// A span that is closed when it is dropped, also if the subscriber then panics.
#[derive(Debug)]
struct OpenSpan(Span);

impl Drop for OpenSpan {
    fn drop(&mut self) {
        request::close(std::mem::replace(&mut self.0, Span::none()));
    }
}

impl<F, R, E> Future for PropagationFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let span = &this.span.0;
        request::run(span, || {
            if !this.baggage.is_empty() {
                *this.scope = Scope::below(std::mem::take(this.baggage));
            }
            let mut answer = ready!(this.scope.run(|| this.future.poll(cx)));
            if let Ok(response) = &mut answer {
                request::record_status(span, response.status());
                if let Some(id) = trace::trace_id().and_then(|id| HeaderValue::from_str(&id).ok()) {
                    // Fails only if the response has more headers than a map can hold.
                    let _ = response.headers_mut().try_insert(TRACE_ID_HEADER, id);
                }
            }
            Poll::Ready(answer)
        })
    }
}
