//! The endpoints as a tower service: `Router::nest_service("/health", health)`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use tower_service::Service;

use super::{Answer, Health, Request};

impl<B> Service<http::Request<B>> for Health {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let health = self.clone();
        // The body is nobody's business, and goes here.
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
            Ok(written(health.answer(request).await))
        })
    }
}

/// A header, as one text where it is there more than once.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let all: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!all.is_empty()).then(|| all.join(","))
}

fn written(answer: Answer) -> Response<String> {
    let mut response = Response::new(answer.body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
