//! A client that uses the service over HTTP.

use axcouncil::Running;
use process_runtime::propagation;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Result;

#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    api: String,
    models: String,
    payments: String,
    token: Option<String>,
}

/// A response of the service.
pub(super) struct Reply {
    pub(super) status: u16,
    /// The id of the request's trace, or `None` if the response does not have one.
    pub(super) trace: Option<String>,
    pub(super) body: Value,
}

impl Client {
    pub(super) fn new(running: &Running) -> Result<Client> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let (api, models, payments) = (running.url(), running.models_url(), running.payments_url());
        Ok(Client { http, api, models, payments, token: None })
    }

    /// Returns this client with the token from the answer to a login.
    pub(super) fn with_token(mut self, login: &Reply) -> Result<Client> {
        let token = login.body["token"].as_str().ok_or("the answer to a login has no token")?;
        self.token = Some(token.to_owned());
        Ok(self)
    }

    pub(super) async fn login(&self, email: &str, password: &str) -> Result<Reply> {
        self.post("/login", &json!({ "email": email, "password": password })).await
    }

    pub(super) async fn deliberate(&self, question: &str, department: Option<i64>) -> Result<Reply> {
        self.post("/deliberations", &json!({ "question": question, "department_id": department })).await
    }

    pub(super) async fn subscribe(&self) -> Result<Reply> {
        self.post("/subscriptions", &json!({ "plan": "team", "seats": 12, "card": "tok_visa" })).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(self.http.request(Method::POST, format!("{}{path}", self.api)).json(body)).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply> {
        self.send(self.http.request(Method::GET, format!("{}{path}", self.api))).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Reply> {
        self.send(self.http.request(Method::DELETE, format!("{}{path}", self.api))).await
    }

    /// Sets a rule in the switch of the model provider.
    pub(super) async fn models(&self, rule: Value) -> Result<()> {
        self.http.post(format!("{}/mode", self.models)).json(&rule).send().await?.error_for_status()?;
        Ok(())
    }

    /// Sets a rule for all requests in the switch of the payment provider.
    pub(super) async fn payments(&self, mode: &str) -> Result<()> {
        let rule = json!({ "mode": mode });
        self.http.post(format!("{}/mode", self.payments)).json(&rule).send().await?.error_for_status()?;
        Ok(())
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Reply> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        let trace = response.headers().get(propagation::TRACE_ID_HEADER).and_then(|id| id.to_str().ok());
        let (status, trace) = (response.status().as_u16(), trace.map(str::to_owned));
        Ok(Reply { status, trace, body: response.json().await? })
    }
}
