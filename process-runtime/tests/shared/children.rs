//! Child tests. A child test is started only by another test of the same binary, its parent. It is marked with
//! `#[ignore = "child of …"]`.

use std::process::Command;

/// Returns a command that runs one ignored test of this binary, in a process of its own.
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its own binary"));
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command
}
