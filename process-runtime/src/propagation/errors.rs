//! A body for every error: a stable code, a text that is safe to show, and the trace's id. Also for a panic.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Propagation, PropagationLayer, trace_id};

/// See [`PropagationLayer::error_bodies`].
#[derive(Clone, Debug)]
pub struct ErrorBodiesLayer {
    pub(super) around: PropagationLayer,
}

impl<S> Layer<S> for ErrorBodiesLayer {
    type Service = Propagation<ErrorBodies<S>>;

    fn layer(&self, inner: S) -> Propagation<ErrorBodies<S>> {
        self.around.layer(ErrorBodies { inner })
    }
}

/// A service whose errors all have a body; see [`PropagationLayer::error_bodies`].
#[derive(Clone, Debug)]
pub struct ErrorBodies<S> {
    inner: S,
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
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> ErrorBodiesFuture<S::Future> {
        ErrorBodiesFuture { future: catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok() }
    }
}

pin_project! {
    /// The answer of [`ErrorBodies`].
    #[derive(Debug)]
    pub struct ErrorBodiesFuture<F> {
        // `None` once it has panicked.
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
        let polled =
            catch_unwind(AssertUnwindSafe(|| future.as_mut().as_pin_mut().map(|future| future.poll(cx))));
        Poll::Ready(match polled {
            Ok(Some(Poll::Pending)) => return Poll::Pending,
            Ok(Some(Poll::Ready(Ok(response)))) => Ok(with_body(response)),
            Ok(Some(Poll::Ready(Err(error)))) => Err(error),
            Ok(None) | Err(_) => {
                // What is left of it may panic as well.
                let _ = catch_unwind(AssertUnwindSafe(|| future.set(None)));
                Ok(internal())
            }
        })
    }
}

/// The response; where it is an error that says nothing of itself as JSON, with a body that does.
fn with_body<R: From<String>>(response: Response<R>) -> Response<R> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_json(response.headers()) {
        return response;
    }
    let mut response = response.map(|_| R::from(body(status)));
    let headers = response.headers_mut();
    // Of the body that was there.
    for of_body in [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(of_body);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What a panic is answered with.
fn internal<R: From<String>>() -> Response<R> {
    let mut response = Response::new(R::from(String::new()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    with_body(response)
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

/// Code and text. Clients depend on the codes: none changes.
fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("bad_request", "The request cannot be understood."),
        401 => ("unauthenticated", "Log in first."),
        403 => ("forbidden", "This is not allowed."),
        404 => ("not_found", "There is no such thing."),
        405 => ("method_not_allowed", "Not with this method."),
        406 => ("not_acceptable", "There is no answer in this form."),
        408 => ("request_timeout", "The request took too long."),
        409 => ("conflict", "It does not go with what is there."),
        410 => ("gone", "It is no longer there."),
        413 => ("body_too_large", "The body is too large."),
        414 => ("path_too_long", "The path is too long."),
        415 => ("unsupported_media_type", "The body is of a kind that is not read here."),
        422 => ("unprocessable", "The body does not have what this needs."),
        429 => ("too_many_requests", "Too many requests: try again later."),
        431 => ("headers_too_large", "The headers are too large."),
        501 => ("not_implemented", "This does not exist yet."),
        502 => ("bad_gateway", "Another service that this needs did not work."),
        503 => ("unavailable", "Not now: try again later."),
        504 => ("gateway_timeout", "Another service that this needs took too long."),
        _ if status.is_client_error() => ("refused", "The request was refused."),
        _ => ("internal", "Something broke on our side."),
    }
}
