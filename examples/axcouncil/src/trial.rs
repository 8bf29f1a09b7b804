//! The platform without its HTTP API, for contracts: a database of its own, and both providers as they are.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::auth::User;
use crate::bounded::Limits;
use crate::server::{Config, Prepared, prepare};
use crate::service::Service;

/// Works for Acme Robotics, as the seed has it.
pub(crate) const ADA: User = User { id: 1, company: 1 };
/// Acme's department that is not the default one, with two roles.
pub(crate) const SALES: i64 = 2;

/// Each limit the same.
pub(crate) fn all(limit: Duration) -> Limits {
    Limits { sqlite: limit, model_provider: limit, synthesis: limit, payment_provider: limit }
}

/// What a contract runs on.
pub(crate) struct Platform {
    prepared: Prepared,
    _directory: TempDir,
}

impl Platform {
    pub(crate) async fn new() -> Platform {
        Platform::with(|_| ()).await
    }

    /// With other limits than usual.
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

    /// Tells the model provider what to do.
    pub(crate) async fn models(&self, rule: Value) {
        tell(self.prepared.models_url(), rule).await;
    }

    /// Tells the payment provider what to do.
    pub(crate) async fn payments(&self, mode: &str) {
        tell(self.prepared.payments_url(), json!({ "mode": mode })).await;
    }

    /// Changes the database behind the back of the service.
    pub(crate) async fn change(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.service().database).await.expect("it can be changed");
    }

    /// The texts that a query gives.
    pub(crate) async fn texts(&self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(&self.service().database).await.expect("it can be asked")
    }
}

async fn tell(provider: &Url, rule: Value) {
    let mut mode = provider.clone();
    mode.set_path("/mode");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    let response = client.post(mode).json(&rule).send().await.expect("the provider answers");
    assert!(response.status().is_success(), "{response:?}");
}
