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
fn a_battery_tells_what_no_run_may_do() {
    let told = |process: &'static str, call: fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        said(move || {
            let battery = Battery::of(process).outcomes([Outcome::Success, Outcome::Failure]);
            drop(paused(
                battery.error(|| SendError::Connection).canary("in the cellar").run(async || call().await),
            ));
        })
    };
    let forgotten = told("wait_for_answer", || {
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
    let dropped = told("wait_for_answer", || {
        Box::pin(async { drop(tokio::time::timeout(Duration::from_millis(1), wait_for_answer()).await) })
    });
    assert!(
        dropped.contains("without a fault: it ended in cancelled, which is none of the outcomes given"),
        "{dropped}"
    );
    let undeclared = told("send_by_whom", || Box::pin(async { drop(send_by_whom().await) }));
    assert!(
        undeclared.contains("`send_by_whom` calls the dependency `rider` and does not declare it"),
        "{undeclared}"
    );
    let mixed = told("send_copies", || {
        Box::pin(async {
            let other = process_runtime::context::Scope::new().set("battery_trial", 99);
            drop(other.in_scope(send_copies(1)).await);
        })
    });
    assert!(mixed.contains("`send_copies` has the context of another trial"), "{mixed}");
    let outside = told("send_copies", || {
        Box::pin(async {
            sentry_core::capture_message("the gold is in the cellar", sentry_core::Level::Info);
            drop(send_copies(1).await);
        })
    });
    assert!(outside.contains("the canary `in the cellar` is in what was captured"), "{outside}");
}

#[test]
fn a_battery_spares_what_it_is_told_to_and_stops_when_it_is_told_to() {
    paused(async {
        let battery = Battery::of("send_letter").outcomes([Outcome::Success, Outcome::Failure]);
        let battery = battery.error(|| SendError::Connection).spare("stamp").limit(Duration::from_secs(32));
        let began = tokio::time::Instant::now();
        let trials = battery.run(async || send("north").await).await;
        assert_eq!(trials.len(), 1 + 2 * 5);
        let mut broken = trials.iter().filter_map(|trial| trial.fault.as_ref());
        assert!(broken.all(|(at, _)| !at.ends_with("stamp")));
        // One delay passes the limit and the SLA; each hang takes the limit.
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
        Battery::of("price_seats")
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
    // For each input one run without a fault and one with each.
    assert_eq!(calls.get(), 6 * proptest::test_runner::Config::default().cases);
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

#[test]
fn a_battery_tells_of_a_run_that_a_cancel_leaves_behind() {
    type Sending = std::pin::Pin<Box<dyn Future<Output = Result<(), SendError>>>>;
    struct Leak(Option<Sending>);
    impl Drop for Leak {
        fn drop(&mut self) {
            std::mem::forget(self.0.take());
        }
    }
    let said = said(|| {
        let battery = Battery::of("send_copies").outcomes([Outcome::Success, Outcome::Failure]);
        drop(paused(battery.error(|| SendError::Connection).run(async || {
            let mut leak = Leak(Some(Box::pin(send_copies(1))));
            let result = std::future::poll_fn(|cx| leak.0.as_mut().unwrap().as_mut().poll(cx)).await;
            leak.0 = None;
            drop(result);
        })));
    });
    assert!(said.contains("cancel at `send_copies`: `send_copies` never ended"), "{said}");
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
        let battery = Battery::of("overwrite_token").outcomes([Outcome::Success, Outcome::Failure]);
        battery.error(|| SendError::Connection).canary("the-canary")
    };
    let inside = said(move || drop(paused(battery().run(async || overwrite_token("the-canary").await))));
    assert!(inside.contains("the canary `the-canary` is in what"), "{inside}");
    let around = said(move || {
        drop(paused(battery().run(async || {
            let _span = tracing::info_span!("around", token = "the-canary").entered();
            overwrite_token("").await
        })))
    });
    assert!(around.contains("the canary `the-canary` is in what"), "{around}");
}

#[test]
fn a_delay_past_the_sla_ends_also_where_hangs_are_short() {
    let battery = Battery::of("overwrite_token").outcomes([Outcome::Success, Outcome::Failure]);
    let battery = battery.error(|| SendError::Connection).limit(Duration::from_millis(500));
    let trials = paused(battery.run(async || overwrite_token("").await));
    assert!(trials.iter().any(|trial| trial.late && trial.outcome == Some(Outcome::Success)), "{trials:?}");
}
