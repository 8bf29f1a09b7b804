//! The database: one SQLite file, brought up to date by the migrations that the binary carries.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use process_runtime::TimedOut;
use sqlx::SqlitePool;
use sqlx::error::BoxDynError;
use sqlx::migrate::{Migration, MigrationSource, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// How long a connection waits for another's write: less than a call may take, so that it is known as that.
const BUSY: Duration = Duration::from_secs(1);

/// How a transaction begins that will write: waiting for its turn here is what `BUSY` covers. One that reads
/// first and then wants to write is refused at once if another wrote meanwhile.
pub(crate) const WRITE: &str = "BEGIN IMMEDIATE";

const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "companies", include_str!("../migrations/0001_companies.sql")),
    (2, "work", include_str!("../migrations/0002_work.sql")),
    (3, "billing", include_str!("../migrations/0003_billing.sql")),
    (4, "probe", include_str!("../migrations/0004_probe.sql")),
];

/// Why a process had nothing of the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("the database refuses")]
    Refused(#[from] sqlx::Error),
    #[error("the database does not answer")]
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

/// Opens the file, which is made if it is not there, and migrates it.
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

/// The migrations as they were when the binary was built.
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
