//! What each case of a contract means, and what a run of one leaves behind.

use std::panic::{UnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use process_runtime::testing::evidence::{self, Proof};
use process_runtime::testing::policy::Policy;
use process_runtime::testing::{Battery, Case, Fault, Load, observe, observe_call};
use process_runtime::{Outcome, contract, critical_process, dependency, registry, stage};

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("no such address")]
    Unknown,
    #[error("no connection")]
    Connection,
}

impl SendError {
    fn kind(&self) -> &'static str {
        match self {
            SendError::Unknown => "unknown",
            SendError::Connection => "connection",
        }
    }
}

/// Sends a letter.
#[critical_process(
    id = "send_letter",
    version = "1.0.0",
    sla = "30s",
    context(address, inherit(tenant)),
    rejects(SendError::Unknown),
    error_type = SendError::kind,
    depends_on("post_office"),
)]
async fn send(address: &str) -> Result<(), SendError> {
    if address.is_empty() {
        return Err(SendError::Unknown);
    }
    stamp().await?;
    let handed = dependency("post_office", async { Ok(()) });
    process_runtime::timeout(Duration::from_secs(5), handed).await.map_err(|_| SendError::Connection)?
}

#[stage(process = "send_letter", id = "stamp", error_type = SendError::kind)]
async fn stamp() -> Result<(), SendError> {
    Ok(())
}

/// Nothing can stop it in the middle.
#[critical_process(id = "seal_letter", version = "1.0.0", sla = "1s", criticality = critical)]
fn seal() {}

#[test]
fn a_plain_function_need_not_prove_that_it_can_be_stopped() {
    let cases = Policy::default().cases(registry::get("seal_letter").unwrap());
    assert_eq!(cases, [Case::Happy, Case::Sla, Case::Context]);
    seal();
}

/// Shares what it holds with whoever made it.
#[derive(Clone, Debug)]
struct Shared<'a>(Arc<Mutex<Vec<&'a str>>>);

#[critical_process(id = "borrow_letter", version = "1.0.0", sla = "1s")]
fn borrow(letter: &str) -> Result<(), Shared<'_>> {
    Err(Shared(Arc::new(Mutex::new(vec![letter]))))
}

#[test]
fn an_error_that_may_hold_borrows_is_not_injected() {
    let kept = Shared(Arc::default());
    let given = kept.clone();
    let said = said(std::panic::AssertUnwindSafe(|| {
        let letter = String::from("a letter");
        let fault = Fault::error(move || given.clone());
        let run = observe_call(|| borrow(&letter)).fault("borrow_letter", fault).run();
        drop(run);
    }));
    assert!(said.contains("whose error may hold borrows"), "{said}");
    assert!(kept.0.lock().unwrap().is_empty());
}

#[critical_process(id = "log_letter", version = "1.0.0", sla = "30s")]
async fn log_letter(text: &str) -> Result<(), SendError> {
    tracing::info!("about to send {text}");
    Ok(())
}

/// Sends it without a limit, and leaves nothing out of its error.
#[critical_process(id = "send_anyhow", version = "1.0.0", sla = "30s", context(note = note.len()), depends_on("pigeon"))]
async fn send_anyhow(note: &str) -> Result<(), String> {
    dependency("pigeon", async { Ok::<_, SendError>(()) }).await.map_err(|error| format!("{error}: {note}"))
}

/// Sends it as often as it is read.
#[critical_process(id = "send_copies", version = "1.0.0", sla = "30s", depends_on("post_office"))]
async fn send_copies(copies: u32) -> Result<(), SendError> {
    for _ in 0..copies {
        dependency("post_office", async { Ok(()) }).await?;
    }
    Ok(())
}

/// Evidence of this binary goes to a directory of its own.
fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("contracts-{}", std::process::id()));
        // SAFETY: every test calls this first, and none reads the environment before it has returned.
        unsafe { std::env::set_var("PROCESS_EVIDENCE_DIR", &directory) };
        directory
    })
}

fn said(f: impl FnOnce() + UnwindSafe) -> String {
    directory();
    let Err(payload) = catch_unwind(f) else { return "nothing".to_owned() };
    let text = payload.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn paused<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

/// The evidence that the contract of this name left behind.
fn left_by(test: &str) -> evidence::Evidence {
    let evidence = evidence::read(directory()).evidence;
    evidence
        .into_iter()
        .find(|one| one.test.ends_with(test))
        .unwrap_or_else(|| panic!("{test} left no evidence"))
}

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
    cancelled: "send_letter", cancelled, async { drop(observe(send("north")).fault("stamp", Fault::cancel(1)).await) };
    panicked: "send_letter", panic, async { drop(observe(send("north")).fault("stamp", Fault::panic("torn")).await) };
    late: "send_letter", sla,
        async { drop(observe(send("north")).fault("stamp", Fault::delay(Duration::from_secs(31))).await) };
    late_without_a_delay: "send_letter", sla, async { drop(observe(send("north")).await) };
    edge: "send_letter", edge, async { drop(observe(send("")).await) };
    loaded: "send_letter", load,
        async { drop(Load::of("send_letter").concurrency(4).runs(40).error_rate(0.0).run(async || send("north").await).await) };
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
    of_nobody: "send_leter", happy, async {};
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
        assert_eq!(said(contract), "nothing", "{name}");
        let evidence = left_by(&format!("::{name}"));
        assert_eq!(
            (evidence.proof, &*evidence.process, &*evidence.version),
            (Proof::Proven, "send_letter", "1.0.0")
        );
    }
    let evidence = left_by("::timeout");
    assert_eq!((evidence.outcome, evidence.duration), (Some(Outcome::Failure), Duration::from_secs(5)));
    assert!(left_by("::late").late);
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
        ("load_without_a_load", load_without_a_load, "was a load whose bounds held: success"),
        (
            "context_without_the_tenant",
            context_without_the_tenant,
            "lacks `tenant` in the context of `send_letter`",
        ),
        ("context_without_an_event", context_without_an_event, "success, 0 events, lacks nothing"),
    ] {
        let said = said(contract);
        assert!(said.contains(expected), "{name}: {said}");
        let evidence = left_by(&format!("::{name}"));
        assert!(matches!(evidence.proof, Proof::Failed(_)), "{name}: {evidence:?}");
    }
    assert!(said(of_nobody).contains("no process `send_leter` is registered; did you mean `send_letter`?"));
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
    assert!(said(fails_by_itself).contains("expected: degraded\nfound:    success"));
    assert_eq!(said(|| drop(returns_an_error())), "nothing");
    for name in ["::fails_by_itself", "::returns_an_error"] {
        assert!(matches!(left_by(name).proof, Proof::Failed(_)), "{name}");
    }
    assert_eq!(left_by("::returns_an_error").case, Case::Happy);
}

#[test]
fn a_battery_breaks_everything_in_every_way() {
    let trials = paused(async {
        Battery::of("send_letter")
            .outcomes([Outcome::Success, Outcome::Failure])
            .error(|| SendError::Connection)
            .canary("north-secret")
            .run(async || send("north").await)
            .await
    });
    // The process, its stage and its dependency, each with five faults.
    assert_eq!(trials.len(), 1 + 3 * 5);
    let stopped: Vec<_> =
        trials.iter().filter(|trial| trial.is_stopped).filter_map(|t| t.fault.clone()).collect();
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
        let battery = Battery::of("send_copies").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection).run(async || send_copies(9).await).await
    });
    let delayed =
        trials.iter().filter(|trial| trial.fault.as_ref().is_some_and(|(_, kind)| *kind == "delay"));
    assert!(delayed.clone().count() == 2 && delayed.clone().all(|trial| trial.late && !trial.is_stopped));
}

#[critical_process(id = "weigh_letter", version = "1.0.0", sla = "1s")]
async fn weigh() -> Result<(), SendError> {
    read_scale().await?;
    read_scale().await
}

/// Of whatever process asks.
#[stage(id = "read_scale", depends_on("scale"))]
async fn read_scale() -> Result<(), SendError> {
    dependency("scale", async { Ok(()) }).await
}

#[test]
fn a_battery_breaks_shared_stages_too() {
    let battery = || {
        let battery = Battery::of("weigh_letter").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection)
    };
    let trials = paused(battery().run(async || weigh().await));
    assert_eq!(trials.len(), 1 + 3 * 5, "{trials:?}");
    let said = said(move || drop(paused(battery().run(async || ()))));
    assert!(said.contains("no run of `weigh_letter` was observed"), "{said}");
}

#[test]
fn a_battery_tells_what_does_not_hold() {
    let broken = |battery: fn() -> Battery, address: &'static str| {
        said(move || drop(paused(battery().run(async || send(address).await))))
    };
    let text = broken(
        || Battery::of("send_letter").outcomes([Outcome::Success]).error(|| SendError::Connection),
        "north",
    );
    assert!(text.contains("it ended in failure, which is none of the outcomes given"), "{text}");
    let text = broken(
        || Battery::of("send_letter").outcomes([Outcome::Rejected]).error(|| SendError::Connection),
        "",
    );
    assert!(text.contains("`post_office` is declared and was not reached"), "{text}");
    let text = broken(|| Battery::of("send_letter").outcomes([Outcome::Success, Outcome::Failure]), "north");
    assert!(text.contains("`send_letter.stamp` returns none of the errors that were given"), "{text}");
    let logged = || {
        let battery = Battery::of("log_letter").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection).canary("it is \"here\"")
    };
    let text = said(move || drop(paused(logged().run(async || log_letter("it is \"here\"").await))));
    assert!(text.contains("the canary `it is \"here\"` is in what was captured"), "{text}");
    let canary = || {
        let battery = Battery::of("send_anyhow").outcomes([Outcome::Success, Outcome::Failure]);
        battery
            .error(|| SendError::Connection)
            .error(|| "lost".to_owned())
            .canary("the gold is in the cellar")
    };
    let text =
        said(move || drop(paused(canary().run(async || send_anyhow("the gold is in the cellar").await))));
    assert!(
        text.contains("error at `send_anyhow.pigeon`: the canary `the gold is in the cellar` is in what"),
        "{text}"
    );
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
        Battery::of("price_seats")
            .outcomes([Outcome::Success, Outcome::Failure])
            .error(|| SendError::Connection)
    };
    paused(
        battery()
            .for_all((0..1_000_u32, 0..50_u32), async |(seats, discount)| price_seats(seats, discount).await),
    );
    let said = said(move || {
        std::panic::set_hook(Box::new(|_| {}));
        paused(battery().for_all((0..100_000_u32, 0..50_u32), async |(seats, discount)| {
            price_seats(seats, discount).await
        }));
    });
    let _ = std::panic::take_hook();
    assert!(said.starts_with("for the input (1000, 1): without a fault: it ended in panic"), "{said}");
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
