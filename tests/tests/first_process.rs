//! The page `first-process.md`, done word for word in a fresh directory: its commands, its program, and what it says
//! that they print. Only where the crate comes from differs.

use std::fs;
use std::time::{Duration, Instant};

use process_tests::page::{User, blocks, lasting};

const PAGE: &str = include_str!("../../process-runtime/docs/first-process.md");

const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);

/// The lines that last. Sorted, since two streams are one here.
fn sorted(text: &str) -> Vec<String> {
    let mut lines = lasting(text);
    lines.sort();
    lines
}

#[test]
fn a_new_user_gets_from_cargo_new_to_a_trace_as_the_page_says() {
    let started = Instant::now();
    let mut user = User::new(env!("CARGO_TARGET_TMPDIR"));
    let (mut said, mut compared) = (String::new(), 0);
    for block in blocks(PAGE) {
        match block.language {
            "sh" => said = block.text.lines().map(|line| user.succeeds(line)).collect(),
            "rust,no_run" => fs::write(user.file("src/main.rs"), block.text).unwrap(),
            "text" => {
                assert_eq!(sorted(&said), sorted(block.text), "{said}");
                compared += 1;
            }
            other => panic!("nobody knows what to do with {other}"),
        }
    }
    assert_eq!(compared, 2);
    // What a machine does of it; a person types for a minute. Much of it was built for other tests, and nothing was
    // fetched.
    println!("from an empty directory to the trace in {:.1?}", started.elapsed());
    assert!(started.elapsed() < FIVE_MINUTES, "it took {:?}", started.elapsed());

    // Who looks elsewhere is told where nothing was.
    fs::remove_dir_all(user.file("telemetry")).unwrap();
    let nowhere = user.types("cargo run -- zeta");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("\"telemetry\""), "{nowhere:?}");

    // A usual mistake: telemetry is dropped at once.
    let program = fs::read_to_string(user.file("src/main.rs")).unwrap();
    fs::write(user.file("src/main.rs"), program.replace("let _telemetry =", "let _ =")).unwrap();
    let said = user.succeeds("cargo run");
    assert!(said.contains("keep the value that `telemetry::init` returns until the end of `main`"), "{said}");
}
