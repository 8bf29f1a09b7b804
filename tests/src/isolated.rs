//! Runs tests in a process of their own. A test needs this if its subject exists only once in a process: the global
//! subscriber, the global meter provider, the watchdog, standard error. Such tests still run in parallel.

use std::process::Command;
use std::time::{Duration, Instant};

const VARIABLE: &str = "PROCESS_TESTS_ISOLATED";

/// Runs `body` in a child process, in which only the calling test runs. Returns what the child wrote to standard
/// error, or `None` in the child itself.
///
/// The type of `body` identifies the calling test, so `body` must be a closure that is written in the test.
///
/// # Panics
/// If the child fails.
pub fn isolated<F: FnOnce()>(body: F) -> Option<String> {
    let name = test_of::<F>();
    if std::env::var(VARIABLE).is_ok_and(|running| running == name) {
        body();
        return None;
    }
    let output = own(name).env(VARIABLE, name).output().expect("the test's own binary starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "in a process of its own, {name} failed:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "{name} is not the name of this test:\n{stdout}");
    Some(stderr.into_owned())
}

/// Returns a command that runs one test of this binary in a process of its own. The test must have the attribute
/// `#[ignore = "child of …"]`.
///
/// # Panics
/// If the binary has no such test. The test harness would succeed without running anything.
pub fn child(test: &str) -> Command {
    let listed =
        own(test).args(["--ignored", "--list"]).output().expect("the test's own binary starts").stdout;
    let listed = String::from_utf8_lossy(&listed);
    assert!(listed.contains(&format!("{test}: test\n")), "no ignored test has the name {test}:\n{listed}");
    let mut command = own(test);
    command.arg("--ignored");
    command
}

/// Returns a command that runs one test of this binary.
fn own(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its own binary"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// Returns the name that libtest uses for the function that contains a closure. It is the name of the closure's type,
/// `binary::module::test::{{closure}}`, without the first and the last part.
fn test_of<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let name = path.split("::{{closure}}").next().and_then(|path| path.split_once("::"));
    name.expect("a closure of a test").1
}

/// Waits until another thread has done what `has_happened` checks.
///
/// # Panics
/// If `has_happened` does not return true within half a minute.
pub fn eventually(what: &str, mut has_happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !has_happened() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
