//! The database: one SQLite file. The migrations are part of the binary.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use process_runtime::TimedOut;
use sqlx::SqlitePool;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// How long a connection waits while another connection writes. This is less than the time limit for a database call.
/// A locked database is therefore reported as locked, before the call times out.
const BUSY: Duration = Duration::from_secs(1);

/// The statement that begins a transaction which writes. The statement waits for other writers, at most for [`BUSY`].
/// A transaction that begins with a read instead fails at its first write if another connection has written in the
/// meantime.
pub(crate) const WRITE: &str = "BEGIN IMMEDIATE";

const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "companies", include_str!("../migrations/0001_companies.sql")),
    (2, "work", include_str!("../migrations/0002_work.sql")),
    (3, "billing", include_str!("../migrations/0003_billing.sql")),
    (4, "probe", include_str!("../migrations/0004_probe.sql")),
];

/// The reason why a database call fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("the database returned an error")]
    Refused(#[from] sqlx::Error),
    #[error("the database did not answer in time")]
    Timeout(#[from] TimedOut),
}

impl DatabaseError {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            DatabaseError::Refused(_) => "database",
            DatabaseError::Timeout(_) => "database_timeout",
        }
    }
}

/// Opens the database file and runs the migrations. Creates the file if it does not exist.
pub(crate) async fn open(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
    Migrator::new(Embedded).await?.run(&pool).await?;
    Ok(pool)
}

/// The migrations that are compiled into the binary.
#[derive(Debug)]
struct Embedded;

impl MigrationSource<'static> for Embedded {
    fn resolve(self) -> Pin<Box<dyn Future<Output = Result<Vec<Migration>, BoxDynError>> + Send>> {
        let migrations = MIGRATIONS.map(|(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into(), false)
        });
        Box::pin(std::future::ready(Ok(migrations.into())))
    }
}
