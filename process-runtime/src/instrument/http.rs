//! Maps HTTP statuses to outcomes, for handlers that return a response. 5xx is a failure. 4xx is a rejection, because
//! the caller made a mistake. Everything else is a success. Serving HTTP does not belong here.

use std::any::type_name;

use http::{Response, StatusCode};
use process_model::Outcome;

use crate::run::ending::Ending;

/// A type that has an HTTP status: a status, a response, or a tuple that starts with a status.
pub trait HasStatus {
    /// Returns the status.
    fn status(&self) -> StatusCode;
}

impl HasStatus for StatusCode {
    fn status(&self) -> StatusCode {
        *self
    }
}

impl<B> HasStatus for Response<B> {
    fn status(&self) -> StatusCode {
        Response::status(self)
    }
}

macro_rules! tuples {
    ($(($($part:ident),+))+) => {$(
        impl<$($part),+> HasStatus for (StatusCode, $($part),+) {
            fn status(&self) -> StatusCode {
                self.0
            }
        }
    )+};
}

tuples! {
    (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H) (A, B, C, D, E, F, G, H, I) (A, B, C, D, E, F, G, H, I, J)
    (A, B, C, D, E, F, G, H, I, J, K) (A, B, C, D, E, F, G, H, I, J, K, L)
    (A, B, C, D, E, F, G, H, I, J, K, L, M) (A, B, C, D, E, F, G, H, I, J, K, L, M, N)
    (A, B, C, D, E, F, G, H, I, J, K, L, M, N, O) (A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P)
}

/// Decides from the HTTP status of a return value how the run ended. `error.type` is the status code, as in
/// OpenTelemetry's semantic conventions for HTTP.
pub(crate) fn judge(status: StatusCode) -> Ending<'static> {
    match status.as_u16() {
        500.. => Ending::failure().error_type(code(status)),
        400..500 => Ending::failure().rejected().error_type(code(status)),
        _ => Ending::success(),
    }
}

/// Decides from the HTTP status of a returned `Err` how the run ended. The result is the same as that of [`judge`],
/// except that a success becomes a failure.
pub(crate) fn judge_error(status: StatusCode) -> Ending<'static> {
    let ending = judge(status);
    match ending.outcome {
        Outcome::Success => Ending::failure().error_type(type_name::<StatusCode>()),
        _ => ending,
    }
}

/// Returns the three digits of a status that is in `KNOWN`, otherwise `4xx` or `5xx`.
fn code(status: StatusCode) -> &'static str {
    const KNOWN: [StatusCode; 16] = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::PAYMENT_REQUIRED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::CONFLICT,
        StatusCode::GONE,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    const CODES: [&str; 16] = [
        "400", "401", "402", "403", "404", "405", "408", "409", "410", "413", "422", "429", "500", "502",
        "503", "504",
    ];
    let known = KNOWN.iter().position(|known| *known == status);
    known.map_or(if status.as_u16() >= 500 { "5xx" } else { "4xx" }, |at| CODES[at])
}
