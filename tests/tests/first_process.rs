//! Follows the page `first-process.md` word for word in an empty directory, with its commands, its program and their
//! output. The only difference is that the crate comes from this workspace.

use std::fs;
use std::time::{Duration, Instant};

use process_tests::page::{User, blocks, lasting};

const PAGE: &str = include_str!("../../process-runtime/docs/first-process.md");

const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);

/// Returns the lines in sorted order, without the words that differ from run to run. The order must not matter,
/// because the lines come from two streams.
fn sorted(text: &str) -> Vec<String> {
    let mut lines = lasting(text);
    lines.sort();
    lines
}

#[test]
fn a_new_user_who_follows_the_page_gets_from_cargo_new_to_a_trace() {
    let started = Instant::now();
    let mut user = User::new(env!("CARGO_TARGET_TMPDIR"));
    let (mut output, mut compared) = (String::new(), 0);
    for block in blocks(PAGE) {
        match block.language {
            "sh" => output = block.text.lines().map(|line| user.succeeds(line)).collect(),
            "rust,no_run" => fs::write(user.file("src/main.rs"), block.text).unwrap(),
            "text" => {
                assert_eq!(sorted(&output), sorted(block.text), "{output}");
                compared += 1;
            }
            other => panic!("unknown language {other}"),
        }
    }
    assert_eq!(compared, 2);
    // The measured time does not include the minute that a person needs for typing. Much was already built for other
    // tests, and nothing was downloaded.
    println!("from an empty directory to the trace in {:.1?}", started.elapsed());
    assert!(started.elapsed() < FIVE_MINUTES, "it took {:?}", started.elapsed());

    // The error of a search in a directory that does not exist names the directory.
    fs::remove_dir_all(user.file("telemetry")).unwrap();
    let nowhere = user.types("cargo run -- zeta");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("\"telemetry\""), "{nowhere:?}");

    // It is a common mistake to drop the telemetry at once.
    let program = fs::read_to_string(user.file("src/main.rs")).unwrap();
    fs::write(user.file("src/main.rs"), program.replace("let _telemetry =", "let _ =")).unwrap();
    let output = user.succeeds("cargo run");
    assert!(
        output.contains("keep the value that `telemetry::init` returns until the end of `main`"),
        "{output}"
    );
    // The failure is not lost with the telemetry.
    assert!(output.contains("process=checkout outcome=failure"), "{output}");
}
