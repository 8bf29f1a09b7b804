//! The client of the model provider.

use std::time::Duration;

use process_runtime::TimedOut;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bounded::bounded;
use crate::outgoing::Outgoing;

/// The answer of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) model: String,
    pub(crate) text: String,
}

/// Sends requests to models.
pub(crate) struct Models {
    outgoing: Outgoing,
    url: Url,
    limit: Duration,
}

/// The reason why a call to a model fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    #[error("model {model} cannot be reached, or its answer cannot be read")]
    Transport { model: String, source: reqwest::Error },
    #[error("model {model} answered with status {status}")]
    Status { model: String, status: StatusCode },
    #[error("a model did not answer in time")]
    Timeout(#[from] TimedOut),
}

impl ModelError {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            ModelError::Transport { .. } => "model_transport",
            ModelError::Status { .. } => "model_status",
            ModelError::Timeout(_) => "model_timeout",
        }
    }
}

impl Models {
    pub(crate) fn new(outgoing: Outgoing, url: Url, limit: Duration) -> Models {
        Models { outgoing, url, limit }
    }

    pub(super) async fn answer(&self, model: &str, prompt: &str) -> Result<Answer, ModelError> {
        let reply: Reply = self.ask("/v1/answer", model, json!({ "model": model, "prompt": prompt })).await?;
        Ok(Answer { model: model.to_owned(), text: reply.text })
    }

    pub(super) async fn rank(
        &self,
        model: &str,
        prompt: &str,
        answers: &[Answer],
    ) -> Result<Vec<String>, ModelError> {
        let body = json!({ "model": model, "prompt": prompt, "answers": answers });
        let ballot: Ballot = self.ask("/v1/rank", model, body).await?;
        Ok(ballot.order)
    }

    pub(super) async fn synthesize(
        &self,
        model: &str,
        prompt: &str,
        answers: &[Answer],
    ) -> Result<String, ModelError> {
        let body = json!({ "model": model, "prompt": prompt, "answers": answers });
        let reply: Reply = self.ask("/v1/synthesize", model, body).await?;
        Ok(reply.text)
    }

    /// Checks that the provider lists its models.
    pub(crate) async fn list(&self) -> Result<(), ModelError> {
        let any = || "(any)".to_owned();
        let transport =
            |source: reqwest::Error| ModelError::Transport { model: any(), source: source.without_url() };
        let response =
            self.outgoing.send(self.outgoing.get(self.at("/v1/models"))).await.map_err(transport)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(ModelError::Status { model: any(), status }),
        }
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, model: &str, body: Value) -> Result<T, ModelError> {
        bounded("model_provider", self.limit, self.send(path, model, body)).await
    }

    async fn send<T: DeserializeOwned>(&self, path: &str, model: &str, body: Value) -> Result<T, ModelError> {
        let transport = |source: reqwest::Error| ModelError::Transport {
            model: model.to_owned(),
            source: source.without_url(),
        };
        let request = self.outgoing.post(self.at(path)).json(&body);
        let response = self.outgoing.send(request).await.map_err(transport)?;
        if !response.status().is_success() {
            return Err(ModelError::Status { model: model.to_owned(), status: response.status() });
        }
        response.json().await.map_err(transport)
    }
}

#[derive(Deserialize)]
struct Reply {
    text: String,
}

#[derive(Deserialize)]
struct Ballot {
    order: Vec<String>,
}
