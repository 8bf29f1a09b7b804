//! The faults that a battery injects, and the behaviour for which it fails a process.

use std::time::Duration;

use process_runtime::testing::Battery;
use process_runtime::{Outcome, critical_process, dependency, stage};

use super::{SendError, log_letter, message, paused, send, send_anyhow, send_copies};

#[test]
fn a_battery_breaks_everything_in_every_way() {
    let trials = paused(async {
        Battery::new("send_letter")
            .outcomes([Outcome::Success, Outcome::Failure])
            .error(|| SendError::Connection)
            .canary("north-secret")
            .run(async || send("north").await)
            .await
    });
    // One trial without a fault, and five trials, each with another fault, at each of the process, its stage and its
    // dependency.
    assert_eq!(trials.len(), 1 + 3 * 5);
    let stopped: Vec<_> =
        trials.iter().filter(|trial| trial.stopped_by_test).filter_map(|t| t.fault.clone()).collect();
    let unbounded =
        [("send_letter", "hang"), ("send_letter.stamp", "hang")].map(|(at, kind)| (at.to_owned(), kind));
    assert_eq!(stopped, unbounded);
    assert!(
        trials
            .iter()
            .any(|trial| trial.late && trial.fault.as_ref().is_some_and(|(_, kind)| *kind == "delay"))
    );
}

#[test]
fn a_battery_delays_what_is_called_again_and_again_only_once() {
    let trials = paused(async {
        let battery = Battery::new("send_copies").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection).run(async || send_copies(9).await).await
    });
    let delayed =
        trials.iter().filter(|trial| trial.fault.as_ref().is_some_and(|(_, kind)| *kind == "delay"));
    assert!(
        delayed.clone().count() == 2 && delayed.clone().all(|trial| trial.late && !trial.stopped_by_test)
    );
}

#[critical_process(id = "weigh_letter", version = "1.0.0", sla = "1s")]
async fn weigh() -> Result<(), SendError> {
    read_scale().await?;
    read_scale().await
}

/// A stage of any process.
#[stage(id = "read_scale", depends_on("scale"))]
async fn read_scale() -> Result<(), SendError> {
    dependency("scale", async { Ok(()) }).await
}

#[test]
fn a_battery_breaks_shared_stages_too() {
    let battery = || {
        let battery = Battery::new("weigh_letter").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection)
    };
    let trials = paused(battery().run(async || weigh().await));
    assert_eq!(trials.len(), 1 + 3 * 5, "{trials:?}");
    let message = message(move || drop(paused(battery().run(async || ()))));
    assert!(message.contains("no run of `weigh_letter` was observed"), "{message}");
}

#[test]
fn a_battery_reports_what_does_not_hold() {
    let broken = |battery: fn() -> Battery, address: &'static str| {
        message(move || drop(paused(battery().run(async || send(address).await))))
    };
    let text = broken(
        || Battery::new("send_letter").outcomes([Outcome::Success]).error(|| SendError::Connection),
        "north",
    );
    assert!(text.contains("it ended as failure, which is not one of the allowed outcomes"), "{text}");
    let text = broken(
        || Battery::new("send_letter").outcomes([Outcome::Rejected]).error(|| SendError::Connection),
        "",
    );
    assert!(text.contains("the call did not reach `post_office`, which is declared"), "{text}");
    let text = broken(|| Battery::new("send_letter").outcomes([Outcome::Success, Outcome::Failure]), "north");
    let advice = |boundary: &str| {
        format!("`{boundary}` was not tried with an error; add one of its error type with `.error(…)`")
    };
    let of_stamp = advice("send_letter.stamp") + ", or `.skip(\"stamp\")`";
    assert!(text.contains(&of_stamp), "{text}");
    let of_process = advice("send_letter") + "\n";
    assert!(text.contains(&of_process), "the process itself cannot be skipped: {text}");
    let logged = || {
        let battery = Battery::new("log_letter").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection).canary("it is \"here\"")
    };
    let text = message(move || drop(paused(logged().run(async || log_letter("it is \"here\"").await))));
    assert!(text.contains("the canary `it is \"here\"` is in the telemetry or the log"), "{text}");
    let canary = || {
        let battery = Battery::new("send_anyhow").outcomes([Outcome::Success, Outcome::Failure]);
        battery
            .error(|| SendError::Connection)
            .error(|| "lost".to_owned())
            .canary("the gold is in the cellar")
    };
    let text =
        message(move || drop(paused(canary().run(async || send_anyhow("the gold is in the cellar").await))));
    assert!(
        text.contains("error at `send_anyhow.pigeon`: the canary `the gold is in the cellar` is in the telemetry or the log"),
        "{text}"
    );
}

/// Waits for ever.
#[critical_process(id = "wait_for_answer", version = "1.0.0", sla = "1s")]
async fn wait_for_answer() -> Result<(), SendError> {
    std::future::pending().await
}

#[critical_process(id = "send_by_whom", version = "1.0.0", sla = "1s")]
async fn send_by_whom() -> Result<(), SendError> {
    dependency("rider", async { Ok(()) }).await
}

#[test]
fn a_battery_reports_what_no_run_may_do() {
    let panic = |process: &'static str, call: fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        message(move || {
            let battery = Battery::new(process).outcomes([Outcome::Success, Outcome::Failure]);
            drop(paused(
                battery.error(|| SendError::Connection).canary("in the cellar").run(async || call().await),
            ));
        })
    };
    let forgotten = panic("wait_for_answer", || {
        Box::pin(async {
            let mut run = Box::pin(wait_for_answer());
            std::future::poll_fn(|cx| {
                assert!(run.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            std::mem::forget(run);
        })
    });
    assert!(
        forgotten.contains(
            "without a fault: `wait_for_answer` never ended; critical_process.active stays at 1\nobserved: "
        ),
        "{forgotten}"
    );
    let dropped = panic("wait_for_answer", || {
        Box::pin(async { drop(tokio::time::timeout(Duration::from_millis(1), wait_for_answer()).await) })
    });
    assert!(
        dropped.contains("without a fault: it ended as cancelled, which is not one of the allowed outcomes"),
        "{dropped}"
    );
    let undeclared = panic("send_by_whom", || Box::pin(async { drop(send_by_whom().await) }));
    assert!(
        undeclared.contains("`send_by_whom` calls the dependency `rider` but does not declare it"),
        "{undeclared}"
    );
    let mixed = panic("send_copies", || {
        Box::pin(async {
            let other = process_runtime::context::Scope::new().set("battery_trial", 99);
            drop(other.in_scope(send_copies(1)).await);
        })
    });
    assert!(mixed.contains("`send_copies` has the context of another call in the battery"), "{mixed}");
    let outside = panic("send_copies", || {
        Box::pin(async {
            sentry_core::capture_message("the gold is in the cellar", sentry_core::Level::Info);
            drop(send_copies(1).await);
        })
    });
    assert!(outside.contains("the canary `in the cellar` is in the telemetry or the log"), "{outside}");
}

#[test]
fn a_battery_leaves_out_what_is_skipped_and_stops_at_its_limit() {
    paused(async {
        let battery = Battery::new("send_letter").outcomes([Outcome::Success, Outcome::Failure]);
        let battery = battery.error(|| SendError::Connection).skip("stamp").limit(Duration::from_secs(32));
        let began = tokio::time::Instant::now();
        let trials = battery.run(async || send("north").await).await;
        assert_eq!(trials.len(), 1 + 2 * 5);
        let mut broken = trials.iter().filter_map(|trial| trial.fault.as_ref());
        assert!(broken.all(|(at, _)| !at.ends_with("stamp")));
        // A delay is just longer than the SLA of 30 s. A hang takes at most the limit of 32 s.
        assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
    });
}

#[cfg(feature = "proptest")]
#[critical_process(id = "price_seats", version = "1.0.0", sla = "1s", context(seats))]
async fn price_seats(seats: u32, discount: u32) -> Result<u32, SendError> {
    assert!(seats < 1_000 || discount == 0, "no discount for so many");
    Ok(seats * 10 - discount.min(seats))
}

#[cfg(feature = "proptest")]
#[test]
fn a_battery_shrinks_its_input() {
    let battery = || {
        Battery::new("price_seats")
            .outcomes([Outcome::Success, Outcome::Failure])
            .error(|| SendError::Connection)
    };
    paused(
        battery()
            .for_all((0..1_000_u32, 0..50_u32), async |(seats, discount)| price_seats(seats, discount).await),
    );
    let calls = std::cell::Cell::new(0);
    paused(battery().for_all(0..50_u32, async |seats| {
        calls.set(calls.get() + 1);
        price_seats(seats, 0).await
    }));
    // Each input has one run without a fault, and one run with each of the five faults.
    assert_eq!(calls.get(), 6 * proptest::test_runner::Config::default().cases);
    let message = message(move || {
        std::panic::set_hook(Box::new(|_| {}));
        paused(battery().for_all((0..100_000_u32, 0..50_u32), async |(seats, discount)| {
            price_seats(seats, discount).await
        }));
    });
    let _ = std::panic::take_hook();
    assert!(message.starts_with("for the input (1000, 1): without a fault: it ended as panic"), "{message}");
}

#[test]
fn a_battery_reports_of_a_run_that_a_cancel_leaves_behind() {
    type Sending = std::pin::Pin<Box<dyn Future<Output = Result<(), SendError>>>>;
    struct Leak(Option<Sending>);
    impl Drop for Leak {
        fn drop(&mut self) {
            std::mem::forget(self.0.take());
        }
    }
    let message = message(|| {
        let battery = Battery::new("send_copies").outcomes([Outcome::Success, Outcome::Failure]);
        drop(paused(battery.error(|| SendError::Connection).run(async || {
            let mut leak = Leak(Some(Box::pin(send_copies(1))));
            let result = std::future::poll_fn(|cx| leak.0.as_mut().unwrap().as_mut().poll(cx)).await;
            leak.0 = None;
            drop(result);
        })));
    });
    assert!(message.contains("cancel at `send_copies`: `send_copies` never ended"), "{message}");
}

#[critical_process(id = "overwrite_token", version = "1.0.0", sla = "1s")]
async fn overwrite_token(secret: &str) -> Result<(), SendError> {
    let span = tracing::info_span!("library", token = secret);
    span.record("token", "***");
    Ok(())
}

#[test]
fn a_canary_is_found_where_it_was_overwritten_and_around_the_run() {
    let battery = || {
        let battery = Battery::new("overwrite_token").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection).canary("the-canary")
    };
    let inside = message(move || drop(paused(battery().run(async || overwrite_token("the-canary").await))));
    assert!(inside.contains("the canary `the-canary` is in the telemetry or the log"), "{inside}");
    let around = message(move || {
        drop(paused(battery().run(async || {
            let _span = tracing::info_span!("around", token = "the-canary").entered();
            overwrite_token("").await
        })))
    });
    assert!(around.contains("the canary `the-canary` is in the telemetry or the log"), "{around}");
}

#[test]
fn a_delay_past_the_sla_ends_also_where_hangs_are_short() {
    let battery = Battery::new("overwrite_token").outcomes([Outcome::Success, Outcome::Failure]);
    let battery = battery.error(|| SendError::Connection).limit(Duration::from_millis(500));
    let trials = paused(battery.run(async || overwrite_token("").await));
    assert!(trials.iter().any(|trial| trial.late && trial.outcome == Some(Outcome::Success)), "{trials:?}");
}
