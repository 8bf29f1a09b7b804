//! The spans that runs open in `tracing`, as a subscriber and an OpenTelemetry backend receive them. Fixtures that
//! several modules need are here.

mod attributes;
mod carriers;
mod clock;
mod errors;
mod lateness;
mod nesting;
mod subscribers;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use process_runtime::testing::Domain;
use process_runtime::{critical_process, stage};
use process_tests::ways::{How, Trouble};

/// The file that contains `transfer`.
const HERE: &str = file!();

#[critical_process(
    id = "transfer",
    version = "2.1.0",
    sla = "10s",
    criticality = critical,
    rejects(Trouble::Yours),
    degraded = How::is_fallback,
    context(account, amount = cents * 2, is_large = cents > 100),
)]
async fn transfer(account: &str, cents: u64, how: How) -> Result<How, Trouble> {
    let _ = account;
    how.end().await
}

async fn run(how: How) {
    let domain = Domain::new();
    let mut future = Box::pin(AssertUnwindSafe(domain.run(transfer("a-1", 60, how))).catch_unwind());
    match how {
        How::Hang => assert!(futures::poll!(future.as_mut()).is_pending()),
        _ => drop(future.await),
    }
}

#[stage(id = "debit", process = "settle", sla = "2s", context(leg))]
async fn debit(leg: u8, how: How) -> Result<How, Trouble> {
    let _ = leg;
    how.end().await
}

#[stage(id = "audit_trail")]
fn audit_trail() {
    tracing::info!(target: "business", "written");
}

#[critical_process(id = "settle", version = "1.0.0", sla = "10s", context(batch))]
async fn settle(batch: &str, how: How) -> Result<(), Trouble> {
    let _ = batch;
    debit(1, how).await?;
    audit_trail();
    transfer("a-2", 1, How::Succeed).await?;
    Ok(())
}

#[critical_process(id = "settle_again", version = "1.0.0", sla = "10s")]
fn settle_again() {
    audit_trail();
}
