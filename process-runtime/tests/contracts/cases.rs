//! The runs that prove a case, and the runs that almost prove it.

use std::time::Duration;

use process_runtime::testing::evidence::Proof;
use process_runtime::testing::{Battery, Fault, Load, observe};
use process_runtime::{Outcome, contract, critical_process, dependency};

use super::{SendError, left_by, message, paused, send, send_anyhow, send_copies};

macro_rules! contracts {
    ($($name:ident: $process:literal, $case:ident $(($argument:literal))?, $body:expr;)+) => {$(
        #[contract(process = $process, case = $case $(($argument))?)]
        fn $name() {
            paused(async { $body.await });
        }
    )+};
}

contracts! {
    happy: "send_letter", happy, async { drop(observe(send("north")).await) };
    happy_but_late: "send_letter", happy,
        async { drop(observe(send("north")).fault("stamp", Fault::delay(Duration::from_secs(31))).await) };
    happy_but_not_observed: "send_letter", happy, async { drop(send("north").await) };
    happy_of_another: "send_letter", happy, async { drop(observe(send_anyhow("")).await) };
    rejected: "send_letter", error("unknown"), async { drop(observe(send("")).await) };
    error_that_never_was: "send_letter", error("connection"), async { drop(observe(send("")).await) };
    timeout: "send_letter", timeout, async { drop(observe(send("north")).fault("post_office", Fault::hang()).await) };
    timeout_by_the_test: "send_letter", timeout, async { drop(observe(send("north")).fault("stamp", Fault::hang()).await) };
    timeout_without_a_hang: "send_letter", timeout, async { drop(observe(send("north")).await) };
    dependency_of: "send_letter", dependency("post_office"),
        async { drop(observe(send("north")).fault("post_office", Fault::error(|| SendError::Connection)).await) };
    dependency_that_worked: "send_letter", dependency("post_office"), async { drop(observe(send("north")).await) };
    cancelled: "send_letter", cancelled, async { drop(observe(send("north")).fault("stamp", Fault::cancel_at_poll(1)).await) };
    panicked: "send_letter", panic, async { drop(observe(send("north")).fault("stamp", Fault::panic("torn")).await) };
    late: "send_letter", sla,
        async { drop(observe(send("north")).fault("stamp", Fault::delay(Duration::from_secs(31))).await) };
    late_without_a_delay: "send_letter", sla, async { drop(observe(send("north")).await) };
    edge: "send_letter", edge, async { drop(observe(send("")).await) };
    loaded: "send_letter", load,
        async { drop(Load::new("send_letter").concurrency(4).runs(40).error_rate(0.0).run(async || send("north").await).await) };
    load_without_a_load: "send_letter", load, async { drop(observe(send("north")).await) };
    context: "send_letter", context, async {
        let scope = process_runtime::context::Scope::new().set("tenant", 7);
        let run = observe(scope.in_scope(send("north")));
        drop(run.fault("stamp", Fault::error(|| SendError::Connection)).await);
    };
    context_without_the_tenant: "send_letter", context,
        async { drop(observe(send("north")).fault("stamp", Fault::error(|| SendError::Connection)).await) };
    context_without_an_event: "send_letter", context, async {
        let scope = process_runtime::context::Scope::new().set("tenant", 7);
        drop(observe(scope.in_scope(send("north"))).await);
    };
    of_an_unknown_process: "send_leter", happy, async {};
    // In each contract from here on, the run comes close to proving the case. Only some of these runs prove it.
    happy_of_a_failure: "send_letter", happy, async { drop(observe(send("")).await) };
    error_of_a_panic: "send_letter", error("panic"),
        async { drop(observe(send("north")).fault("stamp", Fault::panic("torn")).await) };
    panic_of_nothing: "send_letter", panic, async { drop(observe(send("north")).await) };
    not_cancelled: "send_letter", cancelled, async { drop(observe(send("north")).await) };
    cancelled_by_the_tests_limit: "send_letter", cancelled,
        async { drop(observe(send("north")).fault("stamp", Fault::hang()).await) };
    timeout_of_the_tests_own: "send_letter", timeout, async {
        let run = observe(tokio::time::timeout(Duration::from_secs(3), send("north")));
        drop(run.fault("post_office", Fault::hang()).await);
    };
    late_by_a_hang: "send_letter", sla, async { drop(observe(send("north")).fault("stamp", Fault::hang()).await) };
    delayed_and_on_time: "send_letter", sla,
        async { drop(observe(send("north")).fault("stamp", Fault::delay(Duration::from_secs(1))).await) };
    dependency_of_another_name: "send_letter", dependency("pigeon"),
        async { drop(observe(send("north")).fault("post_office", Fault::error(|| SendError::Connection)).await) };
    dependency_that_is_a_stage: "send_letter", dependency("stamp"),
        async { drop(observe(send("north")).fault("stamp", Fault::error(|| SendError::Connection)).await) };
    dependency_that_is_itself: "send_letter", dependency("send_letter"),
        async { drop(observe(send("north")).fault("send_letter", Fault::error(|| SendError::Connection)).await) };
    dependency_of_a_process_inside: "send_letters", dependency("post_office"),
        async { drop(observe(send_letters()).fault("send_letter.post_office", Fault::error(|| SendError::Connection)).await) };
    dependency_that_is_a_process: "send_letters", dependency("send_letter"),
        async { drop(observe(send_letters()).fault("send_letter", Fault::error(|| SendError::Connection)).await) };
    dependency_a_little_later: "send_letter", dependency("post_office"),
        async { drop(observe(send("north")).fault("post_office", Fault::delay(Duration::from_secs(1))).await) };
    load_without_bounds: "send_letter", load,
        async { drop(Load::new("send_letter").runs(4).run(async || send("north").await).await) };
    load_of_another: "send_letter", load,
        async { drop(Load::new("send_copies").runs(4).error_rate(0.0).run(async || send_copies(1).await).await) };
    context_with_more_later: "number_letter", context, async { drop(observe(number_letter("north")).await) };
    by_a_battery: "send_letter", dependency("post_office"), async {
        let battery = Battery::new("send_letter").outcomes([Outcome::Success, Outcome::Failure]);
        drop(battery.error(|| SendError::Connection).run(async || send("north").await).await);
    };
    beside_another: "send_letter", happy, async {
        let run = observe(async { drop((send_anyhow("").await, send("north").await)) }).await;
        run.expect().success().calls(["stamp", "post_office"]);
    };
}

/// A process that runs another one.
#[critical_process(
    id = "send_letters",
    version = "1.0.0",
    sla = "30s",
    depends_on("post_office", "send_letter")
)]
async fn send_letters() -> Result<(), SendError> {
    dependency("post_office", async { Ok::<_, SendError>(()) }).await?;
    send("north").await
}

/// Fails before it has recorded a number.
#[critical_process(id = "number_letter", version = "1.0.0", sla = "30s", context(address, later(number)))]
async fn number_letter(address: &str) -> Result<(), SendError> {
    if !address.is_empty() {
        return Err(SendError::Connection);
    }
    process_runtime::record!(number = 1);
    Ok(())
}

#[test]
fn what_is_nearly_the_case_does_not_prove_it() {
    for (name, contract, expected) in [
        ("happy_of_a_failure", happy_of_a_failure as fn(), "was a success on time: rejected, unknown"),
        ("error_of_a_panic", error_of_a_panic, "with the `error.type` panic: panic, panic"),
        ("panic_of_nothing", panic_of_nothing, "panicked: success"),
        ("not_cancelled", not_cancelled, "was cancelled: success"),
        (
            "cancelled_by_the_tests_limit",
            cancelled_by_the_tests_limit,
            "was cancelled: cancelled, late, ended by the test",
        ),
        ("timeout_of_the_tests_own", timeout_of_the_tests_own, "cancelled, with hang at `post_office`"),
        (
            "late_by_a_hang",
            late_by_a_hang,
            "was late under an injected delay: cancelled, late, with hang at `stamp`",
        ),
        (
            "delayed_and_on_time",
            delayed_and_on_time,
            "was late under an injected delay: success, with delay at `stamp`",
        ),
        (
            "dependency_of_another_name",
            dependency_of_another_name,
            "reached a fault at `pigeon`: failure, connection, with error at `post_office`",
        ),
        (
            "dependency_that_is_a_stage",
            dependency_that_is_a_stage,
            "reached a fault at `stamp`: failure, connection, with error at `stamp`",
        ),
        (
            "dependency_that_is_itself",
            dependency_that_is_itself,
            "reached a fault at `send_letter`: failure, connection",
        ),
        (
            "dependency_of_a_process_inside",
            dependency_of_a_process_inside,
            "reached a fault at `post_office`: failure",
        ),
        (
            "dependency_a_little_later",
            dependency_a_little_later,
            "reached a fault at `post_office`: success, with delay",
        ),
        (
            "load_without_bounds",
            load_without_bounds,
            "belonged to a load whose bounds held: it observed none",
        ),
        ("load_of_another", load_of_another, "belonged to a load whose bounds held: it observed none"),
    ] {
        let message = message(contract);
        assert!(message.contains(expected), "{name}: {message}");
        assert!(matches!(left_by(&format!("::{name}")).proof, Proof::Failed(_)), "{name}");
    }
    for (name, contract) in [
        ("dependency_that_is_a_process", dependency_that_is_a_process as fn()),
        ("context_with_more_later", context_with_more_later),
        ("by_a_battery", by_a_battery),
        ("beside_another", beside_another),
    ] {
        assert_eq!(message(contract), "nothing", "{name}");
        assert_eq!(left_by(&format!("::{name}")).proof, Proof::Proven, "{name}");
    }
}

#[test]
fn a_case_is_proven_by_a_run_that_went_so() {
    for (name, contract) in [
        ("happy", happy as fn()),
        ("rejected", rejected),
        ("timeout", timeout),
        ("dependency_of", dependency_of),
        ("cancelled", cancelled),
        ("panicked", panicked),
        ("late", late),
        ("edge", edge),
        ("loaded", loaded),
        ("context", context),
    ] {
        assert_eq!(message(contract), "nothing", "{name}");
        let evidence = left_by(&format!("::{name}"));
        assert_eq!(
            (evidence.proof, &*evidence.process, &*evidence.version),
            (Proof::Proven, "send_letter", "1.0.0")
        );
    }
    let evidence = left_by("::timeout");
    assert_eq!((evidence.outcome, evidence.duration), (Some(Outcome::Failure), Duration::from_secs(5)));
    assert!(left_by("::late").late);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(left_by("::late").at.abs_diff(now) < 600);
}

#[test]
fn a_test_that_is_named_for_a_case_and_never_saw_it_fails() {
    for (name, contract, expected) in [
        ("happy_but_late", happy_but_late as fn(), "was a success on time: success, late"),
        ("happy_but_not_observed", happy_but_not_observed, "it observed none"),
        (
            "happy_of_another",
            happy_of_another,
            "no run of `send_letter` that this test observed was a success on time: it observed none",
        ),
        ("error_that_never_was", error_that_never_was, "with the `error.type` connection: rejected, unknown"),
        (
            "timeout_by_the_test",
            timeout_by_the_test,
            "cancelled, late, ended by the test, with hang at `stamp`",
        ),
        ("timeout_without_a_hang", timeout_without_a_hang, "success, with no fault"),
        (
            "dependency_that_worked",
            dependency_that_worked,
            "reached a fault at `post_office`: success, with no fault",
        ),
        (
            "late_without_a_delay",
            late_without_a_delay,
            "was late under an injected delay: success, with no fault",
        ),
        ("load_without_a_load", load_without_a_load, "belonged to a load whose bounds held: success"),
        (
            "context_without_the_tenant",
            context_without_the_tenant,
            "missing: `tenant` in the context of `send_letter`",
        ),
        (
            "context_without_an_event",
            context_without_an_event,
            "success, 0 Sentry events, no context is missing",
        ),
    ] {
        let message = message(contract);
        assert!(message.contains(expected), "{name}: {message}");
        let evidence = left_by(&format!("::{name}"));
        assert!(matches!(evidence.proof, Proof::Failed(_)), "{name}: {evidence:?}");
    }
    assert!(
        message(of_an_unknown_process)
            .contains("no process `send_leter` is registered; did you mean `send_letter`?")
    );
}
