//! What a client is told of an error: a status, a stable code, a text that says nothing of the inside, and the id of
//! the trace, by which we find what it was.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use process_runtime::propagation;
use serde_json::json;

/// An error on its way to a client, as `{"error": {"code": "…", "message": "…", "trace_id": "…"}}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into() }
    }

    /// Something broke here. What it was, the process that failed has told those who repair it.
    pub(crate) fn internal() -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something broke on our side.")
    }

    /// What the client sent makes no sense.
    pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    /// There is no such thing, or it belongs to another company, which sounds the same.
    pub(crate) fn not_found(what: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("There is no such {what}."))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let trace_id = propagation::trace_id();
        let body = json!({ "error": { "code": self.code, "message": self.message, "trace_id": trace_id } });
        (self.status, Json(body)).into_response()
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> ApiError {
        ApiError::new(rejection.status(), "bad_body", "The body is not the JSON that this route takes.")
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> ApiError {
        ApiError::new(rejection.status(), "bad_path", "The path has no such form.")
    }
}
