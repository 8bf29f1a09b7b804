//! A small service that sets up its telemetry in one call. `tests/telemetry` checks the telemetry from outside,
//! because the set-up applies to a whole program.

use std::error::Error;
use std::fmt;

use process_runtime::{critical_process, record, stage, telemetry};
use tracing::{Instrument, info_span};

#[derive(Debug)]
enum OrderError {
    Declined,
    NoCard(String),
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrderError::Declined => f.write_str("the card was declined"),
            OrderError::NoCard(card) => write!(f, "unknown card {card}"),
        }
    }
}

impl Error for OrderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            OrderError::Declined => None,
            OrderError::NoCard(_) => Some(&fmt::Error),
        }
    }
}

/// The error that the outer run returns.
#[derive(Debug)]
struct CheckoutError(OrderError);

impl fmt::Display for CheckoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the checkout failed")
    }
}

impl Error for CheckoutError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// A run that fails because its inner run fails.
#[critical_process(id = "checkout", version = "1.0.0", sla = "5s")]
async fn checkout(customer_id: &str) -> Result<u64, CheckoutError> {
    place_order(customer_id, 4, "canary-4929").await.map_err(CheckoutError)
}

/// A run with a stage and with spans of a driver.
#[critical_process(
    id = "place_order",
    version = "1.2.0",
    sla = "2700ms",
    criticality = critical,
    context(customer_id, items = items, later(total)),
    rejects(OrderError::Declined),
)]
async fn place_order(customer_id: &str, items: u64, card: &str) -> Result<u64, OrderError> {
    let total = charge(items, card).await?;
    record!(total = total);
    Ok(total)
}

/// The stage that charges the card.
#[stage(process = "place_order", id = "charge", sla = "700ms")]
async fn charge(items: u64, card: &str) -> Result<u64, OrderError> {
    query().await;
    match card {
        "declined" => Err(OrderError::Declined),
        "canary-4929" => Err(OrderError::NoCard(card.to_owned())),
        _ => Ok(items * 250),
    }
}

/// An error whose text contains the rejected guess. The text must not leave the program.
#[derive(Debug)]
struct WrongPassword(String);

impl fmt::Display for WrongPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not the password", self.0)
    }
}

impl Error for WrongPassword {}

/// A login that fails.
#[critical_process(
    id = "sign_in",
    version = "1.0.0",
    sla = "1300ms",
    context(customer_id),
    rejects(WrongPassword(_))
)]
async fn sign_in(customer_id: &str, password: &str) -> Result<(), WrongPassword> {
    Err(WrongPassword(password.to_owned()))
}

/// A query with a span, like the query of a database driver.
async fn query() {
    tracing::debug!(target: "driver", statement = "SELECT 'canary-sql'");
    tracing::warn!(target: "driver", "a slow query");
    async { tokio::task::yield_now().await }.instrument(info_span!(target: "driver", "query")).await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = std::env::args().nth(1).expect("the directory of the files");
    let telemetry =
        telemetry::TelemetryBuilder::new().service("reporting", "1.2.3").directory(directory).init();
    telemetry.destinations().iter().for_each(|destination| println!("{destination}"));

    // This span is opened outside of every run, and ends inside of one.
    let keep_alive = info_span!(target: "driver", "keep_alive");
    // This span is opened inside of one run, and is first entered inside of another.
    let late = place_order_with("c-1", |made| *made = Some(info_span!(target: "driver", "prefetch"))).await;
    place_order_with("c-2", |_| {
        drop(keep_alive);
        if let Some(late) = late {
            late.in_scope(|| ());
        }
    })
    .await;
    let _ = place_order("c-3", 3, "declined").await;
    let _ = checkout("c-4").await;
    let _ = sign_in("c-5", "canary-7731").await;
    tracing::info!("the day is over");
}

/// A run that calls a closure, and then contains another run.
#[critical_process(id = "around", version = "1.0.0", sla = "1s", context(customer_id))]
async fn place_order_with(
    customer_id: &str,
    around: impl FnOnce(&mut Option<tracing::Span>),
) -> Option<tracing::Span> {
    let mut made = None;
    around(&mut made);
    let _ = place_order(customer_id, 2, "good").await;
    made
}
