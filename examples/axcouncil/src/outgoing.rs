//! Calls to other services: each takes the trace along.

use axum::http::HeaderMap;
use process_runtime::propagation;
use reqwest::RequestBuilder;

/// The request as part of the trace that runs now.
pub(crate) fn traced(request: RequestBuilder) -> RequestBuilder {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers);
    request.headers(headers)
}
