//! The platform on which contracts run. It has both providers and a new database for each test, but no HTTP API.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::auth::User;
use crate::bounded::Limits;
use crate::server::{Config, Prepared, prepare};
use crate::service::Service;

/// The user of Acme Robotics, from the seed.
pub(crate) const ADA: User = User { id: 1, company: 1 };
/// Acme's second department, which has two roles and can be deleted because it is not the default department.
pub(crate) const SALES: i64 = 2;

/// Returns limits that all have this value.
pub(crate) fn all(limit: Duration) -> Limits {
    Limits { sqlite: limit, model_provider: limit, synthesis: limit, payment_provider: limit }
}

/// The platform that a contract runs on.
pub(crate) struct Platform {
    prepared: Prepared,
    _directory: TempDir,
}

impl Platform {
    pub(crate) async fn new() -> Platform {
        Platform::with(|_| ()).await
    }

    /// Starts a platform with changed limits.
    pub(crate) async fn with(change: impl FnOnce(&mut Limits)) -> Platform {
        let directory = TempDir::new().expect("a directory can be made");
        let mut limits = Limits::default();
        change(&mut limits);
        let config = Config {
            database: directory.path().join("contract.db"),
            limits,
            cheap_passwords: true,
            ..Config::default()
        };
        let prepared = prepare(config).await.expect("it can be prepared");
        Platform { prepared, _directory: directory }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.prepared.service
    }

    /// Sets the mode of the model provider.
    pub(crate) async fn models(&self, rule: Value) {
        set_mode(self.prepared.models_url(), rule).await;
    }

    /// Sets the mode of the payment provider.
    pub(crate) async fn payments(&self, mode: &str) {
        set_mode(self.prepared.payments_url(), json!({ "mode": mode })).await;
    }

    /// Changes the database directly.
    pub(crate) async fn change(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.service().database).await.expect("it can be changed");
    }

    /// Returns the texts that a query selects.
    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(&self.service().database).await.expect("the query succeeds")
    }
}

async fn set_mode(provider: &Url, rule: Value) {
    let mut mode = provider.clone();
    mode.set_path("/mode");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let response = client.post(mode).json(&rule).send().await.expect("the provider answers");
    assert!(response.status().is_success(), "{response:?}");
}
