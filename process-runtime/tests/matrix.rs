//! What counts as proven: evidence that parallel tests write and anybody may damage, the policy, the matrix of both, its
//! reports and the gate. A child is this binary again, with one test and variables of its own.

#![allow(dead_code, reason = "the processes are here to be registered, and nobody runs them")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use process_model::{Case, Criticality, Outcome};
use process_runtime::testing::evidence::{self, Evidence, Gathered, NoDirectory, Proof, WriteError};
use process_runtime::testing::matrix::{Cell, Matrix, State};
use process_runtime::testing::policy::{Policy, PolicyError, Requirement};
use process_runtime::testing::revision::Revision;
use process_runtime::testing::{Date, gate, report};
use process_runtime::{critical_process, registry, stage};
use proptest::prelude::*;
use tempfile::TempDir;

#[critical_process(id = "pay_invoice", version = "1.2.0", sla = "10s", criticality = critical, depends_on("sqlite"))]
async fn pay_invoice() {
    charge();
}

#[stage(process = "pay_invoice", id = "charge", depends_on("card_network"))]
fn charge() {}

#[critical_process(id = "send_mail", version = "1.0.0", sla = "10s", depends_on("smtp"))]
fn send_mail() {}

#[critical_process(id = "sync_books", version = "1.0.0", sla = "10s", criticality = medium, depends_on("ledger"))]
fn sync_books() {}

#[critical_process(id = "draw_logo", version = "1.0.0", sla = "10s", criticality = low)]
fn draw_logo() {}

fn revision() -> Revision {
    Revision::named("r1").unwrap()
}

fn today() -> Date {
    Date::parse("2026-11-28").unwrap()
}

fn proven(process: &str, case: &str) -> Evidence {
    let case = Case::parse(case).unwrap();
    let mut evidence =
        Evidence::new(registry::get(process).unwrap(), case, "service::tests::it", Proof::Proven);
    evidence.outcome = Some(match evidence.case {
        Case::Error(_) => Outcome::Failure,
        Case::Cancelled => Outcome::Cancelled,
        Case::Panic => Outcome::Panic,
        _ => Outcome::Success,
    });
    evidence.late = evidence.case == Case::Sla;
    evidence.duration = Duration::from_nanos(1_234_567_891);
    evidence.test = format!("service::tests::{process}_{}", evidence.case.word());
    evidence.revision = revision();
    evidence
}

fn failed(process: &str, case: &str, reason: &str) -> Evidence {
    let mut evidence = proven(process, case);
    evidence.proof = Proof::Failed(reason.to_owned());
    evidence
}

/// What is required of all four processes without a `process.toml`.
const REQUIRED: [(&str, &[&str]); 4] = [
    ("draw_logo", &["happy"]),
    (
        "pay_invoice",
        &["happy", "dependency(\"sqlite\")", "dependency(\"card_network\")", "timeout", "sla", "context"],
    ),
    ("send_mail", &["happy", "dependency(\"smtp\")", "context"]),
    ("sync_books", &["happy", "dependency(\"ledger\")"]),
];

fn everything() -> Vec<Evidence> {
    REQUIRED.iter().flat_map(|(process, cases)| cases.iter().map(|case| proven(process, case))).collect()
}

fn matrix_of(evidence: &[Evidence]) -> Matrix {
    Matrix::new(registry::all(), &Policy::default(), evidence, &revision(), today()).unwrap()
}

fn matrix_under(policy: &str, evidence: &[Evidence], today: Date) -> Result<Matrix, PolicyError> {
    Matrix::new(
        registry::all(),
        &Policy::parse(policy, Path::new("process.toml"))?,
        evidence,
        &revision(),
        today,
    )
}

fn cell<'a>(matrix: &'a Matrix, process: &str, case: &str) -> &'a Cell {
    let case = Case::parse(case).unwrap();
    matrix.cells().find(|cell| cell.process == process && cell.case == case).unwrap()
}

fn problems(policy: &str) -> Vec<String> {
    match matrix_under(policy, &[], today()) {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Reads lines from a file.
fn read(lines: &[u8]) -> Gathered {
    let directory = directory();
    fs::write(directory.path().join("a.jsonl"), lines).unwrap();
    evidence::read(directory.path())
}

fn line() -> String {
    let directory = directory();
    fs::read_to_string(proven("pay_invoice", "happy").write_to(directory.path()).unwrap()).unwrap()
}

const CHILD: &str = "MATRIX_TEST_CHILD";

/// This binary again, for one test that does nothing without being a child.
fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1");
    for variable in ["PROCESS_EVIDENCE_DIR", "PROCESS_REVISION", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    command
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

mod evidence_files {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let directory = directory();
        let all = [everything(), vec![failed("pay_invoice", "panic", "expected\n  a panic\n\u{1b}[31mnone")]]
            .concat();
        for one in &all {
            one.write_to(directory.path()).unwrap();
        }
        let gathered = evidence::read(directory.path());
        assert_eq!(gathered.problems, []);
        assert_eq!(gathered.evidence.len(), all.len());
        assert!(all.iter().all(|one| gathered.evidence.contains(one)));
    }

    #[test]
    fn a_test_that_runs_again_replaces_its_file() {
        let directory = directory();
        let first = failed("pay_invoice", "happy", "it was late").write_to(directory.path()).unwrap();
        let again = proven("pay_invoice", "happy").write_to(directory.path()).unwrap();
        assert_eq!(first, again);
        assert_eq!(evidence::read(directory.path()).evidence, [proven("pay_invoice", "happy")]);
        // Another case of the same test, and another test of the same case, are others.
        let mut other_test = proven("pay_invoice", "happy");
        other_test.test.push('2');
        let mut other_case = proven("pay_invoice", "context");
        other_case.test = proven("pay_invoice", "happy").test;
        other_test.write_to(directory.path()).unwrap();
        other_case.write_to(directory.path()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn child_writes_from_four_threads() {
        if !is_child() {
            return;
        }
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        for one in everything() {
                            let reason = "long ".repeat(1_000);
                            failed(&one.process, &one.case.to_string(), &reason).write().unwrap();
                            one.write().unwrap();
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn parallel_writers_never_give_half_a_line() {
        let directory = directory();
        let mut writers: Vec<_> = (0..4)
            .map(|_| {
                let mut child = child("evidence_files::child_writes_from_four_threads");
                child.env("PROCESS_EVIDENCE_DIR", directory.path()).spawn().unwrap()
            })
            .collect();
        let mut seen = 0;
        loop {
            let is_going_on = writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_none());
            let gathered = evidence::read(directory.path());
            assert_eq!(gathered.problems, []);
            seen += gathered.evidence.len();
            if !is_going_on {
                break;
            }
        }
        assert!(writers.into_iter().all(|mut writer| writer.wait().unwrap().success()));
        assert!(seen > 0);
        assert_eq!(evidence::read(directory.path()).evidence.len(), everything().len());
        // Nothing that was written beside is left.
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), everything().len());
    }

    #[test]
    fn child_says_its_directory() {
        if is_child() {
            println!("directory: {:?}", evidence::directory());
        }
    }

    #[test]
    fn the_directory_is_in_the_target_directory_or_given() {
        let test = "evidence_files::child_says_its_directory";
        let in_target = said(&child(test).output().unwrap());
        let end = Path::new("process").join("evidence");
        let above = in_target.split("Ok(\"").nth(1).unwrap().split("\")").next().unwrap();
        let target = Path::new(above.strip_suffix(end.to_str().unwrap()).unwrap());
        assert!(target.join("CACHEDIR.TAG").is_file(), "{in_target}");

        let given = directory();
        let said_given = said(&child(test).env("PROCESS_EVIDENCE_DIR", given.path()).output().unwrap());
        assert!(said_given.contains(&format!("Ok({:?})", given.path())), "{said_given}");

        let other = said(&child(test).env("CARGO_TARGET_DIR", given.path()).output().unwrap());
        assert!(other.contains(&format!("Ok({:?})", given.path().join(end))), "{other}");
        // Cargo resolved a relative one where it was called, and not where the test runs.
        assert!(said(&child(test).env("CARGO_TARGET_DIR", "out").output().unwrap()).contains(above));

        let relative = said(&child(test).env("PROCESS_EVIDENCE_DIR", "here").output().unwrap());
        assert!(relative.contains("Relative(\"here\")"), "{relative}");
        assert!(NoDirectory::Relative("here".into()).to_string().contains("write an absolute path"));
    }

    #[test]
    fn a_proof_that_no_run_gave_is_not_written() {
        let directory = directory();
        let cases = [
            "happy",
            "error(\"declined\")",
            "cancelled",
            "panic",
            "sla",
            "timeout",
            "context",
            "dependency(\"sqlite\")",
        ];
        for case in cases {
            let mut evidence = proven("pay_invoice", case);
            evidence.outcome = None;
            let error = evidence.write_to(directory.path()).unwrap_err();
            assert!(matches!(error, WriteError::Flawed { .. }), "{case}");
            assert!(error.to_string().contains("had no outcome"), "{error}");
        }
        let mut late = proven("pay_invoice", "happy");
        late.late = true;
        assert!(late.write_to(directory.path()).unwrap_err().to_string().contains("success, late"));
        let mut on_time = proven("pay_invoice", "sla");
        on_time.late = false;
        assert!(on_time.write_to(directory.path()).is_err());
        let mut succeeded = proven("pay_invoice", "error(\"declined\")");
        succeeded.outcome = Some(Outcome::Success);
        assert!(succeeded.write_to(directory.path()).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_reason_of_any_length_fits() {
        let directory = directory();
        failed("pay_invoice", "happy", &"\u{1}é".repeat(100_000)).write_to(directory.path()).unwrap();
        let gathered = evidence::read(directory.path());
        assert_eq!((gathered.evidence.len(), gathered.problems.len()), (1, 0));
    }

    #[test]
    fn every_kind_of_broken_line_is_told_and_costs_no_other() {
        let whole = line();
        let cut = &whole[..whole.len() / 2];
        let with = |from: &str, to: &str| {
            assert!(whole.contains(from), "{from} in {whole}");
            whole.replace(from, to)
        };
        let hash = registry::get("pay_invoice").unwrap().hash();
        let kinds = [
            (cut.to_owned(), "cut off"),
            ("{\"resourceSpans\":[]}".to_owned(), "missing field `format`"),
            ("[1]".to_owned(), "no evidence"),
            ("what".to_owned(), "no evidence"),
            (
                with("\"format\":1", "\"format\":2"),
                "of format 2, and this version of process-runtime reads 1",
            ),
            (with("\"case\":\"happy\"", "\"case\":\"hapy\""), "did you mean `happy`?"),
            (with("\"case\":\"happy\"", "\"case\":\"dependency\""), "`dependency` of what?"),
            (with("\"process\":\"pay_invoice\"", "\"process\":\"Pay\""), "`Pay` is no id"),
            (with("\"version\":\"1.2.0\"", "\"version\":\"1\""), "no semantic version"),
            (with(hash, &hash[1..]), "no hash of a definition"),
            (
                with(hash, &hash.to_uppercase().replace(|c: char| c.is_ascii_digit(), "G")),
                "no hash of a definition",
            ),
            (
                with("\"outcome\":\"success\"", "\"outcome\":\"sucess\""),
                "`sucess` is no outcome; did you mean `success`?",
            ),
            (with("\"outcome\":\"success\"", "\"outcome\":\"failure\""), "proven by a run that had failure"),
            (with("\"verdict\":\"proven\"", "\"verdict\":\"failed\""), "failed for no reason"),
            (with("\"reason\":null", "\"reason\":\"but\""), "has a reason why not"),
            (with("\"revision\":\"r1\"", "\"revision\":\"\""), "no revision"),
            (with("\"duration_ns\":1234567891", "\"duration_ns\":-1"), "no evidence"),
            (with("\"late\":false", "\"late\":false,\"extra\":1"), "unknown field `extra`"),
            (with("\"late\":false", "\"late\":false,\"late\":false"), "duplicate field `late`"),
            (with("service::tests", "service\\u001b[2J"), "no path of a test"),
            ("x".repeat(70_000), "more than 64 KiB"),
            ("[".repeat(60_000), "no evidence"),
        ];
        for (broken, expected) in kinds {
            let gathered = read(format!("{}\n\n{}\n{whole}", whole.trim_end(), broken.trim_end()).as_bytes());
            assert_eq!(gathered.evidence.len(), 2, "{expected}");
            let [problem] = &gathered.problems[..] else { panic!("{expected}: {:?}", gathered.problems) };
            assert_eq!(problem.line, Some(3));
            assert!(problem.file.ends_with("a.jsonl"));
            assert!(problem.to_string().contains(expected), "{expected}: {problem}");
            assert!(!problem.to_string().contains(char::is_control));
        }
    }

    #[test]
    fn what_is_no_file_of_evidence_is_told_or_left_alone() {
        let directory = directory();
        fs::create_dir(directory.path().join("folder.jsonl")).unwrap();
        fs::write(directory.path().join("x.tmp"), "half a li").unwrap();
        fs::write(directory.path().join("empty.jsonl"), "").unwrap();
        let gathered = evidence::read(directory.path());
        assert_eq!(gathered.problems.len(), 1);
        assert!(gathered.problems[0].file.ends_with("folder.jsonl"));
        assert!(evidence::read(&directory.path().join("nowhere")).problems.is_empty());
    }

    #[test]
    fn a_file_of_nothing_but_mistakes_is_bounded() {
        let gathered = read(&b"x\n".repeat(250_000));
        assert_eq!(gathered.problems.len(), 100);
        assert_eq!(gathered.more_problems, 100_001 - 100);
    }

    fn outcomes() -> impl Strategy<Value = Option<Outcome>> {
        prop::option::of(prop::sample::select(&Outcome::ALL[..]))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_damaged_line_costs_no_other(at in any::<prop::sample::Index>(), byte in any::<u8>(), is_cut in any::<bool>()) {
            let line = line();
            let mut damaged = line.clone().into_bytes();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            damaged.truncate(if is_cut { at } else { line.len() });
            let gathered = read(&[line.as_bytes(), &damaged, b"\n", line.as_bytes()].concat());
            prop_assert!((2..=3).contains(&gathered.evidence.len()), "{:?}", gathered);
        }

        #[test]
        fn whatever_has_no_flaw_comes_back(test in ".{0,60}", reason in prop::option::of(".{0,60}"), outcome in outcomes(),
            late in any::<bool>(), nanos in any::<u64>(), at in any::<u64>(), error in "[^\"]{1,20}", which in 0..4usize) {
            let case = [Case::Happy, Case::Error(error), Case::Sla, Case::Edge][which].clone();
            let mut evidence = proven("pay_invoice", "happy");
            evidence.proof = reason.map_or(Proof::Proven, Proof::Failed);
            (evidence.case, evidence.test, evidence.outcome, evidence.late) = (case, test, outcome, late);
            (evidence.duration, evidence.at) = (Duration::from_nanos(nanos), at);
            let directory = directory();
            match evidence.write_to(directory.path()) {
                Ok(_) => {
                    let gathered = evidence::read(directory.path());
                    prop_assert_eq!(&gathered.problems, &[]);
                    prop_assert_eq!(gathered.evidence, [evidence]);
                }
                Err(_) => prop_assert!(evidence.flaw().is_some()),
            }
        }
    }
}

mod revisions {
    use super::*;

    fn git(directory: &Path, arguments: &[&str]) {
        let settings = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let output =
            Command::new("git").current_dir(directory).args(settings).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }

    /// Whether there is no git, which is told; CI requires it.
    fn git_is_missing() -> bool {
        let is_missing = Command::new("git").arg("--version").output().is_err();
        if is_missing {
            assert!(std::env::var_os("PROCESS_REAL_PARTS").is_none(), "there is no git, which CI requires");
            eprintln!("SKIPPED: there is no git");
        }
        is_missing
    }

    /// A repository with one commit, and a directory in it.
    fn repository() -> (TempDir, PathBuf) {
        let directory = directory();
        git(directory.path(), &["init", "-q"]);
        let inside = directory.path().join("package");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("code.rs"), "one").unwrap();
        fs::write(directory.path().join(".gitignore"), "/ignored\n").unwrap();
        git(directory.path(), &["add", "."]);
        git(directory.path(), &["commit", "-q", "-m", "one"]);
        (directory, inside)
    }

    #[test]
    fn each_state_of_the_tree_is_another_revision() {
        if git_is_missing() {
            return;
        }
        let (root, package) = repository();
        let clean = Revision::of(&package);
        assert!(clean.is_clean());
        assert_eq!(clean.as_str().len(), 40);
        assert_eq!(clean, Revision::of(root.path()));

        fs::write(root.path().join("ignored"), "x").unwrap();
        assert_eq!(Revision::of(&package), clean);

        let states: [&dyn Fn(); 6] = [
            &|| fs::write(package.join("code.rs"), "two").unwrap(),
            &|| fs::write(package.join("code.rs"), "three").unwrap(),
            // A byte that is no text, and one that differs.
            &|| fs::write(package.join("code.rs"), [0, 1]).unwrap(),
            &|| fs::write(package.join("code.rs"), [0, 2]).unwrap(),
            &|| fs::write(root.path().join("new file"), "one").unwrap(),
            &|| fs::write(root.path().join("new file"), "two").unwrap(),
        ];
        let mut seen = BTreeSet::from([clean.as_str().to_owned()]);
        for change in states {
            change();
            let revision = Revision::of(&package);
            assert!(!revision.is_clean());
            assert!(revision.as_str().starts_with(clean.as_str()));
            assert_eq!(revision, Revision::of(root.path()));
            assert!(seen.insert(revision.to_string()), "{revision} again");
            assert_eq!(revision.short().len(), 12 + 1 + 16);
        }
        fs::rename(root.path().join("new file"), root.path().join("renamed")).unwrap();
        assert!(seen.insert(Revision::of(&package).to_string()));

        fs::remove_file(root.path().join("renamed")).unwrap();
        fs::write(package.join("code.rs"), "one").unwrap();
        assert_eq!(Revision::of(&package), clean);
    }

    #[test]
    fn without_git_the_files_say_which_code_it_is() {
        let directory = directory();
        let package = directory.path().join("package");
        fs::create_dir_all(package.join("target")).unwrap();
        fs::write(directory.path().join("Cargo.lock"), "").unwrap();
        fs::write(package.join("target/CACHEDIR.TAG"), "").unwrap();
        let mut seen = BTreeSet::new();
        for (file, content) in [("code.rs", "one"), ("code.rs", "two"), ("more.rs", "two")] {
            fs::write(package.join(file), content).unwrap();
            let revision = Revision::of(&package);
            assert!(revision.as_str().starts_with("no git+") && !revision.is_clean(), "{revision}");
            assert!(revision.is_known() && seen.insert(revision.to_string()), "{revision} again");
            for file in ["target/built", ".hidden"] {
                fs::write(package.join(file), content).unwrap();
            }
            assert_eq!(revision, Revision::of(&package));
        }
    }

    #[test]
    fn evidence_of_code_that_nobody_knows_counts_for_nothing() {
        let unknown = Revision::of(&directory().path().join("nowhere"));
        assert!(unknown.as_str().starts_with("unknown: ") && !unknown.is_known(), "{unknown}");
        let process = registry::get("draw_logo").unwrap();
        let mut evidence = proven("draw_logo", "happy");
        evidence.revision = unknown.clone();
        let policy = Policy::default();
        let matrix = Matrix::new([process], &policy, &[evidence], &unknown, Date::today()).unwrap();
        let open: Vec<_> = matrix.open().filter_map(|cell| cell.reason.clone()).collect();
        assert!(matches!(&open[..], [reason] if reason.contains("set PROCESS_REVISION")), "{open:?}");
    }

    #[test]
    fn before_the_first_commit_each_state_is_another_revision_too() {
        if git_is_missing() {
            return;
        }
        let directory = directory();
        git(directory.path(), &["init", "-q"]);
        let empty = Revision::of(directory.path());
        assert!(!empty.is_clean());
        let mut seen = BTreeSet::from([empty.to_string()]);
        for (file, content) in [("code.rs", "one"), ("code.rs", "two"), ("more.rs", "one")] {
            fs::write(directory.path().join(file), content).unwrap();
            let untracked = Revision::of(directory.path());
            git(directory.path(), &["add", "."]);
            for revision in [untracked, Revision::of(directory.path())] {
                assert!(revision.as_str().starts_with("no commit+") && !revision.is_clean(), "{revision}");
                assert!(seen.insert(revision.to_string()), "{revision} again");
            }
            git(directory.path(), &["rm", "-q", "--cached", "-r", "."]);
        }
    }

    #[test]
    fn a_name_is_a_revision_and_may_say_that_it_is_dirty() {
        assert!(Revision::named(" v1.2-3-g4e6e851\n").unwrap().is_clean());
        assert!(!Revision::named("v1.2-3-g4e6e851-dirty").unwrap().is_clean());
        assert_eq!(Revision::named("  "), None);
        assert_eq!(Revision::named("a\u{1b}[2J"), None);
    }

    #[test]
    fn child_says_its_revision_before_and_after_it_writes() {
        if is_child() {
            println!("revision: {}", Revision::current());
            if std::env::var_os("PROCESS_EVIDENCE_DIR").is_some() {
                proven("pay_invoice", "happy").write().unwrap();
            }
            println!("revision: {}", Revision::of(Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap())));
        }
    }

    #[test]
    fn evidence_within_the_tree_is_no_change_of_it_and_a_variable_names_another() {
        let (root, package) = repository();
        let test = "revisions::child_says_its_revision_before_and_after_it_writes";
        let mut child = child(test);
        child.env("CARGO_MANIFEST_DIR", &package).env("PROCESS_EVIDENCE_DIR", root.path().join("evidence"));
        let clean = Revision::of(&package).to_string();
        let text = said(&child.output().unwrap());
        assert_eq!(text.matches(&format!("revision: {clean}\n")).count(), 2, "{text}");
        assert!(!Revision::of(&package).is_clean(), "the child wrote into the tree");
        let text = said(&child.env("PROCESS_REVISION", "release-7").output().unwrap());
        assert!(text.contains("revision: release-7\n"), "{text}");
    }
}

mod policies {
    use super::*;

    #[test]
    fn the_defaults_are_by_criticality() {
        let matrix = matrix_of(&[]);
        let required = |row: &process_runtime::testing::matrix::Row| {
            assert!(row.cells.iter().all(|cell| cell.required && cell.state == State::Unknown));
            row.cells.iter().map(|cell| cell.case.to_string()).collect::<Vec<_>>()
        };
        let found: Vec<_> = matrix.rows().iter().map(|row| (row.process.id(), required(row))).collect();
        let expected: Vec<_> = REQUIRED
            .iter()
            .map(|(id, cases)| (*id, cases.iter().map(|case| case.to_string()).collect()))
            .collect();
        assert_eq!(found, expected);
        // The page of documentation says the same.
        let documented = "[contracts]\ncritical = [\"happy\", \"dependency\", \"timeout\", \"sla\", \"context\"]\n\
            high = [\"happy\", \"dependency\", \"context\"]\nmedium = [\"happy\", \"dependency\"]\nlow = [\"happy\"]";
        assert_eq!(Policy::parse(documented, Path::new("process.toml")).unwrap(), Policy::default());
    }

    #[test]
    fn a_line_replaces_the_default_of_its_criticality_alone() {
        let text = "expected = [\"other\"]\n[routes]\nx = 1\n[contracts]\nlow = []\nhigh = ['error(\"card_declined\")', \"happy\", \"happy\"]\n\
            [[attestation]]\nanything = true\n";
        let policy = Policy::parse(text, Path::new("process.toml")).unwrap();
        let named = Requirement::Case(Case::Error("card_declined".to_owned()));
        let happy = Requirement::Case(Case::Happy);
        assert_eq!(policy.required(Criticality::High), [named, happy.clone(), happy]);
        assert_eq!(policy.required(Criticality::Low), []);
        assert_eq!(policy.required(Criticality::Critical), Policy::default().required(Criticality::Critical));
        let cases = policy.cases(registry::get("send_mail").unwrap());
        assert_eq!(cases, [Case::Error("card_declined".to_owned()), Case::Happy]);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "\
[contracts]
critical = [\"hapy\", \"edge\"]
critcal = [\"happy\"]
high = \"happy\"
low = [\"error\", 7]

[[waiver]]
process = \"pay_invoice\"
case = \"timeut\"
owner = \" \"
expires = \"2026-02-30\"
resaon = \"x\"

[[waivers]]
process = \"pay_invoice\"
";
        let expected = [
            "process.toml:2: `hapy` is no case; did you mean `happy`?",
            "process.toml:2: `edge` is whatever a test says, so nothing can require or waive it",
            "process.toml:3: `critcal` is no criticality; did you mean `critical`?",
            "process.toml:4: write a list of cases",
            "process.toml:5: `error` of what?",
            "process.toml:5: write a case as a text",
            "process.toml:12: `resaon` is no key of a waiver; did you mean `reason`?",
            "process.toml:9: `timeut` is no case; did you mean `timeout`?",
            "process.toml:10: `owner` of the waiver is no text, or an empty one",
            "process.toml:7: the waiver has no `reason`",
            "process.toml:11: `expires` is a day of the calendar: write \"YYYY-MM-DD\"",
            "process.toml:14: `waivers` is no table; did you mean `waiver`?",
        ];
        let found = problems(text);
        for expected in expected {
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}\nin {found:#?}");
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        assert!(problems("[contracts\n")[0].starts_with("process.toml:1: "));
        assert!(problems("a = 1\n\nb = ")[0].starts_with("process.toml:3: "));
    }

    fn waiver(process: &str, case: &str, expires: &str) -> String {
        format!(
            "[[waiver]]\nprocess = \"{process}\"\ncase = '{case}'\nowner = \"billing\"\nreason = \"no sandbox\"\nexpires = {expires}\n"
        )
    }

    #[test]
    fn a_waiver_for_what_is_not_there_is_refused() {
        let missing = problems(&waiver("pay_invoce", "happy", "\"2026-12-31\""));
        assert_eq!(
            missing,
            ["process.toml:1: no process `pay_invoce` is registered; did you mean `pay_invoice`?"]
        );
        let missing = problems(&waiver("pay_invoice", "dependency(\"sqlit\")", "\"2026-12-31\""));
        assert!(
            missing[0].ends_with("so there is nothing to waive; did you mean `dependency(\"sqlite\")`?"),
            "{missing:?}"
        );
        let missing = problems(&waiver("draw_logo", "load", "\"2026-12-31\""));
        assert!(
            missing[0].ends_with(
                "`load` is not required of process `draw_logo`, so there is nothing to waive; `happy` are"
            ),
            "{missing:?}"
        );
        let twice = waiver("draw_logo", "happy", "2026-12-31").repeat(2);
        assert_eq!(
            problems(&twice),
            ["process.toml:7: `happy` of process `draw_logo` is waived in line 1 already"]
        );
        // Another package's process is known by its name alone.
        let other = waiver("archive", "happy", "2026-12-31");
        assert!(problems(&other)[0].ends_with("list it in `expected = [\"archive\"]`"));
        assert!(problems(&format!("expected = [\"archive\"]\n{other}")).is_empty());
    }

    #[test]
    fn a_waiver_holds_to_the_end_of_its_last_day_and_is_a_failure_then() {
        for expires in ["\"2026-12-31\"", "2026-12-31"] {
            let policy = waiver("pay_invoice", "timeout", expires);
            let on = |day, evidence: &[Evidence]| {
                let matrix = matrix_under(&policy, evidence, Date::parse(day).unwrap()).unwrap();
                let cell = cell(&matrix, "pay_invoice", "timeout").clone();
                (cell.state, cell.reason.unwrap(), matrix.open().any(|open| open.case == cell.case))
            };
            let (state, reason, is_open) = on("2026-12-31", &[]);
            assert_eq!((state, is_open), (State::Waived, false));
            assert_eq!(reason, "billing, until 2026-12-31: no sandbox; no contract ran");
            let (state, reason, is_open) = on("2027-01-01", &[]);
            assert_eq!((state, is_open), (State::Failed, true));
            assert!(
                reason.starts_with("the waiver of billing expired on 2026-12-31: no sandbox"),
                "{reason}"
            );
            let (state, reason, is_open) = on("2027-01-01", &[proven("pay_invoice", "timeout")]);
            assert_eq!((state, is_open), (State::Proven, false));
            assert_eq!(reason, "its waiver (billing, until 2026-12-31) can go");
        }
    }

    #[test]
    fn a_file_is_the_policy_and_one_that_cannot_be_read_is_named() {
        let root = directory();
        let file = root.path().join("process.toml");
        fs::write(&file, "[contracts]\nlow = [\"panic\"]\n").unwrap();
        let policy = Policy::read(&file).unwrap();
        assert_eq!(policy.required(Criticality::Low), [Requirement::Case(Case::Panic)]);
        let error = Policy::read(root.path()).unwrap_err();
        assert!(matches!(error, PolicyError::Unreadable { .. }));
        assert!(error.to_string().contains(root.path().to_str().unwrap()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_policy_makes_it_panic(text in "(\\[?\\[?(contracts|waiver|expected|high|case|expires)\\]?\\]?( = )?[\\[\\]{}\"a-z0-9,:\n-]{0,12}\n?){0,8}") {
            let _ = matrix_under(&text, &[], today());
        }
    }
}

mod matrices {
    use super::*;

    #[test]
    fn all_of_it_proven_leaves_nothing_open() {
        let matrix = matrix_of(&everything());
        assert!(matrix.cells().all(|cell| cell.state == State::Proven && !cell.unclean));
        assert_eq!(matrix.open().count(), 0);
    }

    #[test]
    fn without_one_contract_exactly_its_cell_is_open_with_the_line_to_add() {
        for place in 0..everything().len() {
            let mut evidence = everything();
            let gone = evidence.remove(place);
            let matrix = matrix_of(&evidence);
            let [open] = matrix.open().collect::<Vec<_>>()[..] else { panic!("{gone:?}") };
            assert_eq!(
                (open.process, &open.case, open.state),
                (gone.process.as_str(), &gone.case, State::Unknown)
            );
            let line = format!("#[contract(process = \"{}\", case = {})]", gone.process, gone.case);
            assert_eq!(open.contract(), line);
            let reports = [report::terminal(&matrix), report::junit(&matrix).replace("&quot;", "\"")];
            assert!(reports.iter().all(|report| report.contains(&line)), "{reports:#?}");
        }
    }

    #[test]
    fn evidence_of_another_definition_or_revision_does_not_count() {
        let mut older = proven("draw_logo", "happy");
        older.definition = "0".repeat(32);
        older.version = "0.9.0".to_owned();
        let matrix = matrix_of(std::slice::from_ref(&older));
        let stale = cell(&matrix, "draw_logo", "happy");
        assert_eq!(stale.state, State::Unknown);
        assert_eq!(
            stale.reason.as_deref().unwrap(),
            "the evidence of service::tests::draw_logo_happy is of another definition: version 0.9.0 at r1"
        );

        let mut other = proven("draw_logo", "happy");
        other.revision = Revision::named("r0").unwrap();
        let matrix = matrix_of(std::slice::from_ref(&other));
        let stale = cell(&matrix, "draw_logo", "happy");
        assert_eq!(stale.state, State::Unknown);
        assert!(stale.reason.as_deref().unwrap().ends_with("is of another revision: r0, and this is r1"));

        // The same commit with changes is another, and a failure of then is none of now.
        other.revision = Revision::named("r1-dirty").unwrap();
        other.proof = Proof::Failed("then".to_owned());
        let matrix = matrix_of(&[older, other, proven("draw_logo", "happy")]);
        assert_eq!(cell(&matrix, "draw_logo", "happy").state, State::Proven);
        // Nor does it leave a cell that nobody asked for.
        let mut stray = proven("draw_logo", "panic");
        stray.revision = Revision::named("r0").unwrap();
        assert!(matrix_of(&[stray]).cells().all(|cell| cell.case != Case::Panic));
    }

    #[test]
    fn one_failure_of_a_cell_outweighs_its_proofs() {
        let mut other_test = failed("pay_invoice", "sla", "expected late\nobserved on time");
        other_test.test = "service::tests::other".to_owned();
        let mut evidence = everything();
        evidence.insert(0, other_test);
        let matrix = matrix_of(&evidence);
        let [open] = matrix.open().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!((open.state, &open.case, open.tests.len()), (State::Failed, &Case::Sla, 2));
        assert_eq!(open.reason.as_deref().unwrap(), "service::tests::other: expected late observed on time");
        assert!(!report::terminal(&matrix).contains("add #[contract"));
    }

    #[test]
    fn a_proof_of_what_did_not_happen_is_a_failure() {
        let mut evidence = proven("draw_logo", "happy");
        evidence.outcome = Some(Outcome::Failure);
        let matrix = matrix_of(&[evidence]);
        assert_eq!(cell(&matrix, "draw_logo", "happy").state, State::Failed);
    }

    #[test]
    fn a_cell_that_nobody_asked_for_is_there_and_may_fail() {
        let mut evidence = everything();
        evidence.push(failed("draw_logo", "error(\"no_ink\")", "success"));
        evidence.push(proven("draw_logo", "edge"));
        let matrix = matrix_of(&evidence);
        assert_eq!(cell(&matrix, "draw_logo", "edge").state, State::Proven);
        assert!(!cell(&matrix, "draw_logo", "edge").required);
        let [open] = matrix.open().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(open.case, Case::Error("no_ink".to_owned()));
    }

    #[test]
    fn what_rests_on_a_tree_that_was_not_clean_is_marked() {
        let dirty = Revision::named("r1-dirty").unwrap();
        let mut evidence = everything();
        evidence.iter_mut().for_each(|one| one.revision = dirty.clone());
        let of = |evidence: &[Evidence]| {
            Matrix::new(registry::all(), &Policy::default(), evidence, &dirty, today()).unwrap()
        };
        let matrix = of(&evidence);
        assert!(matrix.cells().all(|cell| cell.state == State::Proven && cell.unclean));
        let text = report::terminal(&matrix);
        assert!(text.contains("~ proven on a tree that was not clean") && !text.contains('✓'), "{text}");
        assert!(report::junit(&matrix).contains("the tree was not clean"));
        assert!(of(&[]).cells().all(|cell| !cell.unclean));
    }
}

mod reports {
    use super::*;

    /// One cell of each state.
    fn matrix() -> Matrix {
        let policy = "[[waiver]]\nprocess = \"pay_invoice\"\ncase = \"sla\"\nowner = \"billing\"\nreason = \"a | b\"\nexpires = 2026-12-31\n";
        let mut evidence = everything();
        evidence
            .retain(|one| !(one.process == "pay_invoice" && matches!(one.case, Case::Sla | Case::Timeout)));
        evidence.push(failed("pay_invoice", "dependency(\"card_network\")", "<none> & \u{1b}[31m\u{0}red"));
        matrix_under(policy, &evidence, today()).unwrap()
    }

    #[test]
    fn the_terminal_has_an_aligned_row_for_each_process_and_a_line_for_each_open_cell() {
        let text = report::terminal(&matrix());
        let expected = "\
contracts at r1
process      happy  timeout  dependency  sla  context
draw_logo    ✓
pay_invoice  ✓      ?        ✓✗          w    ✓
send_mail    ✓               ✓                ✓
sync_books   ✓               ✓
✓ proven  ✗ failed  ? unknown  w waived
✗ pay_invoice dependency(\"card_network\"): service::tests::pay_invoice_dependency: <none> & [31m red
? pay_invoice timeout: no contract ran; add #[contract(process = \"pay_invoice\", case = timeout)]
w pay_invoice sla: billing, until 2026-12-31: a | b; no contract ran
";
        assert_eq!(text, expected);
    }

    #[test]
    fn markdown_is_a_table_that_no_text_breaks() {
        let text = report::markdown(&matrix());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 2 + 4, "{text}");
        assert!(rows.iter().all(|row| row.matches('|').count() == 7), "{text}");
        assert!(text.contains("a \\| b") && text.contains("\\<none\\> \\& "), "{text}");
        assert!(text.contains("- ? pay\\_invoice timeout"), "{text}");
    }

    #[test]
    fn junit_parses_and_counts() {
        let xml = report::junit(&matrix());
        let root = xml.lines().find(|line| line.starts_with("<testsuites")).unwrap();
        assert!(!root.contains("skipped"), "{root}");
        let parsed = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!((parsed.tests, parsed.failures, parsed.errors), (12, 2, 0));
        assert_eq!(parsed.test_suites.len(), 4);
        let pay = parsed.test_suites.iter().find(|suite| suite.name.as_str() == "pay_invoice").unwrap();
        assert_eq!((pay.tests, pay.failures, pay.skipped), (6, 2, 1));
        assert_eq!(pay.test_cases[1].name.as_str(), "dependency(\"sqlite\")");
        if let Some(file) = std::env::var_os("MATRIX_TEST_JUNIT") {
            fs::write(file, &xml).unwrap();
        }
    }
}

mod gates {
    use super::*;

    #[test]
    fn child_is_at_the_gate() {
        if is_child() {
            gate();
        }
    }

    /// A package with a policy and evidence, and what its gate says.
    fn at_the_gate(package: &Path) -> (bool, String) {
        let mut child = child("gates::child_is_at_the_gate");
        child.env("CARGO_MANIFEST_DIR", package.join("member")).env("PROCESS_REVISION", "r1");
        let output = child.env("PROCESS_EVIDENCE_DIR", package.join("evidence")).output().unwrap();
        (output.status.success(), said(&output))
    }

    #[test]
    fn it_opens_when_everything_is_proven_and_names_what_is_not() {
        let package = directory();
        let files: Vec<PathBuf> =
            everything().iter().map(|one| one.write_to(&package.path().join("evidence")).unwrap()).collect();
        let (is_open, text) = at_the_gate(package.path());
        assert!(is_open, "{text}");
        assert!(text.contains("pay_invoice  ✓      ✓        ✓✓          ✓    ✓"), "{text}");

        // What cannot be read is told, and no reason to fail.
        let stray = package.path().join("evidence").join("stray.jsonl");
        fs::write(&stray, "half a li").unwrap();
        let (is_open, text) = at_the_gate(package.path());
        assert!(
            is_open && text.contains("not read: ") && text.contains("stray.jsonl:1: it is no evidence"),
            "{text}"
        );

        fs::remove_file(&files[1]).unwrap();
        let (is_open, text) = at_the_gate(package.path());
        assert!(
            !is_open && text.contains("1 of 12 cells are open:\n? pay_invoice happy: no contract ran; add "),
            "{text}"
        );

        fs::write(package.path().join("process.toml"), "[contracts]\ncritical = [\"timeout\"]\n").unwrap();
        let (is_open, text) = at_the_gate(package.path());
        assert!(is_open, "{text}");
        fs::write(package.path().join("process.toml"), "[contracts]\ncritical = [\"timeuot\"]\n").unwrap();
        let (is_open, text) = at_the_gate(package.path());
        assert!(
            !is_open && text.contains("process.toml:2: `timeuot` is no case; did you mean `timeout`?"),
            "{text}"
        );
    }

    #[test]
    fn child_expects_a_process_that_is_not_linked() {
        if is_child() {
            registry::expect(["send_fax"]);
            gate();
        }
    }

    #[test]
    fn a_process_in_no_row_keeps_it_closed() {
        let package = directory();
        everything().iter().for_each(|one| drop(one.write_to(package.path()).unwrap()));
        let mut child = child("gates::child_expects_a_process_that_is_not_linked");
        child.env("CARGO_MANIFEST_DIR", package.path()).env("PROCESS_REVISION", "r1");
        let output = child.env("PROCESS_EVIDENCE_DIR", package.path()).output().unwrap();
        let text = said(&output);
        assert!(
            !output.status.success()
                && text.contains("process `send_fax` is expected, and nothing of it was linked"),
            "{text}"
        );
    }
}
