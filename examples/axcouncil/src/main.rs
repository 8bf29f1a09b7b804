//! `cargo run -p axcouncil` plays a day of the service against itself, and fails if a step has an unexpected result.
//! `cargo run -p axcouncil -- --serve` serves until it is stopped.

mod arguments;
mod day;
mod shown;
mod trace;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use axcouncil::{ACME_USER, Config, Limits, PASSWORD, UMBRA_USER};
use process_runtime::Install;
use process_runtime::telemetry::{Telemetry, TelemetryBuilder};
use reqwest::Url;

use self::arguments::Arguments;
use self::shown::shown;

/// The directory of the database and the telemetry files.
const DIRECTORY: &str = "target/axcouncil";

const PROCESSES: [&str; 6] = [
    "company_context_load",
    "council_deliberation_3stage",
    "department_delete",
    "knowledge_entry_save",
    "payment_subscription",
    "user_authentication",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!(
                "axcouncil: {}; usage: axcouncil [--serve [--port N] [--models URL] | trace [--id ID] \
                 [--context KEY=VALUE] [--around HH:MM]]",
                shown(&error)
            );
            return ExitCode::from(2);
        }
    };
    let directory = Path::new(DIRECTORY).join("telemetry");
    let serving = match arguments {
        Arguments::Day => None,
        Arguments::Serve { port, models } => Some((port, models)),
        Arguments::Trace(query) => return trace::draw(&directory, &query).map_or_else(failed, exit),
    };
    let telemetry = TelemetryBuilder::new()
        .service("axcouncil", env!("CARGO_PKG_VERSION"))
        .directory(&directory)
        .install(Install::new().expect(PROCESSES))
        .init();
    let ended = match serving {
        Some((port, models)) => serve(port, models).await.map(|()| true),
        None => play(&telemetry, &directory).await,
    };
    ended.map_or_else(failed, exit)
}

fn exit(went_well: bool) -> ExitCode {
    if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints an error with its causes.
fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> ExitCode {
    let error = error.into();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    eprintln!("axcouncil: {}", shown(&format!("{error}{causes}")));
    ExitCode::FAILURE
}

/// Plays a day over an empty database. Returns whether every step had the expected result.
async fn play(telemetry: &Telemetry, directory: &Path) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let database = file("day.db")?;
    for left in ["day.db", "day.db-wal", "day.db-shm"] {
        match std::fs::remove_file(Path::new(DIRECTORY).join(left)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    // The chairman hangs in one step. With a short limit, the day does not wait long for it.
    let limits = Limits { synthesis: Duration::from_millis(1_500), ..Limits::default() };
    let config = Config { database, limits, ..Config::default() };
    let running = axcouncil::start(config).await?;
    let went_well = day::play(&running, telemetry, directory).await?;
    running.stop().await;
    Ok(went_well)
}

/// Serves until the program is asked to stop. The next start uses the same database.
async fn serve(port: u16, models: Option<Url>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let database = file("axcouncil.db")?;
    let health_token = std::env::var("AXCOUNCIL_HEALTH_TOKEN").ok();
    let config = Config { database, port, models, health_token, ..Config::default() };
    let running = axcouncil::start(config).await?;
    println!("API                {}", running.url());
    println!("model provider     {}", running.models_url());
    println!("payment provider   {}", running.payments_url());
    println!("users              {ACME_USER} and {UMBRA_USER}, password “{PASSWORD}”");
    axcouncil::asked_to_stop().await?;
    running.drain().await;
    running.stop().await;
    Ok(())
}

/// Returns the path of a file in [`DIRECTORY`], and creates the directory if it does not exist.
fn file(name: &str) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(DIRECTORY)?;
    Ok(Path::new(DIRECTORY).join(name))
}
