//! Which tests leave a proof as evidence, and which leave a failure.

use process_runtime::testing::evidence::{self, Proof};
use process_runtime::testing::{Case, Fault, observe, observe_call};
use process_runtime::{contract, critical_process};

use super::children::child;
use super::{SendError, directory, left_by, message, paused, send};

/// The variable that says whether the child kills itself in the middle of its contract.
const KILLED: &str = "CONTRACTS_TEST_KILLED";

#[contract(process = "send_letter", case = edge)]
#[test]
#[ignore = "child of a_test_that_is_killed_proves_nothing_any_more"]
fn child_may_be_killed() {
    let killed = std::env::var(KILLED).expect("the parent says whether it is killed");
    paused(async { drop(observe(send("north")).await) });
    if killed == "1" {
        std::process::abort();
    }
}

#[test]
fn a_test_that_is_killed_proves_nothing_any_more() {
    let directory = tempfile::tempdir().unwrap();
    for (killed, is_proven) in [("0", true), ("1", false)] {
        let mut child = child("proofs::child_may_be_killed");
        let output =
            child.env(KILLED, killed).env("PROCESS_EVIDENCE_DIR", directory.path()).output().unwrap();
        assert_eq!(output.status.success(), is_proven);
        let [evidence] = &evidence::read(directory.path()).evidence[..] else { panic!("one test left it") };
        assert_eq!(evidence.proof == Proof::Proven, is_proven, "{evidence:?}");
    }
}

#[contract(process = "send_letter", case = happy)]
#[tokio::test]
async fn below_it_a_tokio_test() {
    directory();
    observe(send("north")).await.expect().success();
}

#[tokio::test(flavor = "multi_thread")]
#[contract(process = "send_letter", case = error("unknown"))]
async fn above_it_a_tokio_test() -> Result<(), SendError> {
    directory();
    observe(send("")).await.expect().rejected("unknown");
    Ok(())
}

#[contract(process = "send_letter", case = happy)]
fn fails_by_itself() {
    paused(observe(send("north"))).expect().degraded();
}

#[contract(process = "send_letter", case = happy)]
fn returns_an_error() -> Result<(), SendError> {
    paused(async { drop(observe(send("north")).await) });
    Err(SendError::Unknown)
}

#[test]
fn a_test_that_fails_proves_nothing() {
    assert!(message(fails_by_itself).contains("expected: degraded\nfound:    success"));
    assert_eq!(message(|| drop(returns_an_error())), "nothing");
    for name in ["::fails_by_itself", "::returns_an_error"] {
        assert!(matches!(left_by(name).proof, Proof::Failed(_)), "{name}");
    }
    assert_eq!(left_by("::returns_an_error").case, Case::Happy);
}

#[test]
fn a_call_can_be_a_contract_too() {
    directory();
    plain();
}

#[critical_process(id = "add_up", version = "1.0.0", sla = "1s")]
fn add_up(numbers: &[u32]) -> Option<u32> {
    numbers.iter().try_fold(0_u32, |sum, number| sum.checked_add(*number))
}

#[contract(process = "add_up", case = happy)]
fn plain() {
    let run = observe_call(|| add_up(&[1, 2])).run();
    run.expect().success();
    assert_eq!(run.into_value(), Some(3));
}

/// Sends a letter in a task of its own, on a runtime with threads.
async fn spawned(address: &'static str) -> Result<(), SendError> {
    let work = process_runtime::Carrier::current().carry(send(address));
    tokio::spawn(work).await.unwrap_or(Err(SendError::Connection))
}

fn threaded<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[contract(process = "send_letter", case = happy)]
fn one_of_hundreds_that_serves(number: usize) {
    let address: &'static str = format!("street {number}").leak();
    let run = threaded(async { observe(spawned(address)).await });
    run.expect().success().no_event().calls(["stamp", "post_office"]).context_value("address", address);
    assert_eq!(run.all().count(), 3, "{run}");
}

#[contract(process = "send_letter", case = dependency("post_office"))]
fn one_of_hundreds_that_fails(number: usize) {
    let address: &'static str = format!("street {number}").leak();
    let broken = Fault::error(|| SendError::Connection);
    let run = threaded(async { observe(spawned(address)).fault("post_office", broken).await });
    run.expect().failure("connection").one_event([("address", address)]);
    assert_eq!(run.all().count(), 3, "{run}");
}

#[test]
fn two_hundred_contracts_at_once_never_see_each_other() {
    directory();
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let contract = |number: usize| match number.is_multiple_of(2) {
        true => one_of_hundreds_that_serves(number),
        false => one_of_hundreds_that_fails(number),
    };
    let tests: Vec<_> = (0..200).map(|number| std::thread::spawn(move || contract(number))).collect();
    tests.into_iter().for_each(|test| test.join().unwrap());
}
