//! How a load runs: its concurrency, its polls, its panics and its domain.

use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use process_runtime::testing::{Domain, Load};
use process_runtime::{Carrier, Outcome};

use super::{checkout, numbers, panic_of, refund};

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_is_counted_and_the_load_continues() {
    let report = Load::new("refund").runs(5).concurrency(2).run(async || refund().await).await;
    assert_eq!(report.ended().count(Outcome::Panic), 5);
    assert_eq!(report.error_rate(), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_outside_of_the_process_ends_the_load() {
    let calls = AtomicUsize::new(0);
    let message = panic_of(Load::new("checkout").runs(5).run(async || {
        calls.fetch_add(1, Ordering::Relaxed);
        checkout(1, true).await.expect("the card is good");
    }))
    .await;
    assert!(message.contains("the card is good"), "{message}");
    assert_eq!(calls.into_inner(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_concurrency_is_reached_and_never_exceeded() {
    let (now, most) = (Cell::new(0), Cell::new(0));
    let number = numbers();
    let report = Load::new("checkout").runs(500).concurrency(16).run(async || {
        now.set(now.get() + 1);
        most.set(most.get().max(now.get()));
        let _ = checkout(1 + number() % 7, false).await;
        now.set(now.get() - 1);
    });
    assert_eq!(report.await.ended().total(), 500);
    assert_eq!((now.get(), most.get()), (0, 16));
}

#[tokio::test(start_paused = true)]
async fn each_call_is_polled_only_when_it_was_woken() {
    let polls = Cell::new(0);
    let report = Load::new("checkout").runs(100).concurrency(100).run(async || {
        let mut run = pin!(checkout(1 + polls.get() % 50, false));
        std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            run.as_mut().poll(cx)
        })
        .await
    });
    report.await;
    // Each call is polled once at its start and once by its timer.
    assert_eq!(polls.get(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_always_ready_does_not_keep_the_task() {
    let polls = Cell::new(0);
    let mut load = pin!(Load::new("checkout").runs(100).concurrency(10).run(async || {
        let _ = checkout(0, true).await;
    }));
    std::future::poll_fn(|cx| {
        polls.set(polls.get() + 1);
        load.as_mut().poll(cx)
    })
    .await;
    assert!(polls.get() >= 10, "{} polls", polls.get());
}

#[tokio::test(start_paused = true)]
async fn a_load_is_in_a_domain_of_its_own() {
    let around = Domain::new();
    around.run(Load::new("checkout").runs(3).run(async || checkout(1, false).await)).await;
    assert_eq!(around.stats("checkout").expect("it is registered").started, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_in_other_tasks_count_where_the_domain_is_carried() {
    let report = Load::new("checkout").runs(50).concurrency(5).run(async || {
        tokio::spawn(Carrier::current().carry(checkout(0, false))).await.expect("it does not panic")
    });
    assert_eq!(report.await.ended().count(Outcome::Success), 50);
}
