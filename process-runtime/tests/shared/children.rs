//! Child tests. A child test is started only by another test of the same binary, its parent. It is marked with
//! `#[ignore = "child of …"]`.

use std::process::Command;

/// Returns a command that runs one ignored test of this binary, in a process of its own.
///
/// # Panics
/// If the binary has no ignored test with this name. The test harness would succeed without running anything.
pub(crate) fn child(test: &str) -> Command {
    let own = || {
        let mut command = Command::new(std::env::current_exe().expect("a test knows its own binary"));
        command.args([test, "--exact", "--ignored"]);
        command
    };
    let listed = own().arg("--list").output().expect("the test's own binary starts").stdout;
    let listed = String::from_utf8_lossy(&listed);
    assert!(listed.contains(&format!("{test}: test\n")), "no ignored test has the name {test}:\n{listed}");
    let mut command = own();
    command.args(["--nocapture", "--test-threads=1"]);
    command
}
