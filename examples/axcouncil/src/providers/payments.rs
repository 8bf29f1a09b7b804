//! The payment provider. It charges every card, unless its switch is set to another mode.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::switch::Switch;

pub(crate) fn router() -> Router {
    Switch::router([("/v1/charges", post(charge))])
}

#[derive(Deserialize)]
struct Charge {
    idempotency_key: i64,
    amount_cents: i64,
}

async fn charge(State(switch): State<Switch>, Json(charge): Json<Charge>) -> Result<Json<Value>, Response> {
    switch.pass("/v1/charges", None).await?;
    if charge.amount_cents <= 0 {
        return Err(StatusCode::BAD_REQUEST.into_response());
    }
    Ok(Json(json!({ "id": format!("ch_{}", charge.idempotency_key) })))
}
