//! Writing, damaging and reading the files of evidence that contracts leave.

use super::*;
use std::error::Error as _;

#[test]
fn what_is_written_is_what_is_read() {
    let directory = directory();
    let all =
        [everything(), vec![failed("pay_invoice", "panic", "expected\n  a panic\n\u{1b}[31mnone")]].concat();
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
    // Another case of the same test, and another test of the same case, have files of their own.
    let mut other_test = proven("pay_invoice", "happy");
    other_test.test.push('2');
    let mut other_case = proven("pay_invoice", "context");
    other_case.test = proven("pay_invoice", "happy").test;
    other_test.write_to(directory.path()).unwrap();
    other_case.write_to(directory.path()).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
#[ignore = "child of parallel_writers_never_give_half_a_line"]
fn child_writes_from_four_threads() {
    assert!(std::env::var_os("PROCESS_EVIDENCE_DIR").is_some(), "the parent names a directory");
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
            let mut child = alone("evidence_files::child_writes_from_four_threads");
            child.env("PROCESS_EVIDENCE_DIR", directory.path()).spawn().unwrap()
        })
        .collect();
    let mut seen = 0;
    loop {
        let is_writing = writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_none());
        let gathered = evidence::read(directory.path());
        assert_eq!(gathered.problems, []);
        seen += gathered.evidence.len();
        if !is_writing {
            break;
        }
    }
    assert!(writers.into_iter().all(|mut writer| writer.wait().unwrap().success()));
    assert!(seen > 0);
    assert_eq!(evidence::read(directory.path()).evidence.len(), everything().len());
    // No temporary file is left.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), everything().len());
}

#[test]
#[ignore = "child of the_directory_is_in_the_target_directory_or_given"]
fn child_prints_its_directory() {
    println!("directory: {:?}", evidence::directory());
}

#[test]
fn the_directory_is_in_the_target_directory_or_given() {
    let test = "evidence_files::child_prints_its_directory";
    let in_target = printed(&alone(test).output().unwrap());
    let end = Path::new("process").join("evidence");
    let above = in_target.split("Ok(\"").nth(1).unwrap().split("\")").next().unwrap();
    let target = Path::new(above.strip_suffix(end.to_str().unwrap()).unwrap());
    let binary = std::env::current_exe().unwrap();
    assert_eq!(binary.ancestors().nth(3), Some(target), "{in_target}");

    let given = directory();
    let in_given = printed(&alone(test).env("PROCESS_EVIDENCE_DIR", given.path()).output().unwrap());
    assert!(in_given.contains(&format!("Ok({:?})", given.path())), "{in_given}");

    let other = printed(&alone(test).env("CARGO_TARGET_DIR", given.path()).output().unwrap());
    assert!(other.contains(&format!("Ok({:?})", given.path().join(end))), "{other}");
    // A relative `CARGO_TARGET_DIR` is ignored. Cargo resolves it in the directory where Cargo was called, which the
    // test cannot find out, because it runs in another directory.
    assert!(printed(&alone(test).env("CARGO_TARGET_DIR", "out").output().unwrap()).contains(above));

    let relative = printed(&alone(test).env("PROCESS_EVIDENCE_DIR", "here").output().unwrap());
    assert!(relative.contains("Relative(\"here\")"), "{relative}");
    assert!(NoDirectory::Relative("here".into()).to_string().contains("it must be an absolute path"));
}

#[test]
fn a_target_directory_is_found_by_what_cargo_writes_into_it() {
    let test = "evidence_files::child_prints_its_directory";
    // Cargo writes the tag only into a directory that it creates. A mounted volume has the second file, and the third
    // is there whatever cargo is configured to keep.
    for mark in ["CACHEDIR.TAG", ".rustc_info.json", "debug/.cargo-lock"] {
        let directory = directory();
        let target = directory.path().join("mounted");
        fs::create_dir_all(target.join("debug/deps")).unwrap();
        let binary = target.join("debug/deps/tests");
        fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
        let print = || {
            let mut command = Command::new(&binary);
            for variable in ["PROCESS_EVIDENCE_DIR", "CARGO_TARGET_DIR"] {
                command.env_remove(variable);
            }
            printed(&command.args(["--exact", test, "--ignored", "--nocapture"]).output().unwrap())
        };
        let without = print();
        assert!(without.contains("Err(NoTarget)"), "{without}");
        // A cache directory around it is not the target directory.
        fs::write(directory.path().join("CACHEDIR.TAG"), "").unwrap();
        fs::write(target.join(mark), "").unwrap();
        let with = print();
        assert!(with.contains(&format!("Ok({:?})", target.join("process/evidence"))), "{mark}: {with}");
    }
}

#[test]
fn a_proof_that_no_run_gave_is_not_written() {
    let directory = directory();
    let why = |error: &WriteError| error.source().expect("it has a source").to_string();
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
        assert!(matches!(error, WriteError::Invalid { .. }), "{case}");
        assert!(why(&error).contains("cannot be proven by a run with no outcome"), "{error}");
    }
    let mut late = proven("pay_invoice", "happy");
    late.late = true;
    assert!(why(&late.write_to(directory.path()).unwrap_err()).contains("success that was late"));
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
    let Proof::Failed(reason) = &gathered.evidence[0].proof else { panic!("it failed") };
    assert!(reason.starts_with("\u{1}é") && reason.ends_with("…[+291809 bytes]"), "{reason}");
}

#[test]
fn a_problem_repeats_a_part_of_a_text_on_one_line() {
    let mut evidence = proven("pay_invoice", "happy");
    evidence.test = "a\n\u{1b}[2J\u{202e}b".repeat(100_000);
    let problem = evidence.validate().unwrap_err().to_string();
    assert!(problem.len() < 4 << 10 && problem.contains("…[+"), "{problem}");
    assert!(!problem.contains(|letter: char| letter.is_control() || letter == '\u{202e}'), "{problem}");
}

#[test]
fn every_kind_of_broken_line_is_reported_and_loses_no_other() {
    let whole = line();
    let cut = &whole[..whole.len() / 2];
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from} in {whole}");
        whole.replace(from, to)
    };
    let hash = registry::get("pay_invoice").unwrap().hash();
    let kinds = [
        (cut.to_owned(), "the line is truncated"),
        ("{\"resourceSpans\":[]}".to_owned(), "missing field `format`"),
        ("[1]".to_owned(), "the line is not valid evidence"),
        ("what".to_owned(), "the line is not valid evidence"),
        (
            with("\"format\":1", "\"format\":2"),
            "format 2, but this version of process-runtime supports format 1",
        ),
        (with("\"case\":\"happy\"", "\"case\":\"hapy\""), "did you mean `happy`?"),
        (with("\"case\":\"happy\"", "\"case\":\"dependency\""), "case `dependency` requires an argument"),
        (with("\"process\":\"pay_invoice\"", "\"process\":\"Pay\""), "invalid id `Pay`"),
        (with("\"version\":\"1.2.0\"", "\"version\":\"1\""), "invalid version `1`"),
        (with(hash, &hash[1..]), "invalid definition hash"),
        (
            with(hash, &hash.to_uppercase().replace(|c: char| c.is_ascii_digit(), "G")),
            "invalid definition hash",
        ),
        (
            with("\"outcome\":\"success\"", "\"outcome\":\"sucess\""),
            "invalid outcome `sucess`; did you mean `success`?",
        ),
        (
            with("\"outcome\":\"success\"", "\"outcome\":\"failure\""),
            "cannot be proven by a run with failure",
        ),
        (
            with("\"verdict\":\"proven\"", "\"verdict\":\"failed\""),
            "the verdict is `failed`, but the reason is missing",
        ),
        (
            with("\"reason\":null", "\"reason\":\"but\""),
            "the verdict is `proven`, but a reason for a failure is also given",
        ),
        (with("\"revision\":\"r1\"", "\"revision\":\"\""), "invalid revision ``"),
        (with("\"duration_ns\":1234567891", "\"duration_ns\":-1"), "the line is not valid evidence"),
        (with("\"late\":false", "\"late\":false,\"extra\":1"), "unknown field `extra`"),
        (with("\"late\":false", "\"late\":false,\"late\":false"), "duplicate field `late`"),
        (with("service::tests", "service\\u001b[2J"), "invalid path of a test"),
        ("x".repeat(70_000), "more than 64 KiB"),
        ("[".repeat(60_000), "the line is not valid evidence"),
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
fn a_file_that_is_not_evidence_is_reported_or_left_alone() {
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
    assert_eq!(gathered.omitted_problems, 100_001 - 100);
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
    fn valid_evidence_is_read_back(test in ".{0,60}", reason in prop::option::of(".{0,60}"), outcome in outcomes(),
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
            Err(_) => prop_assert!(evidence.validate().is_err()),
        }
    }
}

#[test]
fn evidence_of_a_tree_that_was_not_clean_is_read_as_that() {
    let directory = directory();
    let mut evidence = proven("pay_invoice", "happy");
    // The text of a revision from git does not show whether the tree was clean, so the evidence stores that
    // separately.
    evidence.revision = "r1-dirty".parse::<Revision>().unwrap();
    evidence.write_to(directory.path()).unwrap();
    let [read] = &evidence::read(directory.path()).evidence[..] else { panic!() };
    assert!(!read.revision.is_clean() && *read == evidence, "{read:?}");
}
