//! A service for one test, and a client that uses it.

use std::path::PathBuf;
use std::time::Duration;

use axcouncil::{Config, Limits, PASSWORD, Running};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

/// A limit that is longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// A service with a database of its own. The database is removed when this value is dropped.
pub(crate) struct Service {
    pub(crate) running: Running,
    http: reqwest::Client,
    directory: TempDir,
}

impl Service {
    pub(crate) async fn start() -> Service {
        Service::with(|_| ()).await
    }

    /// Starts a service with a changed configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Service {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
        let database = directory.path().join("test.db");
        let mut config = Config {
            database,
            limits: Limits { sqlite: LONG, model_provider: LONG, synthesis: LONG, payment_provider: LONG },
            cheap_passwords: true,
            ..Config::default()
        };
        change(&mut config);
        let running = axcouncil::start(config).await.expect("it starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        Service { running, http, directory }
    }

    /// Returns the path of the service's database.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("test.db")
    }

    /// Stops the service as in production. Returns its database, and the directory that contains the database.
    pub(crate) async fn stop(self) -> (SqlitePool, TempDir) {
        let file = SqliteConnectOptions::new().filename(self.file());
        self.running.stop().await;
        (SqlitePool::connect_with(file).await.expect("it is there"), self.directory)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.running.url())).json(body);
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let response = request.send().await.expect("it answers");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        self.send(Method::POST, path, token, body).await
    }

    /// Returns the token of a user.
    pub(crate) async fn login(&self, email: &str) -> String {
        let body = json!({ "email": email, "password": PASSWORD });
        let (status, session) = self.post("/login", "", &body).await;
        assert_eq!(status, 200, "{session}");
        session["token"].as_str().expect("a session has a token").to_owned()
    }

    pub(crate) async fn models(&self, rule: Value) {
        self.switch(self.running.models_url(), rule).await;
    }

    pub(crate) async fn payments(&self, mode: &str) {
        self.switch(self.running.payments_url(), json!({ "mode": mode })).await;
    }

    async fn switch(&self, provider: String, rule: Value) {
        let set = self.http.post(format!("{provider}/mode")).json(&rule).send().await;
        assert_eq!(set.expect("it answers").status(), 204);
    }

    /// Returns the one number that a query selects.
    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.running.database()).await.expect("the query succeeds")
    }

    /// Returns the texts that a query selects.
    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(self.running.database()).await.expect("the query succeeds")
    }
}

/// Returns the code of an error, and requires that the error has a text.
pub(crate) fn code(body: &Value) -> &str {
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    body["error"]["code"].as_str().expect("an error has a code")
}
