use process_runtime::dependency_check;
use process_runtime::health::Setup;

#[derive(Clone)]
struct Database;

#[dependency_check(id = "sqlite")]
async fn sqlite_answers(_database: Database) -> Result<(), String> {
    Ok(())
}

fn main() {
    let database = Database;
    // A liveness check must not be a dependency check, capture a dependency or be async.
    let _ = Setup::new().liveness("sqlite", sqlite_answers);
    let _ = Setup::new().liveness("sqlite", || {
        let _ = &database;
        Ok(())
    });
    let _ = Setup::new().liveness("sqlite", async || Ok(()));
}
