//! The content of an observation: runs, spans, events, metrics and values.

use std::time::Duration;

use process_runtime::registry;
use process_runtime::testing::{observe, observe_call};

use super::{Receipt, count_stock, observes, order, paused, undelayed};

#[test]
fn a_run_is_a_tree_of_what_it_did() {
    let run = order(None);
    run.expect()
        .success()
        .within_sla()
        .stages(["pick"])
        .calls(["pick", "bank"])
        .context(["customer", "total"])
        .context_value("total", 200)
        .no_event();
    run.expect_run("bank").success();
    run.expect_run("place_order.pick").success();
    assert_eq!(run.value(), &Ok(Receipt { paid: true }));
    let root = &run.runs()[0];
    assert_eq!(root.duration(), Some(Duration::from_secs(3)));
    assert_eq!(root.span().unwrap().field("critical_process.outcome").unwrap().to_string(), "success");
    assert_eq!(root.spans()[0].name, "wrapping");
    let runs = run.metrics().iter().find(|change| change.instrument == "critical_process.runs").unwrap();
    assert_eq!((runs.value, runs.attribute("critical_process.outcome")), (1, Some("success")));
    assert_eq!(registry::stats("place_order").unwrap().started, 0, "the program's own figures are untouched");
}

/// Prints the cost of an observation if it is run with
/// `cargo test -p process-runtime --features testing --test observe -- --nocapture what_observing_costs`.
#[test]
fn what_observing_costs() {
    const TIMES: u32 = 1_000;
    paused(async {
        drop(observe(undelayed()).await);
        let began = std::time::Instant::now();
        for _ in 0..TIMES {
            observe(undelayed()).await.expect().success();
        }
        let each = began.elapsed() / TIMES;
        println!("a process with a stage takes {each:?} under observation");
        assert!(each < Duration::from_millis(2), "{each:?}");
    });
}

#[test]
fn an_observation_inside_of_a_process_is_not_part_of_it() {
    let inner = paused(observes());
    inner.expect_run("shared").success();
    assert!(inner.all().all(|run| run.process().is_none()), "{inner}");
}

#[test]
fn a_limit_is_what_was_asked_for() {
    let run = paused(observe(std::future::pending::<()>()).limit(Duration::from_secs(5)).into_future());
    assert!(run.to_string().starts_with("it was still running after 5s"), "{run}");
}

#[test]
fn an_event_outside_of_any_run_is_seen() {
    let run = observe_call(|| {
        sentry_core::capture_message("outside", sentry_core::Level::Info);
        count_stock("left").map(str::len)
    })
    .run();
    assert_eq!(run.events().filter_map(|event| event.message.as_deref()).collect::<Vec<_>>(), ["outside"]);
}
