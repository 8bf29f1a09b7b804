//! Real programs that judge what leaves the process. A test that needs one installs nothing: it says that it is
//! skipped where the program is absent, and CI requires it (`PROCESS_REAL_PARTS=required`).

use std::process::{Command, Stdio};

/// Says that a test is skipped, and why; where CI requires all of them, that is a failure.
pub fn is_skipped(reason: &str) {
    let required = std::env::var("PROCESS_REAL_PARTS").is_ok_and(|parts| parts == "required");
    assert!(!required, "{reason}, which CI requires");
    eprintln!("SKIPPED: {reason}");
}

/// Whether python3 cannot import a module.
pub fn is_missing(module: &str, package: &str) -> bool {
    let import =
        Command::new("python3").args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    is_told(
        import.is_ok_and(|status| status.success()),
        &format!("python3 module {module} (pip install {package})"),
    )
}

/// Whether a program, which tells its `--version`, is not installed.
pub fn is_program_missing(program: &str, package: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    is_told(version.is_ok_and(|status| status.success()), &format!("{program} (apt-get install {package})"))
}

/// Whether a part is missing, which is told.
fn is_told(is_there: bool, part: &str) -> bool {
    if !is_there {
        is_skipped(&format!("there is no {part}"));
    }
    !is_there
}

/// What our events have to say to Sentry's own normaliser: one JSON line each, and what it would change.
pub fn judged_by_sentry(events: &[String]) -> String {
    use std::io::Write;
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
