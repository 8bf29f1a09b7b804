//! Runs Sentry's own normaliser through `tests/relay.py`, which needs the Python module `sentry_relay`.

use std::io::Write;
use std::process::{Command, Stdio};

/// Returns one line of JSON for each event. The line contains what the normaliser would change in the event.
///
/// # Panics
/// If the script cannot be run.
pub fn judged_by_sentry(events: &[String]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/relay.py");
    let mut judge = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let mut input = judge.stdin.take().expect("it is piped");
    input.write_all(lines.as_bytes()).expect("it reads");
    drop(input);
    let output = judge.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
