//! Comparisons of a load with its earlier sessions. Each session runs in an operating-system process of its own, as
//! the sessions of a user do.

use std::fs;
use std::path::Path;

use process_runtime::testing::baseline::{Change, Percentile};
use process_runtime::testing::{Load, LoadReport};
use tempfile::TempDir;

use super::children::child;
use super::{checkout, numbers};

/// The variable with the milliseconds that each call takes in the child. It has one number for each measurement of
/// the load.
const MILLIS: &str = "LOAD_MILLIS";
const RUNS: &str = "LOAD_RUNS";

#[tokio::test(start_paused = true)]
#[ignore = "child of the other tests of this file"]
async fn child_is_a_session() {
    let millis = std::env::var(MILLIS).expect("the parent says how long each call takes");
    let millis: Vec<u64> = millis.split(',').map(|millis| millis.parse().expect("a number")).collect();
    let runs = std::env::var(RUNS).map_or(1000, |runs| runs.parse().expect("a number"));
    let number = numbers();
    let report = Load::new("checkout").runs(runs).concurrency(10).baseline("checkout_load").run(async || {
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

/// Sessions of one load, whose baseline is in a directory of its own.
struct Sessions {
    directory: TempDir,
}

impl Sessions {
    fn none() -> Sessions {
        Sessions { directory: tempfile::tempdir().expect("a directory") }
    }

    /// Runs five sessions whose calls take about 100 ms.
    fn five() -> Sessions {
        let sessions = Sessions::none();
        for millis in ["100", "101", "99", "100", "102"] {
            assert!(sessions.run(&[(MILLIS, millis)]).0);
        }
        sessions
    }

    /// Runs a session with these variables. Returns whether the session passed, and its output.
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
    let output = child("baselines::child_is_a_session")
        .envs(variables)
        .output()
        .expect("the test's own binary starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("running 1 test"), "{stdout}");
    (output.status.success(), format!("{stdout}\n{stderr}"))
}

#[test]
fn the_first_five_sessions_are_only_recorded() {
    let sessions = Sessions::none();
    for (earlier, millis) in ["100", "300", "20", "100", "100"].into_iter().enumerate() {
        let (passed, output) = sessions.run(&[(MILLIS, millis)]);
        assert!(passed, "{output}");
        assert!(output.contains(&format!("baseline `checkout_load`: {earlier} earlier session")), "{output}");
        assert!(output.contains("too few sessions or runs to compare"), "{output}");
        assert_eq!(sessions.kept(), earlier + 1);
    }
    let (_, output) = sessions.run(&[(MILLIS, "100")]);
    assert!(output.contains("changes [(P50, Usual), (P95, Usual), (P99, Usual)]"), "{output}");
}

#[test]
fn a_slower_session_is_reported_with_the_interval_and_not_added() {
    let sessions = Sessions::five();
    for _ in 0..2 {
        let (passed, output) = sessions.run(&[(MILLIS, "130")]);
        assert!(!passed, "{output}");
        // The logarithms of the five sessions have the mean m = ln 100.395 and the standard deviation s = 0.011349.
        // For n = 5, t is 5.598.
        for line in [
            "measured 3 times; this is the last measurement",
            "baseline `checkout_load`: 5 earlier sessions",
            "                measured        mean   99.75 % interval",
            "p50              130.0ms     100.4ms   93.6ms to 107.6ms       +29 %, slower",
            "p99              130.0ms     100.4ms   93.6ms to 107.6ms       +29 %, slower",
            "this session was not added; to compare with it from now on, run again with PROCESS_BASELINE=accept",
        ] {
            assert!(output.lines().any(|output| output == line), "no line `{line}` in {output}");
        }
        assert_eq!(sessions.kept(), 5);
    }
}

#[test]
fn what_is_within_noise_or_tolerance_is_added() {
    let sessions = Sessions::five();
    // 107 ms is within the interval of the five sessions. 109 ms is above that interval, but less than 10 % above the
    // mean.
    for millis in ["107", "109"] {
        assert!(sessions.run(&[(MILLIS, millis)]).0);
    }
    assert_eq!(sessions.kept(), 7);
}

#[test]
fn a_load_that_is_slower_once_is_measured_again_and_not_reported() {
    let sessions = Sessions::five();
    let (passed, output) = sessions.run(&[(MILLIS, "200,150,101")]);
    assert!(passed, "{output}");
    assert!(output.contains("measured 3 times; this is the last measurement\n"), "{output}");
    assert!(output.contains("p50              101.0ms     100.4ms"), "{output}");
    assert_eq!(sessions.kept(), 6);
}

#[test]
fn an_accepted_session_is_the_level_of_those_to_come() {
    let sessions = Sessions::five();
    let (passed, output) = sessions.run(&[(MILLIS, "130"), ("PROCESS_BASELINE", "accept")]);
    assert!(passed && output.contains("+29 %, slower"), "{output}");
    assert_eq!(sessions.kept(), 6);
    let (passed, output) = sessions.run(&[(MILLIS, "131")]);
    assert!(passed && output.contains("(P50, Usual)"), "{output}");
    let (passed, output) = sessions.run(&[(MILLIS, "160")]);
    assert!(!passed && output.contains("7 earlier sessions"), "{output}");
}

#[test]
fn a_faster_session_is_added_and_reported_as_added() {
    let sessions = Sessions::five();
    let (passed, output) = sessions.run(&[(MILLIS, "50")]);
    assert!(passed && output.contains("-50 %, faster"), "{output}");
    assert!(output.contains("this session was added; to compare only with sessions like it, run again with PROCESS_BASELINE=accept"), "{output}");
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
        let (passed, output) = sessions.run(&[(MILLIS, "300"), (RUNS, "100")]);
        assert!(passed && output.contains("too few sessions or runs to compare"), "{output}");
    }
    let (passed, output) = sessions.run(&[(MILLIS, "300"), (RUNS, "100")]);
    assert!(passed && output.contains("changes [(P50, Usual)]"), "{output}");
    let (passed, output) = sessions.run(&[(MILLIS, "300")]);
    assert!(!passed && output.contains("5 earlier sessions"), "{output}");
}

#[test]
fn a_broken_file_is_reported_and_started_anew() {
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
        ("", "the file is not a valid baseline: EOF"),
        ("[]", "the file is not a valid baseline: "),
        (&good[..good.len() / 2], "the file is not a valid baseline: EOF"),
        ("{\"version\": 2, \"loads\": 7}", "the file has version 2, but this program supports version 1"),
        ("{\"version\": 1, \"loads\": [], \"more\": 1}", "unknown field `more`"),
        (&good.replace("100000000", "-1"), "the file is not a valid baseline: invalid value"),
        (&percentiles, "the percentiles of a session are not in ascending order"),
        (&levels, "the levels of its sessions are not in ascending order: 1, then 0"),
        (&many, "the file has 25 sessions of a load, and at most 20 are allowed"),
        (&large, "the file has 2097152 bytes, and at most 1048576 are allowed"),
    ] {
        fs::write(sessions.path(), broken).expect("the file is written");
        let (passed, output) = sessions.run(&[(MILLIS, "100")]);
        assert!(passed, "{output}");
        let start = "critical_process: baseline `checkout_load`: the earlier baseline was discarded: ";
        let line = output.lines().find(|line| line.starts_with(start));
        let line = line.unwrap_or_else(|| panic!("no line reports {why}: {output}"));
        assert!(line.contains("checkout_load.json") && line.contains(why), "{line}");
        assert_eq!(sessions.kept(), 1);
        let (_, output) = sessions.run(&[(MILLIS, "100")]);
        assert!(!output.contains("was discarded"), "{output}");
    }
}

#[test]
fn nothing_but_the_baseline_is_left_and_a_failed_write_is_reported() {
    let sessions = Sessions::five();
    assert_eq!(fs::read_dir(sessions.directory.path()).expect("a directory").count(), 1);
    let no_directory = sessions.path();
    let no_directory = no_directory.to_str().expect("a path of text");
    let (passed, output) = sessions.run(&[(MILLIS, "100"), ("PROCESS_BASELINE_DIR", no_directory)]);
    assert!(passed && output.contains("cannot write "), "{output}");
}

#[test]
fn a_mistyped_variable_is_reported() {
    let (passed, output) = Sessions::none().run(&[(MILLIS, "100"), ("PROCESS_BASELINE", "acept")]);
    assert!(passed, "{output}");
    assert!(output.contains("ignored invalid PROCESS_BASELINE `acept`; did you mean `accept`?"), "{output}");
}

#[test]
fn by_itself_the_baseline_is_in_the_target_directory() {
    let program = std::env::current_exe().expect("a test knows its own binary");
    let target = program.ancestors().nth(3).expect("above deps and the profile");
    let file = target.join("process/baseline/checkout_load.json");
    let _ = fs::remove_file(&file);
    let (passed, output) = session_with([("PROCESS_BASELINE_DIR", ""), (MILLIS, "100")].into_iter());
    assert!(passed, "{output}");
    let text = fs::read_to_string(&file).expect("the baseline is there");
    let profile = Path::new(&program).parent().and_then(Path::parent).and_then(Path::file_name);
    let profile = profile.expect("a folder").to_str().expect("text");
    assert!(text.contains(&format!("\"profile\": \"{profile}\"")), "{text}");
    assert!(text.contains(std::env::consts::ARCH), "{text}");
}
