//! What every handler shares: the database, the clients of the providers, keys and limits.

use std::future::Future;
use std::sync::Arc;

use sqlx::SqlitePool;
use tokio::sync::RwLock;

use crate::auth::{Passwords, Tokens};
use crate::bounded::{Limits, bounded};
use crate::council::Models;
use crate::database::DatabaseError;
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
    pub(crate) limits: Limits,
    /// Locked for reading while a card is charged, and for writing by a shutdown, which waits for that.
    pub(crate) charges: Arc<RwLock<()>>,
}

impl Service {
    pub(crate) fn new(parts: Parts) -> Service {
        Service(Arc::new(parts))
    }

    /// What a process asks of the database: a statement, or a transaction from its beginning to its end.
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
