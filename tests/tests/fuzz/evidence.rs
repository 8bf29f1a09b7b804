//! Evidence, which tests write and the matrix reads.

use std::fs;
use std::path::Path;

use process_model::{Case, Outcome};
use process_runtime::testing::evidence::{self, Evidence, Proof};
use process_runtime::{critical_process, registry};
use tempfile::TempDir;

use crate::{Dice, inputs, is_plain_line};

#[critical_process(id = "pay_invoice", version = "1.0.0", sla = "1s")]
fn _pay() {}

/// The number of inputs in one file.
const TOGETHER: usize = 1_000;

const PARTS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "null",
    "true",
    "NaN",
    "1e999",
    "-1",
    "18446744073709551616",
    "{}",
    "[[[[",
    "\u{feff}",
    "\r",
    "\u{2028}",
    "\u{202e}",
    "\u{1b}[2J",
    "\0",
    "\"format\":2",
    "\"format\":1",
    "\"reason\":\"x\"",
    "\"verdict\":\"failed\"",
    "\"outcome\":\"sucess\"",
    "\"late\":1",
    "proven",
    "failed",
    "error(\\\"a\\\")",
    "dependency(\\\"\\\")",
    "é",
];

fn new(test: &str, proof: Proof) -> Evidence {
    let mut evidence = Evidence::new(registry::get("pay_invoice").unwrap(), Case::Happy, test, proof);
    evidence.outcome = Some(Outcome::Success);
    evidence
}

fn line(directory: &Path, evidence: &Evidence) -> String {
    fs::read_to_string(evidence.write_to(directory).unwrap()).unwrap()
}

#[test]
fn a_damaged_line_costs_no_other_line() {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let seeds = [
        line(directory.path(), &new("service::it", Proof::Proven)),
        line(directory.path(), &new("service::it", Proof::Failed("the test panicked: \"no\"".to_owned()))),
    ];
    let good = line(directory.path(), &new("good", Proof::Proven));
    let mut dice = Dice(15);
    for _ in 0..inputs().div_ceil(TOGETHER) {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (mut text, mut lines) = (Vec::new(), 0);
        for _ in 0..TOGETHER {
            let seed = dice.below(seeds.len());
            let mut damaged = dice.mutate(seeds[seed].trim_end(), PARTS);
            damaged.retain(|byte| *byte != b'\n');
            let shown = damaged.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&damaged);
            lines += usize::from(!shown.trim_ascii().is_empty());
            text.extend(damaged);
            text.push(b'\n');
            text.extend(good.bytes());
        }
        fs::write(directory.path().join("a.jsonl"), &text).unwrap();
        let gathered = evidence::read(directory.path());
        let (good, others): (Vec<_>, Vec<_>) = gathered.evidence.iter().partition(|one| one.test == "good");
        assert_eq!(good.len(), TOGETHER);
        let problems = gathered.problems.len() + gathered.omitted_problems;
        assert_eq!(others.len() + problems, lines, "{}", String::from_utf8_lossy(&text));
        assert!(gathered.problems.len() <= 100);
        for problem in &gathered.problems {
            assert!(problem.message.len() < 2_000 && is_plain_line(&problem.to_string()), "{problem}");
        }
        assert!(gathered.evidence.iter().all(|one| one.validate().is_ok()));
    }
}

/// Every how many reasons are written by the toolkit. Each takes a file of its own, so the others are put into its
/// place.
const WRITTEN: usize = 10;

#[test]
fn a_reason_is_read_as_it_was_written() {
    let mut dice = Dice(16);
    for _ in 0..inputs().div_ceil(TOGETHER) {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (mut text, mut written) = (String::new(), Vec::new());
        for number in 0..TOGETHER / WRITTEN {
            let own = directory.path().join("own");
            let at = 1_795_878_182;
            let reasons: Vec<String> = (0..WRITTEN)
                .map(|_| {
                    let length = dice.below(9);
                    (0..length).map(|_| dice.pick(PARTS)).collect()
                })
                .collect();
            let evidence = reasons.iter().map(|reason| {
                let mut one = new(&format!("it_{number:06}"), Proof::Failed(reason.clone()));
                // All lines are copies of the first one.
                one.at = at;
                one
            });
            let evidence: Vec<Evidence> = evidence.collect();
            let line = line(&own, &evidence[0]);
            let reason = |number: usize| serde_json::to_string(&reasons[number]).unwrap();
            text += &line;
            for other in 1..WRITTEN {
                let of = |number| format!(r#""reason":{}"#, reason(number));
                assert!(line.contains(&of(0)), "{line}");
                text += &line.replacen(&of(0), &of(other), 1);
            }
            written.extend(evidence);
        }
        fs::write(directory.path().join("a.jsonl"), text).unwrap();
        let read = evidence::read(directory.path());
        assert_eq!((read.evidence, read.problems), (written, Vec::new()));
    }
}
