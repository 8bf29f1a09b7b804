//! The endpoints as a tower service. The content of responses does not belong here (`endpoints`).

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};
use tower_service::Service;

use super::endpoints::Health;
use super::response::{Request, Response};

impl<B> Service<http::Request<B>> for Health {
    type Response = http::Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let health = self.clone();
        // The body is dropped before the future is created, so the type of the body need not be `Send`.
        let (parts, _) = request.into_parts();
        Box::pin(async move {
            let accept = text(&parts.headers, &ACCEPT);
            let authorization = text(&parts.headers, &AUTHORIZATION);
            let request = Request {
                method: parts.method.as_str(),
                path: parts.uri.path(),
                accept: accept.as_deref(),
                authorization: authorization.as_deref(),
            };
            Ok(into_http(health.respond(request).await))
        })
    }
}

/// Returns the value of a header. If a request has the header several times, joins the values with commas. Values
/// that are not text are omitted. Returns `None` if no value is left.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let all: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn into_http(response: Response) -> http::Response<String> {
    let mut http = http::Response::new(response.body);
    *http.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        http.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    http
}
