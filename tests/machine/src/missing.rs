//! Skips tests that need a program which is not installed. A skipped test is reported on the terminal. With
//! `PROCESS_REAL_PARTS=required`, as in CI, such a test fails instead.

use std::io::Write;
use std::process::{Command, Stdio};

/// The variable with which CI forbids skipped tests.
const VARIABLE: &str = "PROCESS_REAL_PARTS";

/// Reports on the terminal that the calling test is skipped, and why. The test must then return.
///
/// # Panics
/// If `PROCESS_REAL_PARTS` is `required`.
pub fn skip(reason: &str) {
    let is_required = std::env::var(VARIABLE).is_ok_and(|parts| parts == "required");
    let thread = std::thread::current();
    // libtest names the thread after the test, except with `--test-threads=1`.
    let test = thread.name().filter(|name| *name != "main").unwrap_or("a test");
    assert!(!is_required, "{test} cannot be skipped with {VARIABLE}=required: {reason}");
    // The print macros are not used, because libtest captures their output and hides it if the test passes.
    let report = format!("SKIPPED {test}: {reason}\n");
    std::io::stderr().write_all(report.as_bytes()).expect("standard error is open");
}

/// Returns whether a program is missing. If so, reports the calling test as skipped. The program must support
/// `--version`.
pub fn is_missing(program: &str, install: &str) -> bool {
    is_absent(Command::new(program).arg("--version"), &format!("missing program {program} ({install})"))
}

/// Returns whether a Python module is missing. If so, reports the calling test as skipped.
pub fn is_module_missing(module: &str, install: &str) -> bool {
    let import = format!("import {module}");
    is_absent(
        Command::new("python3").args(["-c", &import]),
        &format!("missing Python module {module} ({install})"),
    )
}

fn is_absent(probe: &mut Command, reason: &str) -> bool {
    let status = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_absent = !status.is_ok_and(|status| status.success());
    if is_absent {
        skip(reason);
    }
    is_absent
}
