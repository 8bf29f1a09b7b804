//! What each case of a contract means, and what a run of one leaves behind.

mod batteries;

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
    // Each saw nearly the case that it is named for.
    happy_of_a_failure: "send_letter", happy, async { drop(observe(send("")).await) };
    error_of_a_panic: "send_letter", error("panic"),
        async { drop(observe(send("north")).fault("stamp", Fault::panic("torn")).await) };
    panic_of_nothing: "send_letter", panic, async { drop(observe(send("north")).await) };
    cancelled_by_nobody: "send_letter", cancelled, async { drop(observe(send("north")).await) };
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
        async { drop(Load::of("send_letter").runs(4).run(async || send("north").await).await) };
    load_of_another: "send_letter", load,
        async { drop(Load::of("send_copies").runs(4).error_rate(0.0).run(async || send_copies(1).await).await) };
    context_with_more_later: "number_letter", context, async { drop(observe(number_letter("north")).await) };
    by_a_battery: "send_letter", dependency("post_office"), async {
        let battery = Battery::of("send_letter").outcomes([Outcome::Success, Outcome::Failure]);
        drop(battery.error(|| SendError::Connection).run(async || send("north").await).await);
    };
    beside_another: "send_letter", happy, async {
        let run = observe(async { drop((send_anyhow("").await, send("north").await)) }).await;
        run.expect().success().calls(["stamp", "post_office"]);
    };
}

/// Two at once.
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

/// Fails before it has a number.
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
        ("cancelled_by_nobody", cancelled_by_nobody, "was cancelled: success"),
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
        ("load_without_bounds", load_without_bounds, "was a load whose bounds held: it observed none"),
        ("load_of_another", load_of_another, "was a load whose bounds held: it observed none"),
    ] {
        let said = said(contract);
        assert!(said.contains(expected), "{name}: {said}");
        assert!(matches!(left_by(&format!("::{name}")).proof, Proof::Failed(_)), "{name}");
    }
    for (name, contract) in [
        ("dependency_that_is_a_process", dependency_that_is_a_process as fn()),
        ("context_with_more_later", context_with_more_later),
        ("by_a_battery", by_a_battery),
        ("beside_another", beside_another),
    ] {
        assert_eq!(said(contract), "nothing", "{name}");
        assert_eq!(left_by(&format!("::{name}")).proof, Proof::Proven, "{name}");
    }
}

/// What says that this binary is a child, which is killed in the middle of the contract.
const KILLED: &str = "CONTRACTS_TEST_KILLED";

#[contract(process = "send_letter", case = edge)]
#[test]
fn child_may_be_killed() {
    if std::env::var_os(KILLED).is_none() {
        directory();
    }
    paused(async { drop(observe(send("north")).await) });
    if std::env::var_os(KILLED).is_some_and(|killed| killed == "1") {
        std::process::abort();
    }
}

#[test]
fn a_test_that_is_killed_proves_nothing_any_more() {
    let directory = tempfile::tempdir().unwrap();
    for (killed, is_proven) in [("0", true), ("1", false)] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child_may_be_killed"]).env(KILLED, killed);
        let output = child.env("PROCESS_EVIDENCE_DIR", directory.path()).output().unwrap();
        assert_eq!(output.status.success(), is_proven);
        let [evidence] = &evidence::read(directory.path()).evidence[..] else { panic!("one test left it") };
        assert_eq!(evidence.proof == Proof::Proven, is_proven, "{evidence:?}");
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

/// Through a task of its own, on a runtime with threads.
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
