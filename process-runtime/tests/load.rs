//! Loads: what is measured, which bounds hold, and what earlier sessions make of it. Time is tokio's and paused, so
//! every duration is exact; each session of a baseline is a process of its own, as it is for a user.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use process_runtime::stats::PERCENTILE_ERROR;
use process_runtime::testing::baseline::{Change, Percentile};
use process_runtime::testing::{Domain, Load, LoadReport};
use process_runtime::{Carrier, Outcome, critical_process, registry, stage};
use tempfile::TempDir;
use tokio::time::sleep;

#[derive(Debug)]
struct Declined;

/// Takes so long, and fails where it is told to.
#[critical_process(id = "checkout", version = "1.0.0", sla = "1s")]
async fn checkout(millis: u64, is_declined: bool) -> Result<(), Declined> {
    confirm(millis).await;
    if is_declined { Err(Declined) } else { Ok(()) }
}

#[stage(process = "checkout", id = "confirm", sla = "1s")]
async fn confirm(millis: u64) {
    sleep(millis_of(millis)).await;
}

#[critical_process(id = "refund", version = "1.0.0", sla = "1s")]
async fn refund() {
    sleep(millis_of(1)).await;
    panic!("no such payment");
}

fn millis_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// 0, 1, 2 and so on, one for each call.
fn numbers() -> impl Fn() -> u64 {
    let next = Cell::new(0);
    move || next.replace(next.get() + 1)
}

/// What a future panicked with.
async fn panic_of<F: Future>(future: F) -> String {
    let mut future = pin!(future);
    let panic = std::future::poll_fn(|cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(_)) => Poll::Ready(None),
            Err(panic) => Poll::Ready(Some(panic)),
        }
    });
    text(panic.await.expect("it panics"))
}

fn text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().expect("a panic has a text").to_string(),
    }
}

/// The table without where it is from.
fn table(report: &str) -> Vec<&str> {
    report.lines().skip(1).collect()
}

#[tokio::test(start_paused = true)]
async fn bounds_that_hold_give_the_exact_percentiles() {
    let number = numbers();
    let load = Load::of("checkout").runs(200).concurrency(8).p50(millis_of(100)).p95(millis_of(190));
    let load = load.p99(millis_of(198)).error_rate(0.0);
    let report = load.run(async || checkout(number() + 1, false).await).await;
    assert_eq!((report.p50(), report.p95()), (millis_of(100), millis_of(190)));
    assert_eq!((report.p99(), report.max()), (millis_of(198), millis_of(200)));
    assert_eq!((report.ended().total(), report.error_rate()), (200, Some(0.0)));
    assert_eq!((report.process().id(), report.measurements()), ("checkout", 1));
    assert!(report.comparison().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_broken_bound_is_told_with_what_was_asked_and_what_was_measured() {
    let number = numbers();
    let load = Load::of("checkout").runs(100).p50(millis_of(50)).p95(millis_of(94)).error_rate(0.01);
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
            "                measured   asked",
            "p50               50.0ms   at most 50.0ms",
            "p95               95.0ms   at most 94.0ms      broken",
            "p99               99.0ms   nothing",
            "error rate        2.00 %   at most 1.00 %      broken",
            "ended as success 98, failure 2; 0 late; the longest took 100.0ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_error_rate_is_of_failures_and_panics_among_what_was_not_cancelled() {
    let number = numbers();
    let report = Load::of("checkout").runs(10).error_rate(0.25).run(async || match number() {
        0 => checkout(1, true).await,
        // It is dropped in the middle.
        1 | 2 => tokio::select! {
            biased;
            () = sleep(millis_of(1)) => Ok(()),
            done = checkout(10, false) => done,
        },
        _ => checkout(1, false).await,
    });
    let report = report.await;
    let ended = report.ended();
    assert_eq!((ended.with(Outcome::Failure), ended.with(Outcome::Cancelled)), (1, 2));
    assert_eq!(report.error_rate(), Some(1.0 / 8.0));
}

#[tokio::test(start_paused = true)]
async fn where_every_run_was_cancelled_no_error_rate_holds() {
    let message = panic_of(Load::of("checkout").runs(2).error_rate(1.0).run(async || {
        tokio::select! { biased; () = sleep(millis_of(1)) => {}, _ = checkout(10, false) => {} }
    }))
    .await;
    assert!(message.contains("error rate          none   at most 100.00 %    broken"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_is_counted_and_the_load_goes_on() {
    let report = Load::of("refund").runs(5).concurrency(2).run(async || refund().await).await;
    assert_eq!(report.ended().with(Outcome::Panic), 5);
    assert_eq!(report.error_rate(), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_is_no_run_of_the_process_ends_the_load() {
    let calls = AtomicUsize::new(0);
    let message = panic_of(Load::of("checkout").runs(5).run(async || {
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
    let report = Load::of("checkout").runs(500).concurrency(16).run(async || {
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
    let report = Load::of("checkout").runs(100).concurrency(100).run(async || {
        let mut run = pin!(checkout(1 + polls.get() % 50, false));
        std::future::poll_fn(|cx| {
            polls.set(polls.get() + 1);
            run.as_mut().poll(cx)
        })
        .await
    });
    report.await;
    // One at the start and one for its timer.
    assert_eq!(polls.get(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_always_ready_does_not_keep_the_task() {
    let polls = Cell::new(0);
    let mut load = pin!(Load::of("checkout").runs(100).concurrency(10).run(async || {
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
async fn the_figures_are_those_of_the_domain() {
    let number = numbers();
    let last = RefCell::new(None);
    let report = Load::of("checkout").runs(300).run(async || {
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
async fn a_load_is_in_a_domain_of_its_own() {
    let around = Domain::new();
    around.run(Load::of("checkout").runs(3).run(async || checkout(1, false).await)).await;
    assert_eq!(around.stats("checkout").expect("it is registered").started, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_in_other_tasks_count_where_the_domain_is_carried() {
    let report = Load::of("checkout").runs(50).concurrency(5).run(async || {
        tokio::spawn(Carrier::current().carry(checkout(0, false))).await.expect("it does not panic")
    });
    assert_eq!(report.await.ended().with(Outcome::Success), 50);
}

#[tokio::test(start_paused = true)]
async fn without_a_run_of_the_process_there_is_nothing_to_hold() {
    let nothing = panic_of(Load::of("checkout").runs(3).run(async || {})).await;
    assert!(nothing.contains("3 calls, and no run of `checkout` ended; nothing else did"), "{nothing}");
    assert!(nothing.contains("Carrier::current()"), "{nothing}");
    let another = panic_of(Load::of("refund").runs(3).run(async || checkout(1, false).await)).await;
    assert!(another.ends_with("no run of `refund` ended; only of `checkout`"), "{another}");
}

#[test]
fn what_cannot_be_asked_panics_where_it_is_asked() {
    let told = |ask: &dyn Fn()| {
        let panic = std::panic::catch_unwind(AssertUnwindSafe(ask)).expect_err("it panics");
        text(panic)
    };
    let load = || Load::of("checkout");
    assert_eq!(
        told(&|| drop(Load::of("chekout"))),
        "no process `chekout` is registered; did you mean `checkout`?"
    );
    assert!(told(&|| drop(load().concurrency(0))).contains("a concurrency of 0"));
    assert!(told(&|| drop(load().runs(0))).contains("0 runs"));
    assert!(told(&|| drop(load().p50(Duration::ZERO))).contains("a p50 of 0"));
    assert!(told(&|| drop(load().p95(Duration::ZERO))).contains("a p95 of 0"));
    assert!(told(&|| drop(load().p99(Duration::ZERO))).contains("a p99 of 0"));
    for rate in [-0.1, 1.1, f64::NAN] {
        assert!(told(&|| drop(load().error_rate(rate))).contains("between 0 and 1"));
    }
    assert!(told(&|| drop(load().tolerance(-0.1))).contains("no tolerance"));
    assert!(told(&|| drop(load().baseline("../x"))).contains("`../x` is no id"));
    let few = told(&|| drop(load().runs(5).concurrency(6).run(async || {})));
    assert_eq!(few, "5 runs of `checkout` are never 6 at a time");
}

#[test]
fn a_panic_of_the_builder_names_the_callers_line() {
    let output = Command::new(std::env::current_exe().expect("a test knows its own binary"))
        .args(["what_cannot_be_asked_panics_where_it_is_asked", "--exact", "--nocapture"])
        .output()
        .expect("the test's own binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let places: Vec<_> = stderr.lines().filter(|line| line.contains("panicked at")).collect();
    assert_eq!(places.len(), 12);
    assert!(places.iter().all(|place| place.contains("tests/load.rs:")), "{places:#?}");
}

/// How long each call of the child's load takes, in milliseconds, for each time that it is measured.
const MILLIS: &str = "LOAD_MILLIS";
const RUNS: &str = "LOAD_RUNS";

#[tokio::test(start_paused = true)]
async fn session() {
    let Ok(millis) = std::env::var(MILLIS) else { return };
    let millis: Vec<u64> = millis.split(',').map(|millis| millis.parse().expect("a number")).collect();
    let runs = std::env::var(RUNS).map_or(1000, |runs| runs.parse().expect("a number"));
    let number = numbers();
    let report = Load::of("checkout").runs(runs).concurrency(10).baseline("checkout_load").run(async || {
        let measurement = number() as usize / runs;
        checkout(millis[measurement.min(millis.len() - 1)], false).await
    });
    let report = report.await;
    println!("{}", report);
    println!("changes {:?}", changes(&report));
}

fn changes(report: &LoadReport) -> Vec<(Percentile, Change)> {
    let comparison = report.comparison().expect("it has a baseline");
    comparison.figures.iter().map(|figure| (figure.percentile, figure.change)).collect()
}

/// Sessions of one load, with a baseline in a directory of their own.
struct Sessions {
    directory: TempDir,
}

impl Sessions {
    fn none() -> Sessions {
        Sessions { directory: tempfile::tempdir().expect("a directory") }
    }

    /// Five, none of which is remarkable.
    fn five() -> Sessions {
        let sessions = Sessions::none();
        for millis in ["100", "101", "99", "100", "102"] {
            assert!(sessions.run(&[(MILLIS, millis)]).0);
        }
        sessions
    }

    /// Whether the session passed, and what it said.
    fn run(&self, variables: &[(&str, &str)]) -> (bool, String) {
        let directory = self.directory.path().to_str().expect("a path of text");
        let kept = [("PROCESS_BASELINE_DIR", directory), ("PROCESS_BASELINE", "")];
        session_with(kept.iter().chain(variables).copied())
    }

    fn file(&self) -> String {
        fs::read_to_string(self.path()).expect("the baseline is there")
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("checkout_load.json")
    }

    fn kept(&self) -> usize {
        self.file().matches("p50_ns").count()
    }
}

fn session_with<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> (bool, String) {
    let mut program = Command::new(std::env::current_exe().expect("a test knows its own binary"));
    program.args(["session", "--exact", "--nocapture", "--test-threads=1"]).envs(variables);
    let output = program.output().expect("the test's own binary starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("running 1 test"), "{stdout}");
    (output.status.success(), format!("{stdout}\n{stderr}"))
}

#[test]
fn the_first_five_sessions_are_only_recorded() {
    let sessions = Sessions::none();
    for (earlier, millis) in ["100", "300", "20", "100", "100"].into_iter().enumerate() {
        let (passed, said) = sessions.run(&[(MILLIS, millis)]);
        assert!(passed, "{said}");
        assert!(said.contains(&format!("baseline `checkout_load`: {earlier} earlier session")), "{said}");
        assert!(said.contains("too few to compare with"), "{said}");
        assert_eq!(sessions.kept(), earlier + 1);
    }
    let (_, said) = sessions.run(&[(MILLIS, "100")]);
    assert!(said.contains("changes [(P50, Usual), (P95, Usual), (P99, Usual)]"), "{said}");
}

#[test]
fn a_slower_session_is_told_with_the_interval_and_not_added() {
    let sessions = Sessions::five();
    for _ in 0..2 {
        let (passed, said) = sessions.run(&[(MILLIS, "130")]);
        assert!(!passed, "{said}");
        // m = ln 100.395, s = 0.011349, t = 5.598, n = 5.
        for line in [
            "measured 3 times, this is the last",
            "baseline `checkout_load`: 5 earlier sessions",
            "                measured        mean   99.75 % interval",
            "p50              130.0ms     100.4ms   93.6ms to 107.6ms       +29 %, slower",
            "p99              130.0ms     100.4ms   93.6ms to 107.6ms       +29 %, slower",
            "not added to it; PROCESS_BASELINE=accept makes this the level to compare with",
        ] {
            assert!(said.lines().any(|said| said == line), "no line `{line}` in {said}");
        }
        assert_eq!(sessions.kept(), 5);
    }
}

#[test]
fn what_is_within_noise_or_tolerance_is_added() {
    let sessions = Sessions::five();
    // Beyond the interval, and less than 10 % above the mean.
    for millis in ["107", "109"] {
        assert!(sessions.run(&[(MILLIS, millis)]).0);
    }
    assert_eq!(sessions.kept(), 7);
}

#[test]
fn a_load_that_is_slower_once_is_measured_again_and_not_told() {
    let sessions = Sessions::five();
    let (passed, said) = sessions.run(&[(MILLIS, "200,150,101")]);
    assert!(passed, "{said}");
    assert!(said.contains("measured 3 times, this is the last\n"), "{said}");
    assert!(said.contains("p50              101.0ms     100.4ms"), "{said}");
    assert_eq!(sessions.kept(), 6);
}

#[test]
fn an_accepted_session_is_the_level_of_those_to_come() {
    let sessions = Sessions::five();
    let (passed, said) = sessions.run(&[(MILLIS, "130"), ("PROCESS_BASELINE", "accept")]);
    assert!(passed && said.contains("+29 %, slower"), "{said}");
    assert_eq!(sessions.kept(), 6);
    let (passed, said) = sessions.run(&[(MILLIS, "131")]);
    assert!(passed && said.contains("(P50, Usual)"), "{said}");
    let (passed, said) = sessions.run(&[(MILLIS, "160")]);
    assert!(!passed && said.contains("7 earlier sessions"), "{said}");
}

#[test]
fn a_faster_session_is_added_and_said_to_be() {
    let sessions = Sessions::five();
    let (passed, said) = sessions.run(&[(MILLIS, "50")]);
    assert!(passed && said.contains("-50 %, faster"), "{said}");
    assert!(said.contains("added to it; PROCESS_BASELINE=accept"), "{said}");
    assert_eq!(sessions.kept(), 6);
}

#[test]
fn at_most_twenty_sessions_are_kept() {
    let sessions = Sessions::five();
    for _ in 0..20 {
        assert!(sessions.run(&[(MILLIS, "100")]).0);
    }
    assert_eq!(sessions.kept(), 20);
    assert!(!sessions.file().contains("102000000"));
}

#[test]
fn other_loads_are_not_compared_and_few_runs_only_by_their_median() {
    let sessions = Sessions::five();
    for _ in 0..5 {
        let (passed, said) = sessions.run(&[(MILLIS, "300"), (RUNS, "100")]);
        assert!(passed && said.contains("too few to compare with"), "{said}");
    }
    let (passed, said) = sessions.run(&[(MILLIS, "300"), (RUNS, "100")]);
    assert!(passed && said.contains("changes [(P50, Usual)]"), "{said}");
    let (passed, said) = sessions.run(&[(MILLIS, "300")]);
    assert!(!passed && said.contains("5 earlier sessions"), "{said}");
}

#[test]
fn a_broken_file_is_told_and_started_anew() {
    let sessions = Sessions::five();
    let good = sessions.file();
    let levels = good.replacen("\"level\": 0", "\"level\": 1", 1);
    let percentiles = good.replacen("\"p50_ns\": 100000000", "\"p50_ns\": 100000001", 1);
    let one = good[good.find('{').expect("an object")..].rfind("\"sessions\": [").map(|at| at + 13);
    let (head, tail) = good.split_at(one.expect("sessions"));
    let first = tail.split_inclusive('}').next().expect("a session");
    let many = format!("{head}{}{tail}", format!("{first},").repeat(20));
    let large = " ".repeat(2 << 20);
    for (broken, why) in [
        ("", "it is no baseline: EOF"),
        ("[]", "it is no baseline: "),
        (&good[..good.len() / 2], "it is no baseline: EOF"),
        ("{\"version\": 2, \"loads\": 7}", "it has version 2, and this program knows 1"),
        ("{\"version\": 1, \"loads\": [], \"more\": 1}", "unknown field `more`"),
        (&good.replace("100000000", "-1"), "it is no baseline: invalid value"),
        (&percentiles, "percentiles do not rise"),
        (&levels, "the level falls from 1 to 0"),
        (&many, "it has 25 sessions of a load, and 20 are the most"),
        (&large, "it has 2097152 bytes"),
    ] {
        fs::write(sessions.path(), broken).expect("the file is written");
        let (passed, said) = sessions.run(&[(MILLIS, "100")]);
        assert!(passed, "{said}");
        let told = "critical_process: baseline `checkout_load`: started anew: ";
        let line = said.lines().find(|line| line.starts_with(told));
        let line = line.unwrap_or_else(|| panic!("nothing is told of {why}: {said}"));
        assert!(line.contains("checkout_load.json") && line.contains(why), "{line}");
        assert_eq!(sessions.kept(), 1);
        let (_, said) = sessions.run(&[(MILLIS, "100")]);
        assert!(!said.contains("started anew"), "{said}");
    }
}

#[test]
fn nothing_but_the_baseline_is_left_and_what_cannot_be_written_is_told() {
    let sessions = Sessions::five();
    assert_eq!(fs::read_dir(sessions.directory.path()).expect("a directory").count(), 1);
    let no_directory = sessions.path();
    let no_directory = no_directory.to_str().expect("a path of text");
    let (passed, said) = sessions.run(&[(MILLIS, "100"), ("PROCESS_BASELINE_DIR", no_directory)]);
    assert!(passed && said.contains("could not be written: "), "{said}");
}

#[test]
fn a_mistyped_variable_is_told() {
    let (passed, said) = Sessions::none().run(&[(MILLIS, "100"), ("PROCESS_BASELINE", "acept")]);
    assert!(passed, "{said}");
    assert!(
        said.contains("PROCESS_BASELINE is `acept`, which says nothing; did you mean `accept`?"),
        "{said}"
    );
}

#[test]
fn by_itself_the_baseline_is_in_the_target_directory() {
    let program = std::env::current_exe().expect("a test knows its own binary");
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let file = target.expect("cargo marks it").join("process/baseline/checkout_load.json");
    let _ = fs::remove_file(&file);
    let (passed, said) = session_with([("PROCESS_BASELINE_DIR", ""), (MILLIS, "100")].into_iter());
    assert!(passed, "{said}");
    let text = fs::read_to_string(&file).expect("the baseline is there");
    let profile = Path::new(&program).parent().and_then(Path::parent).and_then(Path::file_name);
    let profile = profile.expect("a folder").to_str().expect("text");
    assert!(text.contains(&format!("\"profile\": \"{profile}\"")), "{text}");
    assert!(text.contains(std::env::consts::ARCH), "{text}");
}

#[tokio::test(start_paused = true)]
async fn each_percentile_has_a_bound_of_its_own() {
    let runs = || Load::of("checkout").runs(100);
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
