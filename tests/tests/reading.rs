//! Large policies and large directories of evidence are read in linear time and within the memory that their
//! documentation states. `timeline` has the same tests for traces.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use process_model::Case;
use process_runtime::testing::Date;
use process_runtime::testing::evidence::{self, Evidence, Proof};
use process_runtime::testing::matrix::Matrix;
use process_runtime::testing::policy::{Policy, PolicyError};
use process_runtime::{critical_process, registry};
use process_tests::isolated::isolated;
use tempfile::TempDir;
use test_machine::memory;

#[critical_process(id = "pay_invoice", version = "1.0.0", sla = "1s")]
fn _pay() {}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, Path::new("process.toml"))
}

/// A policy with many waivers of many processes and cases.
fn waivers(count: usize) -> String {
    let ids: Vec<String> = (0..count).map(|number| format!("\"process_{number}\"")).collect();
    let waiver = |number: usize| {
        format!(
            "[[waiver]]\nprocess = \"process_{}\"\ncase = 'error(\"kind {number}\")'\nowner = \"team\"\nreason = \"later\"\nexpires = 2027-01-31\n\n",
            number % count.min(20_000)
        )
    };
    format!("expected = [{}]\n\n", ids.join(", ")) + &(0..count).map(waiver).collect::<String>()
}

/// A policy that requires many cases, each of which is waived.
fn requirements(count: usize) -> String {
    let cases: Vec<String> = (0..count).map(|number| format!("'error(\"kind {number}\")'")).collect();
    let waiver = |case: &String| {
        format!(
            "[[waiver]]\nprocess = \"pay_invoice\"\ncase = {case}\nowner = \"a\"\nreason = \"b\"\nexpires = 2027-01-31\n"
        )
    };
    format!("[contracts]\nhigh = [{}]\n", cases.join(", ")) + &cases.iter().map(waiver).collect::<String>()
}

/// A policy in which each waiver has five problems.
fn mistakes(count: usize) -> String {
    "[[waiver]]\nproces = 1\nexpires = \"never\"\n".repeat(count)
}

/// A policy in which each line is not TOML.
fn not_toml(count: usize) -> String {
    "a = = 1\n".repeat(count)
}

fn proof(number: usize) -> Evidence {
    let case = Case::Error(format!("kind {}", number % 1_000));
    let process = registry::get("pay_invoice").unwrap();
    Evidence::new(process, case, &format!("service::it_{number}"), Proof::Failed("it broke".to_owned()))
}

/// Writes evidence as lines of files with 50,000 lines each.
fn written(lines: usize, one: impl Fn(usize) -> Evidence) -> TempDir {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let sample = fs::read_to_string(one(0).write_to(directory.path()).unwrap()).unwrap();
    fs::read_dir(directory.path()).unwrap().for_each(|file| fs::remove_file(file.unwrap().path()).unwrap());
    let line = |number: usize| {
        let kind = format!("kind {}\\\"", number % 1_000);
        sample.replace("kind 0\\\"", &kind).replace("it_0", &format!("it_{number}"))
    };
    for start in (0..lines).step_by(50_000) {
        let text: String = (start..lines.min(start + 50_000)).map(line).collect();
        fs::write(directory.path().join(format!("{start:06}.jsonl")), text).unwrap();
    }
    directory
}

/// Asserts that four times the input takes less than nine times the time. A quadratic reader takes sixteen times. The
/// calls alternate, so that other work of the machine slows both.
#[track_caller]
fn assert_linear<T>(what: &str, [quarter, whole]: [T; 2], read: impl Fn(&T)) {
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..4 {
        for (fastest, input) in fastest.iter_mut().zip([&quarter, &whole]) {
            let started = Instant::now();
            read(input);
            *fastest = started.elapsed().min(*fastest);
        }
    }
    let [quarter, whole] = fastest;
    eprintln!("{what}: {quarter:.1?}, then {whole:.1?}");
    assert!(whole < 9 * quarter + Duration::from_millis(5), "{what}: {quarter:?}, then {whole:?}");
}

#[test]
fn a_policy_is_read_in_linear_time() {
    for (what, make) in [
        ("waivers", waivers as fn(usize) -> String),
        ("requirements", requirements),
        ("mistakes", mistakes),
        ("lines that are not TOML", not_toml),
    ] {
        assert_linear(what, [3_000, 12_000].map(make), |text| match parse(text) {
            Ok(policy) => {
                let revision = "r1".parse().unwrap();
                let matrix =
                    Matrix::new(registry::all(), &policy, &[], &revision, Date::new(2026, 12, 1).unwrap());
                assert_eq!(matrix.unwrap().rows().len(), registry::all().count());
            }
            Err(error) => assert!(error.to_string().lines().count() <= 101),
        });
    }
}

#[test]
fn evidence_is_read_in_linear_time() {
    let policy = parse(&requirements(1_000)).unwrap();
    let revision = proof(0).revision;
    let directories = [5_000, 20_000].map(|count| (count, written(count, proof)));
    assert_linear("evidence", directories, |(count, directory)| {
        let gathered = evidence::read(directory.path());
        assert_eq!((gathered.evidence.len(), &gathered.problems[..]), (*count, &[][..]));
        let today = Date::new(2026, 12, 1).unwrap();
        let matrix = Matrix::new(registry::all(), &policy, &gathered.evidence, &revision, today).unwrap();
        assert!(matrix.cells().count() >= 1_000);
    });
}

/// The memory of this test before it reads.
fn before() -> u64 {
    memory::peak().expect("the test is for Linux")
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
fn a_directory_of_evidence_takes_no_more_memory_than_it_may() {
    let output = isolated(|| {
        // More lines than are read, and longer ones.
        let directory = written(120_000, |number| {
            let mut evidence = proof(number);
            evidence.proof = Proof::Failed("it broke ".repeat(50));
            evidence
        });
        let own = before();
        let gathered = evidence::read(directory.path());
        let used = before() - own;
        eprintln!("{} lines in {} MiB", gathered.evidence.len(), used >> 20);
        assert!(gathered.evidence.len() < 120_000 && gathered.problems.len() == 1, "{:?}", gathered.problems);
        assert!(used < 256 << 20, "{} MiB", used >> 20);
    });
    eprint!("{}", output.unwrap_or_default());
}

/// Reads a policy of about eight megabytes, and asserts that it takes at most 128 times its size.
fn read_within(text: &str) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("process.toml");
    fs::write(&file, text).unwrap();
    let own = before();
    let _ = Policy::read(&file);
    let used = before() - own;
    eprintln!("{:?}…: {} KiB in {} MiB", &text[..20], text.len() >> 10, used >> 20);
    assert!((7 << 20..=8 << 20).contains(&text.len()), "{}", text.len());
    assert!(used < 128 * text.len() as u64, "{} MiB", used >> 20);
}

macro_rules! within_memory {
    ($($name:ident: $text:expr;)*) => {
        $(#[test]
        #[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
        fn $name() {
            let output = isolated(|| read_within(&$text));
            eprint!("{}", output.unwrap_or_default());
        })*
    };
}

within_memory! {
    a_policy_of_waivers_takes_no_more_memory_than_it_may: waivers(60_000);
    a_policy_of_requirements_takes_no_more_memory_than_it_may: requirements(60_000);
    a_policy_of_small_tables_takes_no_more_memory_than_it_may: "[[waiver]]\na=1\n".repeat(550_000);
    a_policy_of_small_values_takes_no_more_memory_than_it_may: format!("expected = [{}]", "1,".repeat(4_000_000));
    a_policy_that_is_not_toml_takes_no_more_memory_than_it_may: "=\n=\n=\n=\n".repeat(1_000_000);
}

#[test]
fn a_policy_that_is_too_large_or_not_a_file_is_an_error() {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("process.toml");
    fs::write(&file, "# a comment\n".repeat(1 << 20)).unwrap();
    let problem = |file: &Path| {
        let error = Policy::read(file).unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert_eq!(problem(&file), "larger than 8 MiB");
    assert_eq!(problem(directory.path()), "not a regular file");
    fs::write(&file, b"# \xff\n").unwrap();
    assert!(Policy::read(&file).unwrap_err().to_string().ends_with("process.toml:1: the text is not UTF-8"));
}
