//! Tests of contracts: what each case means, and which evidence a contract leaves. Fixtures that several modules need
//! are here.

mod batteries;
mod cases;
#[path = "../shared/children.rs"]
mod children;
mod faults;
#[path = "../shared/panics.rs"]
mod panics;
#[path = "../shared/paused.rs"]
mod paused;
mod proofs;

use std::panic::{UnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use process_runtime::testing::evidence;
use process_runtime::{critical_process, dependency, stage};

use paused::paused;

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("no such address")]
    Unknown,
    #[error("no connection")]
    Connection,
}

impl SendError {
    fn kind(&self) -> &'static str {
        match self {
            SendError::Unknown => "unknown",
            SendError::Connection => "connection",
        }
    }
}

/// Sends a letter.
#[critical_process(
    id = "send_letter",
    version = "1.0.0",
    sla = "30s",
    context(address, inherit(tenant)),
    rejects(SendError::Unknown),
    error_type = SendError::kind,
    depends_on("post_office"),
)]
async fn send(address: &str) -> Result<(), SendError> {
    if address.is_empty() {
        return Err(SendError::Unknown);
    }
    stamp().await?;
    let handed = dependency("post_office", async { Ok(()) });
    process_runtime::timeout(Duration::from_secs(5), handed).await.map_err(|_| SendError::Connection)?
}

#[stage(process = "send_letter", id = "stamp", error_type = SendError::kind)]
async fn stamp() -> Result<(), SendError> {
    Ok(())
}

#[critical_process(id = "log_letter", version = "1.0.0", sla = "30s")]
async fn log_letter(text: &str) -> Result<(), SendError> {
    tracing::info!("about to send {text}");
    Ok(())
}

/// Sends a letter without a time limit, and has the text in its error.
#[critical_process(id = "send_anyhow", version = "1.0.0", sla = "30s", context(note = note.len()), depends_on("pigeon"))]
async fn send_anyhow(note: &str) -> Result<(), String> {
    dependency("pigeon", async { Ok::<_, SendError>(()) }).await.map_err(|error| format!("{error}: {note}"))
}

/// Sends several copies.
#[critical_process(id = "send_copies", version = "1.0.0", sla = "30s", depends_on("post_office"))]
async fn send_copies(copies: u32) -> Result<(), SendError> {
    for _ in 0..copies {
        dependency("post_office", async { Ok(()) }).await?;
    }
    Ok(())
}

/// The directory for the evidence of this binary.
fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("contracts-{}", std::process::id()));
        // SAFETY: every test calls `directory` first, and no test reads the environment before `directory` has
        // returned.
        unsafe { std::env::set_var("PROCESS_EVIDENCE_DIR", &directory) };
        directory
    })
}

fn message(f: impl FnOnce() + UnwindSafe) -> String {
    directory();
    let Err(payload) = catch_unwind(f) else { return "nothing".to_owned() };
    panics::text(payload)
}

/// Returns the evidence that the contract whose name ends with `test` left.
fn left_by(test: &str) -> evidence::Evidence {
    let evidence = evidence::read(directory()).evidence;
    evidence
        .into_iter()
        .find(|one| one.test.ends_with(test))
        .unwrap_or_else(|| panic!("{test} left no evidence"))
}
