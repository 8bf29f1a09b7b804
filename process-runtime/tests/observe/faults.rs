//! The effect of each fault, and faults that cannot happen.

use std::time::Duration;

use process_runtime::testing::{Fault, observe, observe_call};
use process_runtime::{Carrier, Outcome, critical_process, dependency, stage};

use super::{BankError, OrderError, count_stock, message, order, paused, undelayed};

#[critical_process(id = "undeclared_call", version = "1.0.0", sla = "1s", depends_on("cache"))]
async fn undeclared_call() -> Result<(), BankError> {
    dependency("cash", async { Ok(()) }).await
}

#[test]
fn an_injected_error_is_what_the_boundary_returns() {
    let run = order(Some(("pick", Fault::error(|| OrderError::Shelf))));
    run.expect().failure("shelf").one_event([("process_outcome", "failure"), ("customer", "acme")]);
    assert_eq!(run.value(), &Err(OrderError::Shelf));
    let run = order(Some(("bank", Fault::error(|| BankError))));
    run.expect().failure("bank");
    run.expect_run("bank").failure("observe::BankError");
    let run = order(Some(("place_order", Fault::error(|| OrderError::Empty))));
    run.expect().rejected("empty").no_event().calls([]);
}

#[test]
fn a_hang_is_ended_by_whatever_bounds_it() {
    let run = order(Some(("bank", Fault::hang())));
    run.expect().degraded().within_sla();
    run.expect_run("bank").failure("timeout");
}

#[test]
fn what_nothing_ends_is_ended_by_the_test() {
    let run = order(Some(("pick", Fault::hang())));
    run.expect().cancelled().overdue();
    assert!(
        message(|| drop(run.into_value()))
            .contains("it was still running after 3600s, so the test stopped it")
    );
}

#[test]
fn a_delay_makes_late_without_any_time() {
    let began = std::time::Instant::now();
    let run = order(Some(("pick", Fault::delay(Duration::from_secs(120)))));
    run.expect().success().late().overdue();
    // A delay also makes a run late without a real wait if the clock is not paused, and in a plain function.
    let real = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let run = real.block_on(async {
        observe(undelayed()).fault("quick", Fault::delay(Duration::from_secs(3600))).await
    });
    run.expect().success().late();
    let run =
        observe_call(|| count_stock("left")).fault("ledger", Fault::delay(Duration::from_secs(2))).run();
    run.expect().success().late();
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_injected_panic_is_a_panic_of_the_run() {
    let run = order(Some(("pick", Fault::panic("shelf fell"))));
    run.expect().panic().one_event([("process_outcome", "panic")]);
    assert_eq!(run.panic(), Some("shelf fell"));
    let run = observe_call(|| count_stock("left")).fault("ledger", Fault::panic("torn")).run();
    run.expect().panic();
}

#[test]
fn a_cancel_drops_everything_at_that_poll() {
    for poll in [1, 2] {
        let run = order(Some(("bank", Fault::cancel_at_poll(poll))));
        run.expect().cancelled();
        run.expect_run("bank").cancelled();
        assert_eq!(run.all().filter(|run| run.outcome().is_none()).count(), 0);
    }
    let run = order(Some(("bank", Fault::cancel_at_poll(2).nth(1))));
    run.expect().cancelled();
    assert!(
        message(|| drop(order(Some(("bank", Fault::cancel_at_poll(9))))))
            .contains("was planned for poll 9, but `bank` was polled ")
    );
}

#[test]
fn faults_that_do_not_happen_fail_the_test() {
    let cases: [(&str, Fault, &str); 5] = [
        (
            "pik",
            Fault::hang(),
            "unknown boundary `pik`: no process, stage or declared dependency has this id; did you mean `pick`?",
        ),
        (
            "count_stock",
            Fault::hang(),
            "the hang at `count_stock` did not happen: `count_stock` was not called",
        ),
        (
            "pick",
            Fault::hang().nth(2),
            "the hang at `pick` was planned for call 2, but `pick` was called once",
        ),
        (
            "pick",
            Fault::error(|| BankError),
            "the function returns `core::result::Result<u32, observe::OrderError>`",
        ),
        ("bank", Fault::error(|| OrderError::Shelf), "the error is a `observe::OrderError`"),
    ];
    for (at, fault, expected) in cases {
        let text = message(std::panic::AssertUnwindSafe(|| drop(order(Some((at, fault))))));
        assert!(text.contains(expected), "{text}");
    }
    let text = message(|| drop(observe_call(|| count_stock("left")).fault("ledger", Fault::hang()).run()));
    assert!(text.contains("a plain function cannot be stopped before it returns"), "{text}");
    let text = message(|| drop(paused(observe(undeclared_call()).into_future())));
    assert!(text.contains("`undeclared_call` calls the dependency `cash` but does not declare it"), "{text}");
}

#[test]
fn a_function_with_borrowed_returns_can_be_broken_too() {
    let run = observe_call(|| count_stock("left")).run();
    assert_eq!(run.value(), &Ok("left"));
    let made = || "x".parse::<u32>().unwrap_err();
    let run = observe_call(|| count_stock("left")).fault("count_stock", Fault::error(made)).run();
    run.expect().failure("core::num::error::ParseIntError");
    assert_eq!(run.runs()[0].outcome(), Some(Outcome::Failure));
}

#[critical_process(id = "undisturbed", version = "1.0.0", sla = "1m")]
async fn undisturbed() {
    // This process is still running while `quick` is delayed.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

#[test]
fn a_delay_is_of_what_it_is_at_and_of_what_is_around_that_alone() {
    let real = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = real.block_on(async {
        let both = async { tokio::join!(undisturbed(), undelayed()) };
        observe(both).fault("quick", Fault::delay(Duration::from_secs(3600))).await
    });
    run.expect_run("undelayed").success().late().overdue();
    run.expect_run("undelayed.quick").success();
    run.expect_run("undisturbed").success().within_sla();
    let undelayed = run.all().find(|run| run.name() == "undelayed").unwrap();
    assert!(undelayed.duration().unwrap() >= Duration::from_secs(3600));
}

#[stage(id = "hang", process = "undelayed")]
async fn hang() {}

#[test]
fn a_task_that_hangs_goes_when_the_observation_ends() {
    paused(async {
        let mut task = None;
        let begins = async { task = Some(tokio::spawn(Carrier::current().carry(hang()))) };
        let run = observe(async { (begins.await, tokio::task::yield_now().await) })
            .fault("hang", Fault::hang())
            .await;
        assert_eq!(run.runs()[0].outcome(), None, "it is still running when the observation ends");
        let ended = tokio::time::timeout(Duration::from_secs(1), task.unwrap()).await;
        assert!(ended.expect("it is not there for ever").unwrap_err().is_panic());
    });
}

#[test]
fn a_part_of_no_process_and_a_process_without_the_part_are_unknown() {
    for at in ["unknown.pick", "place_order.pik"] {
        let text = message(|| drop(order(Some((at, Fault::hang())))));
        assert!(
            text.contains(&format!(
                "unknown boundary `{at}`: no process, stage or declared dependency has this id"
            )),
            "{text}"
        );
    }
}

#[critical_process(id = "race", version = "1.0.0", sla = "1m", depends_on("bank"))]
async fn race() -> Result<(), BankError> {
    tokio::select! {
        biased;
        paid = dependency("bank", async { Ok(()) }) => paid,
        () = std::future::ready(()) => Ok(()),
    }
}

#[test]
fn a_cancel_that_something_inside_swallows_is_one_all_the_same() {
    let run = paused(observe(race()).fault("bank", Fault::cancel_at_poll(1)).into_future());
    assert!(
        message(std::panic::AssertUnwindSafe(|| drop(run.into_value()))).contains("a fault cancelled it")
    );
}
