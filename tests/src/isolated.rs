//! A test in a process of its own, for what a process has only one of: the global subscriber, the global
//! meter provider, the watchdog, standard error. Such tests still run in parallel.

use std::process::Command;
use std::time::{Duration, Instant};

const VARIABLE: &str = "PROCESS_TESTS_ISOLATED";

/// Runs `body` in a child that runs nothing but the test `name`, which must be the caller. Returns what the
/// child wrote on standard error, or `None` in the child itself.
///
/// # Panics
/// If the child fails.
pub fn isolated(name: &str, body: impl FnOnce()) -> Option<String> {
    if std::env::var(VARIABLE).is_ok_and(|running| running == name) {
        body();
        return None;
    }
    let output = Command::new(std::env::current_exe().expect("a test knows its own binary"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, name)
        .output()
        .expect("the test's own binary starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "in a process of its own, {name} failed:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "{name} is not the name of this test:\n{stdout}");
    Some(stderr.into_owned())
}

/// Waits for what another thread does.
///
/// # Panics
/// If it has not happened within half a minute.
pub fn eventually(what: &str, mut has_happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !has_happened() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
