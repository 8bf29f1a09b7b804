//! What every handler shares: the database, the client for the providers, keys and limits.

use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;

use crate::auth::{Passwords, Tokens};
use crate::council::Models;
use crate::payment::Payments;

/// The service, cheap to clone.
#[derive(Clone)]
pub(crate) struct Service(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) database: SqlitePool,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: Tokens,
    pub(crate) models: Models,
    pub(crate) payments: Payments,
    /// How long the chairman may take.
    pub(crate) synthesis_limit: Duration,
}

impl Service {
    pub(crate) fn new(parts: Parts) -> Service {
        Service(Arc::new(parts))
    }
}

impl std::ops::Deref for Service {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
