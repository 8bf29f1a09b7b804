//! Tests of loads. They use tokio's paused clock, so every duration is exact. Fixtures that several modules need are
//! here.

mod baselines;
mod bounds;
#[path = "../shared/children.rs"]
mod children;
#[path = "../shared/panics.rs"]
mod panics;
mod running;

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use process_runtime::{critical_process, stage};
use tokio::time::sleep;

use panics::text;

#[derive(Debug)]
struct Declined;

/// Takes this time, and fails on demand.
#[critical_process(id = "checkout", version = "1.0.0", sla = "1s")]
async fn checkout(millis: u64, is_declined: bool) -> Result<(), Declined> {
    confirm(millis).await;
    if is_declined { Err(Declined) } else { Ok(()) }
}

#[stage(process = "checkout", id = "confirm", sla = "1s")]
async fn confirm(millis: u64) {
    sleep(millis_of(millis)).await;
}

#[critical_process(id = "refund", version = "1.0.0", sla = "1s")]
async fn refund() {
    sleep(millis_of(1)).await;
    panic!("no such payment");
}

fn millis_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Returns a function that returns 0, 1, 2 and so on, one number for each call.
fn numbers() -> impl Fn() -> u64 {
    let next = Cell::new(0);
    move || next.replace(next.get() + 1)
}

/// Returns the text of the panic that ends a future.
async fn panic_of<F: Future>(future: F) -> String {
    let mut future = pin!(future);
    let panic = std::future::poll_fn(|cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(_)) => Poll::Ready(None),
            Err(panic) => Poll::Ready(Some(panic)),
        }
    });
    text(panic.await.expect("it panics"))
}
