//! The figures of a load, and the bounds that the load keeps or breaks.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::time::Duration;

use process_runtime::stats::PERCENTILE_ERROR;
use process_runtime::testing::Load;
use process_runtime::{Outcome, registry};
use tokio::time::sleep;

use super::{checkout, millis_of, numbers, panic_of, text};

/// Returns the table of a report, without the first line, which has the place of the load.
fn table(report: &str) -> Vec<&str> {
    report.lines().skip(1).collect()
}

#[tokio::test(start_paused = true)]
async fn bounds_that_hold_give_the_exact_percentiles() {
    let number = numbers();
    let load = Load::new("checkout").runs(200).concurrency(8).p50(millis_of(100)).p95(millis_of(190));
    let load = load.p99(millis_of(198)).error_rate(0.0);
    let report = load.run(async || checkout(number() + 1, false).await).await;
    assert_eq!((report.p50(), report.p95()), (millis_of(100), millis_of(190)));
    assert_eq!((report.p99(), report.max()), (millis_of(198), millis_of(200)));
    assert_eq!((report.ended().total(), report.error_rate()), (200, Some(0.0)));
    assert_eq!((report.process().id(), report.measurements()), ("checkout", 1));
    assert!(report.comparison().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_broken_bound_is_reported_with_the_bound_and_the_measured_value() {
    let number = numbers();
    let load = Load::new("checkout").runs(100).p50(millis_of(50)).p95(millis_of(94)).error_rate(0.01);
    let line = line!() + 1;
    let message = panic_of(load.run(async || {
        let number = number();
        checkout(number + 1, number.is_multiple_of(50)).await
    }))
    .await;
    let place = format!("load of `checkout` at {}:{line}:", file!());
    assert!(message.starts_with(&place), "{message}");
    assert!(message.contains(": 100 runs, 1 at a time, in 5.0"), "{message}");
    assert_eq!(
        table(&message),
        [
            "                measured   bound",
            "p50               50.0ms   at most 50.0ms",
            "p95               95.0ms   at most 94.0ms      broken",
            "p99               99.0ms   none",
            "error rate        2.00 %   at most 1.00 %      broken",
            "ended as success 98, failure 2; 0 late; the longest run took 100.0ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_error_rate_is_of_failures_and_panics_among_what_was_not_cancelled() {
    let number = numbers();
    let report = Load::new("checkout").runs(10).error_rate(0.25).run(async || match number() {
        0 => checkout(1, true).await,
        // The run is dropped before it ends.
        1 | 2 => tokio::select! {
            biased;
            () = sleep(millis_of(1)) => Ok(()),
            done = checkout(10, false) => done,
        },
        _ => checkout(1, false).await,
    });
    let report = report.await;
    let ended = report.ended();
    assert_eq!((ended.count(Outcome::Failure), ended.count(Outcome::Cancelled)), (1, 2));
    assert_eq!(report.error_rate(), Some(1.0 / 8.0));
}

#[tokio::test(start_paused = true)]
async fn where_every_run_was_cancelled_no_error_rate_holds() {
    let message = panic_of(Load::new("checkout").runs(2).error_rate(1.0).run(async || {
        tokio::select! { biased; () = sleep(millis_of(1)) => {}, _ = checkout(10, false) => {} }
    }))
    .await;
    assert!(message.contains("error rate          none   at most 100.00 %    broken"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_figures_are_those_of_the_domain() {
    let number = numbers();
    let last = RefCell::new(None);
    let report = Load::new("checkout").runs(300).run(async || {
        let number = number();
        let _ = checkout(5 + number * 5, number.is_multiple_of(10)).await;
        *last.borrow_mut() = registry::stats("checkout").ok();
    });
    let report = report.await;
    let stats = last.into_inner().expect("the process is registered");
    assert_eq!(stats.ended, report.ended());
    assert_eq!(stats.ended.error_rate(), report.error_rate());
    assert!(report.ended().late() > 0);
    let hour = &stats.windows[2];
    assert_eq!(hour.max, Some(report.max()));
    for (by_domain, exact) in [(hour.p50, report.p50()), (hour.p95, report.p95()), (hour.p99, report.p99())] {
        let (by_domain, exact) = (by_domain.expect("runs ended").as_secs_f64(), exact.as_secs_f64());
        assert!((by_domain / exact - 1.0).abs() <= PERCENTILE_ERROR, "{by_domain} and {exact}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_run_of_the_process_there_is_nothing_to_hold() {
    let nothing = panic_of(Load::new("checkout").runs(3).run(async || {})).await;
    assert!(
        nothing.contains("no run of `checkout` ended in 3 calls; no other process ran either"),
        "{nothing}"
    );
    assert!(nothing.contains("Carrier::current()"), "{nothing}");
    let another = panic_of(Load::new("refund").runs(3).run(async || checkout(1, false).await)).await;
    assert!(another.ends_with("calls; only `checkout` ran"), "{another}");
}

#[test]
fn an_invalid_bound_panics_where_it_is_set() {
    let message_of = |ask: &dyn Fn()| {
        let panic = std::panic::catch_unwind(AssertUnwindSafe(ask)).expect_err("it panics");
        text(panic)
    };
    let load = || Load::new("checkout");
    assert_eq!(
        message_of(&|| drop(Load::new("chekout"))),
        "no process `chekout` is registered; did you mean `checkout`?"
    );
    assert!(message_of(&|| drop(load().concurrency(0))).contains("invalid concurrency 0"));
    assert!(message_of(&|| drop(load().runs(0))).contains("invalid number of runs 0"));
    assert!(message_of(&|| drop(load().p50(Duration::ZERO))).contains("invalid p50 0"));
    assert!(message_of(&|| drop(load().p95(Duration::ZERO))).contains("invalid p95 0"));
    assert!(message_of(&|| drop(load().p99(Duration::ZERO))).contains("invalid p99 0"));
    for rate in [-0.1, 1.1, f64::NAN] {
        assert!(message_of(&|| drop(load().error_rate(rate))).contains("between 0 and 1"));
    }
    assert!(message_of(&|| drop(load().tolerance(-0.1))).contains("invalid tolerance -0.1"));
    assert!(
        message_of(&|| drop(load().baseline("../x")))
            .contains("invalid baseline name `../x`: it must have the form of an id")
    );
    let few = message_of(&|| drop(load().runs(5).concurrency(6).run(async || {})));
    assert_eq!(few, "invalid load of `checkout`: 5 runs with a concurrency of 6; use at least 6 runs");
}

#[test]
fn a_panic_of_the_builder_names_the_callers_line() {
    let output = Command::new(std::env::current_exe().expect("a test knows its own binary"))
        .args(["bounds::an_invalid_bound_panics_where_it_is_set", "--exact", "--nocapture"])
        .output()
        .expect("the test's own binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let places: Vec<_> = stderr.lines().filter(|line| line.contains("panicked at")).collect();
    assert_eq!(places.len(), 12);
    assert!(places.iter().all(|place| place.contains("tests/load/bounds.rs:")), "{places:#?}");
}

#[tokio::test(start_paused = true)]
async fn each_percentile_has_a_bound_of_its_own() {
    let runs = || Load::new("checkout").runs(100);
    for (load, broken) in [
        (runs().p50(millis_of(49)), "p50               50.0ms   at most 49.0ms      broken"),
        (runs().p95(millis_of(94)), "p95               95.0ms   at most 94.0ms      broken"),
        (runs().p99(millis_of(98)), "p99               99.0ms   at most 98.0ms      broken"),
    ] {
        let number = numbers();
        let message = panic_of(load.run(async || checkout(number() + 1, false).await)).await;
        assert!(message.lines().any(|line| line == broken), "{message}");
        assert_eq!(message.matches("broken").count(), 1, "{message}");
    }
}
