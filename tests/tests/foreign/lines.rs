//! The line of a failure on standard error. It is logfmt, which a parser reads back whatever the values contain.

use std::collections::BTreeMap;
use std::fmt;

use process_runtime::{Install, critical_process};
use process_tests::isolated::isolated;

#[critical_process(
    id = "lined",
    version = "1.0.0",
    sla = "10s",
    context(note, level = 7, customer = "a, user_id=7")
)]
fn lined(note: &str) -> Result<(), Text> {
    Err(Text(note.to_owned()))
}

#[derive(Debug)]
struct Text(String);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a line of logfmt. A quoted value is a string of JSON.
fn parse(line: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').expect("a field has a value");
        let (value, after) = match after.starts_with('"') {
            true => {
                let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
                let value = values.next().unwrap().unwrap();
                (value, &after[values.byte_offset()..])
            }
            false => {
                let (value, _) = after.split_once(' ').unwrap_or((after, ""));
                (value.to_owned(), &after[value.len()..])
            }
        };
        assert!(fields.insert(key.to_owned(), value).is_none(), "{key} twice in {line}");
        rest = after.trim_start_matches(' ');
    }
    fields
}

const HOSTILE: &str = "a\" b=c\\n\r\n\u{2028}level=INFO \u{202e}\u{85}\u{1b}[31m\0 time=1970-01-01T00:00:00Z, outcome=success \u{feff}é";

#[test]
fn a_parser_reads_back_what_a_customer_wrote() {
    let lines = isolated(|| {
        let installation = Install::new().sink(Quiet).start();
        lined(HOSTILE).unwrap_err();
        installation.stop();
    });
    let Some(lines) = lines else { return };
    let lines: Vec<_> = lines.lines().filter(|line| line.starts_with("time=")).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    assert!(
        !line.contains(
            |character: char| character.is_control() || "\u{2028}\u{202e}\u{feff}".contains(character)
        )
    );
    let fields = parse(line);
    let field = |name: &str| fields[name].as_str();
    assert_eq!((field("level"), field("process"), field("outcome")), ("ERROR", "lined", "failure"));
    assert_eq!((field("error"), field("note"), field("customer")), (HOSTILE, HOSTILE, "a, user_id=7"));
    assert_eq!((field("context.level"), field("late")), ("7", "false"));
    assert!(field("time").ends_with('Z') && field("time").starts_with("20"));
}

#[test]
fn a_line_that_is_too_long_is_still_read_back() {
    let lines = isolated(|| {
        let mut limits = process_runtime::Limits::default();
        limits.context_value = 1 << 20;
        let installation = Install::new().limits(limits).sink(Quiet).start();
        lined(&"\u{202e}".repeat(20_000)).unwrap_err();
        installation.stop();
    });
    let Some(lines) = lines else { return };
    let line = lines.lines().find(|line| line.contains("process=lined")).expect(&lines);
    assert!(line.len() <= 16 << 10, "{}", line.len());
    let fields = parse(line);
    assert!(fields["note"].starts_with('\u{202e}') && fields["note"].ends_with(" bytes]"));
    assert_eq!(fields["customer"], "a, user_id=7");
}

/// A sink, so that the run has its context.
#[derive(Debug)]
struct Quiet;

impl process_runtime::observe::Sink for Quiet {}

/// An error whose `Display` fails in the middle.
#[derive(Debug)]
struct Failing;

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it")?;
        Err(fmt::Error)
    }
}

impl std::error::Error for Failing {}

#[critical_process(id = "half_printed", version = "1.0.0", sla = "10s")]
fn half_printed() -> Result<(), Failing> {
    Err(Failing)
}

#[test]
fn an_error_whose_display_fails_keeps_its_line() {
    let lines = isolated(|| {
        let installation = Install::new().start();
        half_printed().unwrap_err();
        installation.stop();
        let report = installation.report();
        assert!(!report.iter().any(|line| line.contains("panicked")), "{report:?}");
    });
    let Some(lines) = lines else { return };
    let line = lines.lines().find(|line| line.contains("process=half_printed")).expect(&lines);
    assert_eq!(parse(line)["error"], "half of it[its `Display` failed]");
}
