//! Replaces the body of an error response with JSON, and turns a panic into such a response. The JSON contains a
//! stable code, a message that is safe to show, and the id of the trace. The text of an error must not go into it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::trace::trace_id;
use crate::base::foreign::guard::{attempt, discard};

/// The service of [`ErrorBodiesLayer`](super::ErrorBodiesLayer).
#[derive(Clone, Debug)]
pub struct ErrorBodies<S> {
    inner: S,
    /// Whether the service has panicked in `poll_ready`. The next request then receives the error.
    has_panicked: bool,
}

impl<S> ErrorBodies<S> {
    pub(super) fn new(inner: S) -> ErrorBodies<S> {
        ErrorBodies { inner, has_panicked: false }
    }
}

impl<S, B, R> Service<Request<B>> for ErrorBodies<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ErrorBodiesFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        attempt(|| self.inner.poll_ready(cx)).unwrap_or_else(|_| {
            self.has_panicked = true;
            Poll::Ready(Ok(()))
        })
    }

    fn call(&mut self, request: Request<B>) -> ErrorBodiesFuture<S::Future> {
        if std::mem::take(&mut self.has_panicked) {
            discard(request);
            return ErrorBodiesFuture { future: None };
        }
        ErrorBodiesFuture { future: attempt(|| self.inner.call(request)).ok() }
    }
}

pin_project! {
    /// The response future of [`ErrorBodies`].
    #[derive(Debug)]
    pub struct ErrorBodiesFuture<F> {
        // `None` after a panic.
        #[pin]
        future: Option<F>,
    }
}

impl<F, R, E> Future for ErrorBodiesFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: From<String>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut future = self.project().future;
        let polled = attempt(|| future.as_mut().as_pin_mut().map(|future| future.poll(cx)));
        Poll::Ready(match polled {
            Ok(Some(Poll::Pending)) => return Poll::Pending,
            Ok(Some(Poll::Ready(Ok(response)))) => Ok(with_body(response)),
            Ok(Some(Poll::Ready(Err(error)))) => Err(error),
            Ok(None) | Err(_) => {
                // Dropping the future may also panic.
                let _ = attempt(|| future.set(None));
                Ok(internal())
            }
        })
    }
}

/// Replaces the body of a response whose status is 4xx or 5xx, unless the body is JSON. The old body is not read.
fn with_body<R: From<String>>(response: Response<R>) -> Response<R> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_json(response.headers()) {
        return response;
    }
    let Ok(body) = attempt(|| R::from(body(status))) else { return response };
    let (mut parts, old) = response.into_parts();
    discard(old);
    // These headers describe the old body.
    for name in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    // Fails only if the response has more headers than a map can hold.
    let _ = parts.headers.try_insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, body)
}

/// Returns the response for a panic.
fn internal<R: From<String>>() -> Response<R> {
    let mut response = Response::new(R::from(body(StatusCode::INTERNAL_SERVER_ERROR)));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn body(status: StatusCode) -> String {
    let (code, message) = words(status);
    let trace_id = trace_id().map_or("null".to_owned(), |id| format!("\"{id}\""));
    format!(r#"{{"error":{{"code":"{code}","message":"{message}","trace_id":{trace_id}}}}}"#)
}

/// Returns the code and message for a status. Clients depend on the codes, so a code never changes.
fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("bad_request", "The request is malformed."),
        401 => ("unauthenticated", "Authentication is required."),
        403 => ("forbidden", "Access is denied."),
        404 => ("not_found", "The resource was not found."),
        405 => ("method_not_allowed", "The method is not allowed for this resource."),
        406 => ("not_acceptable", "No acceptable format is available."),
        408 => ("request_timeout", "The request took too long."),
        409 => ("conflict", "The request conflicts with the current state."),
        410 => ("gone", "The resource no longer exists."),
        413 => ("body_too_large", "The body is too large."),
        414 => ("path_too_long", "The path is too long."),
        415 => ("unsupported_media_type", "The media type of the body is not supported."),
        422 => ("unprocessable", "The body is not valid."),
        429 => ("too_many_requests", "Too many requests: try again later."),
        431 => ("headers_too_large", "The headers are too large."),
        501 => ("not_implemented", "This is not implemented."),
        502 => ("bad_gateway", "An upstream service failed."),
        503 => ("unavailable", "The service is unavailable: try again later."),
        504 => ("gateway_timeout", "An upstream service took too long."),
        _ if status.is_client_error() => ("refused", "The request was refused."),
        _ => ("internal", "An internal error occurred."),
    }
}
