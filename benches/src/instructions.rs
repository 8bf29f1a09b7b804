//! Counts the instructions of a run with callgrind, which counts only inside the burst on the caller's thread.
//! The result is the difference between bursts of 2N and of N runs, divided by N, so that one-time work is not
//! counted.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child;
use crate::scenarios::{self, SCENARIOS, Scenario};
use crate::workload::Shape;

/// The subcommand of the process that callgrind runs.
pub(crate) const SUBCOMMAND: &str = "counted-child";

const RUNS: u32 = 200;

/// Returns the instructions of a run for every row, one figure for each shape of [`Shape::TABLED`]. Returns no
/// rows if valgrind is not installed.
pub(crate) fn all(scratch: &Path) -> HashMap<&'static str, [f64; 3]> {
    let row = |scenario: &'static Scenario| {
        eprintln!("counting instructions of {}", scenario.key);
        Some((scenario.key, of(scenario, scratch)?))
    };
    SCENARIOS.iter().map_while(row).collect()
}

fn of(scenario: &Scenario, scratch: &Path) -> Option<[f64; 3]> {
    let directory = scratch.join("callgrind").join(scenario.key.replace('/', "-"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("target is writable");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=counted_burst", "--dump-after=counted_burst"])
        .arg(format!("--callgrind-out-file={}", directory.join("out").display()))
        .arg(child::this_program().get_program())
        .args([SUBCOMMAND, scenario.key])
        .stderr(Stdio::null())
        .status()
        .ok()?;
    assert!(status.success(), "{} ended under callgrind with {status}", scenario.key);

    // Callgrind numbers its dumps in the order of the bursts: N, 2N, N, 2N, …
    let collected = |dump: usize| collected(&directory.join(format!("out.{dump}")));
    Some([0, 1, 2].map(|shape| {
        let (once, twice) = (collected(2 * shape + 1), collected(2 * shape + 2));
        (twice - once) / f64::from(RUNS)
    }))
}

/// Runs the bursts in the child process, under callgrind.
pub(crate) fn serve(key: &str) {
    let scenario = scenarios::named(key).expect("the driver names a row of the table");
    let attachment = scenario.attached.attach();
    for shape in Shape::TABLED {
        (scenario.subject.burst)(shape, RUNS);
        attachment.drain();
        for runs in [RUNS, 2 * RUNS] {
            counted_burst(scenario, shape, runs);
            attachment.drain();
        }
    }
}

/// Runs one burst. Callgrind finds this function by its name and counts only inside it.
// SAFETY: no other symbol of the program has this name.
#[unsafe(no_mangle)]
#[inline(never)]
fn counted_burst(scenario: &Scenario, shape: Shape, runs: u32) {
    (scenario.subject.burst)(shape, runs);
}

fn collected(dump: &Path) -> f64 {
    let text = fs::read_to_string(dump).expect("callgrind dumped after the burst");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|total| total.trim().parse().ok()).expect("a dump has its total")
}
