//! The content of a shipped binary, and the ways in which it ends. The binary is fully optimised, with fat LTO and
//! `panic = "abort"`, and stripped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use object::{Object, ObjectSection, ObjectSymbol as _};
use process_model::{ContextSource, Criticality, Declaration, Record, wire};

/// Returns the binary of the fixture. It is built once, in a separate target directory, so that other builds are not
/// affected.
fn shipped() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("shipped"))
}

/// Builds the fixture in a profile, and returns the path of the binary.
fn build(profile: &str) -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("shipped");
    let built = Command::new(env!("CARGO"))
        .current_dir(&workspace)
        .args(["build", "--quiet", "--package", "shipped", "--profile", profile, "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", if cfg!(target_os = "linux") { "-Clink-arg=-Wl,--build-id" } else { "" })
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let directory = if profile == "dev" { "debug" } else { profile };
    target.join(directory).join(format!("shipped{}", std::env::consts::EXE_SUFFIX))
}

/// Returns how many functions of the module `testing` a program has. The program must be built without optimisation,
/// because each function then has a symbol.
fn of_the_harness(program: &Path) -> usize {
    let bytes = std::fs::read(program).expect("it is there");
    let file = object::File::parse(&*bytes).expect("it is a program");
    let names = file.symbols().filter_map(|symbol| symbol.name().ok());
    let (all, of_testing) = names.fold((0, 0), |(all, of_testing), name| {
        let is_ours = |module: &str| name.contains(&format!("15process_runtime{module}"));
        (all + usize::from(is_ours("")), of_testing + usize::from(is_ours("7testing")))
    });
    assert!(all > 10, "{} has {all} symbols of the runtime", program.display());
    of_testing
}

fn run(how: &str) -> Output {
    Command::new(shipped()).arg(how).output().expect("the fixture starts")
}

#[test]
fn a_stripped_binary_carries_every_record_and_its_build_id() {
    let bytes = std::fs::read(shipped()).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    assert!(file.symbols().next().is_none(), "it is stripped");
    let section = if cfg!(target_vendor = "apple") { "__critproc" } else { "critproc" };
    let section = file.section_by_name(section).expect("the section is there");
    let mut records = wire::decode_section(section.data().unwrap()).unwrap();
    let id =
        |record: &Record| record.declaration.common().map(|common| common.id.clone()).unwrap_or_default();
    records.sort_by_key(id);
    assert_eq!(Vec::from_iter(records.iter().map(id)), ["ends_the_program", "last_words", "never_called"]);

    let Record { declaration: Declaration::Process(process), place } = &records[0] else {
        panic!("{:?}", records[0])
    };
    assert_eq!((process.version.as_str(), process.sla.as_millis()), ("3.1.4", 250));
    assert_eq!(
        (process.criticality, process.objective.to_string().as_str()),
        (Criticality::Critical, "99.95")
    );
    assert_eq!(
        (process.owner.as_deref(), process.runbook.as_deref()),
        (Some("fixtures"), Some("docs/the-end.md"))
    );
    let common = &process.common;
    assert_eq!(
        (common.name.as_str(), common.description.as_str()),
        ("The end", "Ends the program in one of many ways.")
    );
    assert_eq!(
        (place.handler.as_str(), common.rejects.as_slice()),
        ("shipped::end", &["std::fmt::Error".to_owned()][..])
    );
    assert!(place.file.ends_with("main.rs") && place.line > 0, "{}:{}", place.file, place.line);
    assert_eq!(common.depends_on, ["the_system"]);
    let sources: Vec<_> = common.context.iter().map(|key| (key.name.as_str(), key.source)).collect();
    assert_eq!(sources, [("how", ContextSource::Entry), ("exit_code", ContextSource::Later)]);

    if cfg!(target_os = "linux") {
        assert!(file.build_id().unwrap().is_some(), "the build id is there");
    }
}

#[test]
fn a_run_that_exits_the_program_exits_it() {
    let output = run("exit");
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stdout.is_empty());
}

#[test]
fn under_abort_a_panic_aborts_as_it_would_without_the_attribute() {
    let output = run("panic");
    assert!(!output.status.success());
    #[cfg(unix)]
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(6), "SIGABRT");
    assert!(String::from_utf8_lossy(&output.stderr).contains("on demand"));
}

#[test]
fn a_run_that_returns_is_counted_in_the_shipped_binary_too() {
    let output = run("return");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "true 1\n");
}

#[test]
fn nothing_of_the_harness_is_in_a_program_without_it() {
    process_runtime::testing::observe_call(|| ()).run().into_value();
    let own = std::env::current_exe().expect("this is a program");
    assert!(of_the_harness(&own) > 0, "one that has it shows it");
    assert_eq!(of_the_harness(&build("dev")), 0);
}
