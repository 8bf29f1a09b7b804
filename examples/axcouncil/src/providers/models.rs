//! The model provider. A model repeats the question in its answer. It ranks the other models by the length of their
//! names, the longest first.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::switch::Switch;

/// Returns the routes of the model provider, with a switch for them.
pub fn router() -> Router {
    Switch::router([
        ("/v1/answer", post(answer)),
        ("/v1/rank", post(rank)),
        ("/v1/synthesize", post(synthesize)),
        ("/v1/models", get(list)),
    ])
}

#[derive(Deserialize)]
struct Question {
    model: String,
    prompt: String,
}

#[derive(Deserialize)]
struct Answers {
    model: String,
    answers: Vec<Answer>,
}

#[derive(Deserialize, Serialize)]
struct Answer {
    model: String,
    text: String,
}

async fn answer(State(switch): State<Switch>, Json(asked): Json<Question>) -> Result<Json<Value>, Response> {
    switch.pass("/v1/answer", Some(&asked.model)).await?;
    let question = asked.prompt.lines().next_back().unwrap_or_default();
    Ok(Json(json!({ "text": format!("{} on “{question}”: begin small, and measure.", asked.model) })))
}

async fn list(State(switch): State<Switch>) -> Result<Json<Value>, Response> {
    switch.pass("/v1/models", None).await?;
    Ok(Json(json!({ "data": ["aurora", "borealis", "hypnos", "solon", "zephyr"] })))
}

async fn rank(State(switch): State<Switch>, Json(asked): Json<Answers>) -> Result<Json<Value>, Response> {
    switch.pass("/v1/rank", Some(&asked.model)).await?;
    let others = asked.answers.into_iter().map(|answer| answer.model).filter(|model| *model != asked.model);
    let mut order: Vec<_> = others.collect();
    order.sort_by_key(|model| std::cmp::Reverse(model.len()));
    Ok(Json(json!({ "order": order })))
}

async fn synthesize(
    State(switch): State<Switch>,
    Json(asked): Json<Answers>,
) -> Result<Json<Value>, Response> {
    switch.pass("/v1/synthesize", Some(&asked.model)).await?;
    let texts: Vec<_> = asked.answers.into_iter().map(|answer| answer.text).collect();
    Ok(Json(json!({ "text": format!("The council agrees. {}", texts.join(" ")) })))
}
