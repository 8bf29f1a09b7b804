//! Propagation between services: the trace, business context for peers that may receive it, and errors for clients.

mod baggage;
mod edge;
mod errors;
mod harm;
mod headers;
mod trace;
mod trust;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::global;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// The trace and the span of a caller.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// The caller that the server has identified.
#[derive(Clone)]
struct Caller(&'static str);

/// Sets the application's own propagator, which reads and writes OpenTelemetry's baggage.
fn set_propagator() {
    global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
        Box::new(BaggagePropagator::new()),
        Box::new(TraceContextPropagator::new()),
    ]));
}

/// Returns the header `traceparent` with [`TRACE`] and [`SPAN`].
fn traceparent(flag: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flag}")
}

/// Returns a request with these headers.
fn request_with<'v>(headers: impl IntoIterator<Item = (&'static str, &'v [u8])>) -> Request {
    let mut request = Request::new(Body::empty());
    let value = |value| HeaderValue::from_bytes(value).expect("a header");
    let headers = headers.into_iter().map(|(name, text)| (HeaderName::from_static(name), value(text)));
    let mut all = HeaderMap::new();
    headers.for_each(|(name, value)| {
        all.append(name, value);
    });
    *request.headers_mut() = all;
    request
}
