//! Tests of `observe`: the runs that a test observes, and the faults that it injects. Fixtures that several modules
//! need are here.

mod apart;
mod expectations;
mod faults;
#[path = "../shared/panics.rs"]
mod panics;
#[path = "../shared/paused.rs"]
mod paused;
mod runs;

use std::time::Duration;

use process_runtime::testing::{Fault, Observation, observe};
use process_runtime::{critical_process, dependency, dependency_call, record, stage};

use paused::paused;

#[derive(Debug, PartialEq, thiserror::Error)]
enum OrderError {
    #[error("nothing was ordered")]
    Empty,
    #[error("the shelf is out of reach")]
    Shelf,
    #[error("the bank refused")]
    Bank(#[from] BankError),
}

impl OrderError {
    fn kind(&self) -> &'static str {
        match self {
            OrderError::Empty => "empty",
            OrderError::Shelf => "shelf",
            OrderError::Bank(_) => "bank",
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("closed")]
struct BankError;

#[derive(Debug, PartialEq)]
struct Receipt {
    paid: bool,
}

impl Receipt {
    fn is_on_account(&self) -> bool {
        !self.paid
    }
}

#[critical_process(
    id = "place_order",
    version = "1.0.0",
    sla = "2m",
    context(customer, inherit(request_id), later(total)),
    rejects(OrderError::Empty),
    degraded = Receipt::is_on_account,
    error_type = OrderError::kind,
    depends_on("bank"),
)]
async fn place_order(customer: &str, items: u32) -> Result<Receipt, OrderError> {
    if items == 0 {
        return Err(OrderError::Empty);
    }
    let total = pick(items).await?;
    record!(total = total);
    tracing::info_span!("wrapping").in_scope(|| ());
    match process_runtime::timeout(Duration::from_secs(30), dependency("bank", charge(total))).await {
        Ok(charged) => charged?,
        Err(_) => return Ok(Receipt { paid: false }),
    }
    Ok(Receipt { paid: true })
}

#[stage(id = "pick", process = "place_order", error_type = OrderError::kind)]
async fn pick(items: u32) -> Result<u32, OrderError> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(items * 100)
}

async fn charge(_: u32) -> Result<(), BankError> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(())
}

#[critical_process(id = "count_stock", version = "1.0.0", sla = "1s", depends_on("ledger"))]
fn count_stock(shelf: &str) -> Result<&str, std::num::ParseIntError> {
    dependency_call("ledger", || shelf.len().to_string().parse::<u32>())?;
    Ok(shelf)
}

fn order(fault: Option<(&str, Fault)>) -> Observation<Result<Receipt, OrderError>> {
    paused(async {
        let observed = observe(place_order("acme", 2));
        match fault {
            Some((at, fault)) => observed.fault(at, fault).await,
            None => observed.await,
        }
    })
}

fn message(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    panics::text(std::panic::catch_unwind(f).unwrap_err())
}

#[critical_process(id = "undelayed", version = "1.0.0", sla = "1m")]
async fn undelayed() {
    quick().await;
    tokio::task::yield_now().await;
}

#[stage(id = "quick", process = "undelayed")]
async fn quick() {}

#[critical_process(id = "observes", version = "1.0.0", sla = "1s")]
async fn observes() -> Observation<Result<(), BankError>> {
    observe(shared()).await
}

#[stage(id = "shared")]
async fn shared() -> Result<(), BankError> {
    dependency("bank", async { Ok(()) }).await
}
