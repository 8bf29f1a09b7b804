//! Reads the trace context from the headers of a request, and writes it into the headers of a call. Business context
//! does not belong here.

use std::sync::Once;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context as TraceContext, global};
use tracing::Span;

use super::baggage;
use crate::base::notices;

/// Returns the id of the current trace, for example for the body of an error. Returns `None` without a current
/// trace, which is always the case without OpenTelemetry.
///
/// A trace that is not sampled also has an id. The Sentry events of such a trace can be found by this id.
pub fn trace_id() -> Option<String> {
    let context = TraceContext::current();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Adds the current trace context to the headers of a call to another service.
///
/// It sends no business context and removes any existing header `baggage`. Use [`Outgoing`](super::Outgoing) to send
/// business context. If OpenTelemetry has no global propagator, it adds nothing, and reports this once.
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
            static REPORTED: Once = Once::new();
            REPORTED.call_once(|| {
                notices::once(
                    "no OpenTelemetry propagator is set, so traces end at outgoing calls: pass a \
                     `TraceContextPropagator` to `opentelemetry::global::set_text_map_propagator`",
                );
            });
        }
        propagator.inject_context(&context, &mut Headers(&mut *headers));
    });
}

struct Headers<H>(H);

impl Injector for Headers<&mut HeaderMap> {
    fn set(&mut self, key: &str, value: String) {
        // An invalid header is not sent.
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

/// Creates the span of a request as a child of the caller's span. The name of the span is `request`, and its target is
/// `http`.
///
/// [`layer`](super::layer) uses this function for requests without a span. In a service with a `TraceLayer`, pass this
/// function to the `TraceLayer`: `make_span_with(propagation::request_span)`.
///
/// If a Sentry client is bound, the span also passes the caller's trace to sentry-tracing. The transaction that
/// sentry-tracing starts then has the trace id of the caller.
pub fn request_span<B>(request: &Request<B>) -> Span {
    let here = TraceContext::current();
    let caller = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&here, &Headers(request.headers()))
    });
    let sentry_trace = sentry_trace(&caller);
    // A propagator may also have extracted baggage, so only the span context is kept.
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

/// Returns the ids of the caller's trace in Sentry's format. Returns `None` without a trace of the caller, and without
/// a Sentry client. The sampling decision is left out, because Sentry makes its own.
#[cfg(feature = "sentry")]
fn sentry_trace(caller: &TraceContext) -> Option<String> {
    let span = caller.span();
    let ids = span.span_context();
    let is_continued = ids.is_remote() && crate::observe::sentry::is_active();
    is_continued.then(|| format!("{}-{}", ids.trace_id(), ids.span_id()))
}

#[cfg(not(feature = "sentry"))]
fn sentry_trace(_: &TraceContext) -> Option<String> {
    None
}
