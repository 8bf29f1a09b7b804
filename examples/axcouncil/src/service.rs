//! The shared state of all handlers: the database, the clients of the providers, keys and limits.

use std::future::Future;
use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::RwLock;

use crate::auth::{Passwords, Tokens};
use crate::bounded::{Limits, bounded};
use crate::council::Models;
use crate::database::DatabaseError;
use crate::payment::Payments;

/// The shared state of the service. It is cheap to clone.
#[derive(Clone)]
pub(crate) struct Service(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) database: SqlitePool,
    pub(crate) passwords: Passwords,
    pub(crate) tokens: Tokens,
    pub(crate) models: Models,
    pub(crate) payments: Payments,
    pub(crate) limits: Limits,
    /// Locked for reading while a card is charged. A shutdown locks it for writing, and so waits for all charges.
    pub(crate) charges: Arc<RwLock<()>>,
}

impl Service {
    pub(crate) fn new(parts: Parts) -> Service {
        Service(Arc::new(parts))
    }

    /// Runs a database call of a process: a statement, or a whole transaction.
    pub(crate) async fn sqlite<T>(
        &self,
        call: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, DatabaseError> {
        bounded("sqlite", self.limits.sqlite, call).await
    }
}

impl std::ops::Deref for Service {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
