//! The routes of the API, and the extractors that read the body and the path of a request. A request that cannot be
//! read is answered with a JSON error, like every request that fails. If no handler receives a request, the outermost
//! layer writes the error.

use std::time::Instant;

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderName;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use process_runtime::health::Health;
use process_runtime::propagation;
use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::service::Service;
use crate::{auth, council, departments, knowledge, payment, status};

pub(crate) fn router(service: Service, health: Health) -> Router {
    let router = Router::new()
        .route("/login", post(auth::login))
        .route("/deliberations", post(council::create))
        .route("/knowledge", post(knowledge::create))
        .route("/subscriptions", post(payment::create))
        .route("/departments", post(departments::create).get(departments::list))
        .route("/departments/{id}", put(departments::update).delete(departments::remove))
        .route("/departments/{id}/roles", post(departments::create_role))
        .route("/roles/{id}", put(departments::update_role).delete(departments::remove_role))
        .route("/status", get(status::show))
        .with_state(service)
        .layer(middleware::from_fn(timed))
        // Customers call this service, so their traces are not continued.
        .layer(propagation::layer().public().error_bodies());
    // The health routes are outside of the layers above, so requests to them create no traces.
    router.nest_service("/health", health)
}

/// Adds the duration of the request to the response, in milliseconds (<https://www.w3.org/TR/server-timing/>).
async fn timed(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let mut response = next.run(request).await;
    let took = format!("app;dur={:.3}", started.elapsed().as_secs_f64() * 1e3);
    response.headers_mut().extend(took.parse().map(|took| (HeaderName::from_static("server-timing"), took)));
    response
}

/// The JSON body of a request.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        let axum::Json(body) = axum::Json::from_request(request, state).await?;
        Ok(Body(body))
    }
}

/// The id in the path of a request.
pub(crate) struct Id(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, ApiError> {
        let Path(id) = Path::from_request_parts(parts, state).await?;
        Ok(Id(id))
    }
}
