//! The errors that a client receives. Each has a status, a stable code, a text without internal details, and the id
//! of the trace, in which an operator finds the cause.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use process_runtime::propagation;
use serde_json::json;

/// An error that a client receives as `{"error": {"code": "…", "message": "…", "trace_id": "…"}}`.
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

    /// Returns an internal error. The failed process has already reported the cause.
    pub(crate) fn internal() -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "An internal error occurred.")
    }

    /// Returns an error for a request that is not valid.
    pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    /// Returns an error for something that does not exist, or that belongs to another company.
    pub(crate) fn not_found(what: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("This {what} does not exist."))
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
        ApiError::new(rejection.status(), "bad_body", "The body is not the JSON that this route expects.")
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> ApiError {
        ApiError::new(rejection.status(), "bad_path", "The path is not valid for this route.")
    }
}
