//! Compiles the cases of the attributes, which are the files `cases/<attribute>/<failure family>/<case>.rs`. The
//! cases in a family `pass` must compile and run. All other cases must fail to compile, with exactly the messages in
//! the `.stderr` file beside the case.
//!
//! `TRYBUILD=overwrite cargo test -p ui-tests` regenerates the `.stderr` files. Review each changed message in the
//! diff as a user would read it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_machine::missing::skip;
use trybuild::TestCases;

/// The compiler that wrote the `.stderr` files. Every minor version of the compiler changes some of its messages, so
/// the comparison is skipped with other versions.
const PINNED: &str = "rustc 1.95.";

/// The family of the cases that compile.
const PASS: &str = "pass";

#[test]
fn the_cases_that_pass_compile_and_run() {
    let cases = TestCases::new();
    for family in families().filter(|family| family.ends_with(PASS)) {
        cases.pass(family.join("*.rs"));
    }
}

#[test]
fn the_cases_that_fail_read_like_advice() {
    let compiler = compiler();
    if !compiler.starts_with(PINNED) {
        return skip(&format!("the expected diagnostics are those of {PINNED}x, and this is {compiler}"));
    }
    let cases = TestCases::new();
    for family in families().filter(|family| !family.ends_with(PASS)) {
        cases.compile_fail(family.join("*.rs"));
    }
}

/// Returns the compiler's name and version.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Returns the directories `cases/<attribute>/<failure family>`, sorted.
fn families() -> impl Iterator<Item = PathBuf> {
    directories(Path::new("cases")).into_iter().flat_map(|attribute| directories(&attribute))
}

fn directories(within: &Path) -> Vec<PathBuf> {
    let entries = within.read_dir().unwrap_or_else(|error| panic!("{}: {error}", within.display()));
    let paths = entries.map(|entry| entry.expect("an entry of a directory").path());
    let mut directories: Vec<_> = paths.filter(|path| path.is_dir()).collect();
    directories.sort();
    directories
}
