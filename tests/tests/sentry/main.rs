//! The events, transactions and scopes of runs in Sentry. Fixtures that several modules need are here.

mod chains;
mod clients;
mod ends;
mod late;
mod panics;
mod scopes;
mod stages;
mod traces;

use std::future::pending;
use std::panic::AssertUnwindSafe;

use anyhow::Context as _;
use futures::FutureExt as _;
use process_runtime::sentry::Integration;
use process_runtime::testing::Domain;
use process_runtime::{Outcome, critical_process, record, stage};
use process_tests::events::{in_block, tag};
use process_tests::ways::How;
use sentry::protocol::Event;
use sentry::{ClientOptions, Level};
use tokio::task::yield_now;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

#[derive(Debug, thiserror::Error)]
enum ChargeError {
    #[error("the caller's mistake")]
    Yours,
    #[error("card {0} was declined")]
    Declined(u32, #[source] BankError),
}

#[derive(Debug, thiserror::Error)]
#[error("the bank answered {0}")]
struct BankError(u16, #[source] std::io::Error);

fn declined() -> ChargeError {
    ChargeError::Declined(7, BankError(503, std::io::Error::other("connection reset")))
}

/// Charges a card.
#[critical_process(
    id = "charge",
    version = "2.1.0",
    sla = "10s",
    name = "Charge a card",
    criticality = critical,
    owner = "payments",
    runbook = "docs/runbooks/charge.md",
    context(company_id, user_id, cents, later(attempts)),
    rejects(ChargeError::Yours),
    degraded = How::is_fallback,
)]
async fn charge(company_id: &str, user_id: u64, cents: i64, how: How) -> Result<How, ChargeError> {
    let _ = (company_id, user_id, cents);
    yield_now().await;
    record!(attempts = 2_u8);
    match how {
        How::Succeed | How::FallBack => Ok(how),
        How::Reject => Err(ChargeError::Yours),
        How::Fail => Err(declined()),
        How::Panic => panic!("on demand"),
        How::Hang => pending().await,
    }
}

async fn run(how: How) {
    let domain = Domain::new();
    let charge = charge("c-9", 42, 1250, how);
    let mut future = Box::pin(AssertUnwindSafe(domain.run(charge)).catch_unwind());
    match how {
        How::Hang => assert!(futures::poll!(future.as_mut()).is_pending()),
        _ => drop(future.await),
    }
}

/// Returns how many runs of a process failed. Each process records its own outcome.
fn failures(domain: &Domain, process: &str) -> u64 {
    domain.stats(process).unwrap().ended.count(Outcome::Failure)
}

fn fingerprint(event: &Event<'_>) -> Vec<String> {
    event.fingerprint.iter().map(ToString::to_string).collect()
}

fn first_event_id(event: &Event<'_>) -> Option<String> {
    in_block(event, "first_event_id").and_then(|id| id.as_str()).map(str::to_owned)
}

fn processes<'a>(events: &'a [Event<'_>]) -> Vec<&'a str> {
    events.iter().map(|event| tag(event, "process_id").unwrap_or("none")).collect()
}

#[critical_process(id = "passes", version = "1.0.0", sla = "10s", context(level = 1))]
async fn passes() -> Result<(), ChargeError> {
    charge("c-9", 42, 1, How::Fail).await?;
    Ok(())
}

#[critical_process(id = "any", version = "1.0.0", sla = "10s")]
async fn any() -> anyhow::Result<()> {
    charge("c-9", 42, 1, How::Fail).await.context("while charging")?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("unavailable")]
struct Unavailable;

#[stage(id = "reserve", process = "ships", sla = "1s")]
async fn reserve(fails: bool) -> Result<(), Unavailable> {
    yield_now().await;
    sentry::capture_message("of a stage", Level::Info);
    if fails { Err(Unavailable) } else { Ok(()) }
}

#[critical_process(id = "ships", version = "1.0.0", sla = "10s", context(parcel))]
async fn ships(parcel: &str, fails: bool) -> Result<(), Unavailable> {
    let _ = parcel;
    reserve(fails).await
}

#[derive(Clone, Copy, Debug)]
struct Kind(&'static str);

impl Kind {
    fn kind(&self) -> &'static str {
        self.0
    }
}

#[stage(id = "attempt", error_type = Kind::kind)]
async fn attempt(error: Kind) -> Result<(), Kind> {
    Err(error)
}

fn sampled(rate: f32) -> ClientOptions {
    ClientOptions::new().add_integration(Integration).traces_sample_rate(rate)
}

/// The layers of `sentry-tracing`, as its documentation sets them up.
fn sentry_tracing() -> Dispatch {
    let crumbs = tracing_subscriber::filter::filter_fn(|metadata| {
        matches!(*metadata.level(), tracing::Level::WARN | tracing::Level::INFO)
    });
    let layers = Registry::default()
        .with(sentry_tracing::SpanLayer::new().with_filter(LevelFilter::INFO))
        .with(sentry_tracing::BreadcrumbLayer::new().with_filter(crumbs))
        .with(sentry_tracing::ErrorLayer::new().with_filter(LevelFilter::ERROR));
    Dispatch::new(layers)
}

#[critical_process(id = "text_never", version = "1.0.0", sla = "10s", error_text = never)]
fn text_never(panics: bool) -> Result<(), ChargeError> {
    if panics { panic!("SECRET") } else { Err(declined()) }
}
