//! `process.toml`, which people write.

use std::path::Path;

use process_model::Criticality;
use process_runtime::testing::Problem;
use process_runtime::testing::policy::{Policy, PolicyError};

use crate::{Dice, inputs, is_plain_line};

const POLICY: &str = "\
expected = [\"pay_invoice\", \"send_mail\"]

[contracts]
critical = [\"happy\", \"dependency\", 'error(\"card_declined\")'] # a comment
low = []

[[waiver]]
process = \"pay_invoice\"
case = 'dependency(\"sqlite\")'
owner = \"billing\"
reason = \"faults can be injected from the next release on\"
expires = 2027-01-31

[other]
key = { inline = [1, 2.5, nan, 1979-05-27T07:32:00Z] }
";

const PARTS: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "[[waiver]]\n",
    "[contracts]\n",
    "[[[[[[[[",
    "{",
    "}",
    "=",
    "\"",
    "\"\"\"",
    "'",
    "'''",
    "#",
    ".",
    ",",
    "\n",
    "\r\n",
    "\r",
    "\u{feff}",
    "\\",
    "\\u",
    "\\ud800",
    "\\UFFFFFFFF",
    "\0",
    "\u{202e}",
    "\u{1b}[2J",
    "\u{2028}",
    "nan",
    "inf",
    "1e999",
    "0x",
    "2027-02-30",
    "2027-01-31T00:00:00",
    "critical = ",
    "critcal = [\"happy\"]\n",
    "waivers = 1\n",
    "process = ",
    "case = 7\n",
    "\"happy\"",
    "\"edge\"",
    "\"error()\"",
    "expected = 1\n",
    "owner = \" \"\n",
    "a.b.c.d = 1\n",
    "é",
];

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, Path::new("process.toml"))
}

fn problems(text: &str) -> Vec<Problem> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(PolicyError::Invalid(problems)) => problems,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_damaged_file_is_read_or_each_problem_has_its_line() {
    let mut dice = Dice(17);
    for _ in 0..inputs() {
        let text = String::from_utf8_lossy(&dice.mutate(POLICY, PARTS)).into_owned();
        let problems = problems(&text);
        assert!(problems.len() <= 101, "{text}");
        for problem in problems {
            assert!(problem.message.len() < 2_000 && is_plain_line(&problem.to_string()), "{problem}");
            let lines = 1 + text.matches('\n').count();
            assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem}: {text}");
        }
    }
}

const CASES: [&str; 7] =
    ["happy", "timeout", "cancelled", "panic", "sla", "error(\"a b\")", "dependency(\"db\")"];
/// Values that no key of a waiver can have.
const BAD: &[&str] = &["7", "true", "[]", "{}", "\"\"", "\" \"", "1.5", "nan", "[[]]", "\"\\t\""];
const KEYS: [&str; 5] = ["process", "case", "owner", "reason", "expires"];

#[test]
fn what_is_written_is_read_and_a_bad_value_costs_itself() {
    let mut dice = Dice(18);
    for _ in 0..inputs() {
        let count = 1 + dice.below(3);
        let mut waivers: Vec<[String; 5]> = (0..count)
            .map(|number| {
                let text = |dice: &mut Dice| toml_text(&format!("x{}", dice.pick(PARTS)));
                let case = format!("'{}'", CASES[dice.below(CASES.len())]);
                let (owner, reason) = (text(&mut dice), text(&mut dice));
                [format!("\"process_{number}\""), case, owner, reason, "\"2027-01-31\"".to_owned()]
            })
            .collect();
        let write = |waivers: &[[String; 5]]| {
            let lines = |waiver: &[String; 5]| {
                let lines = KEYS.iter().zip(waiver).map(|(key, value)| format!("{key} = {value}\n"));
                format!("[[waiver]]\n{}", lines.collect::<String>())
            };
            format!("[contracts]\nhigh = [\"happy\"]\n{}", waivers.iter().map(lines).collect::<String>())
        };
        let text = write(&waivers);
        let policy = parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(policy.required(Criticality::High).len(), 1);
        let read = policy.waivers().iter().map(|waiver| {
            let [owner, reason] = [&waiver.owner, &waiver.reason].map(|text| toml_text(text));
            [
                format!("\"{}\"", waiver.process),
                format!("'{}'", waiver.case),
                owner,
                reason,
                format!("\"{}\"", waiver.expires),
            ]
        });
        let written = waivers.iter().cloned();
        assert_eq!(read.collect::<Vec<_>>(), written.collect::<Vec<_>>());

        let (waiver, key) = (dice.below(count), dice.below(KEYS.len()));
        waivers[waiver][key] = dice.pick(BAD).to_owned();
        let text = write(&waivers);
        let problems = problems(&text);
        let line = 2 + waiver * 6 + 2 + key;
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [Some(line)], "{text}");
    }
}

/// Writes a text as a string of TOML.
fn toml_text(text: &str) -> String {
    let escaped: String = text
        .trim()
        .chars()
        .map(|letter| match letter {
            '"' | '\\' => format!("\\{letter}"),
            letter if letter.is_control() => format!("\\u{:04X}", u32::from(letter)),
            letter => letter.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}
