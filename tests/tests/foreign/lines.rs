//! The line of a failure on standard error. It is logfmt, which a parser reads back whatever the values contain.

use std::collections::BTreeMap;
use std::fmt;

use process_runtime::context::Scope;
use process_runtime::{Install, Limits, critical_process};
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
fn a_failure_after_the_installation_has_stopped_still_leaves_its_line() {
    let lines = isolated(|| {
        lined("before").unwrap_err();
        Install::new().sink(Quiet).start().stop();
        lined("after").unwrap_err();
    });
    let Some(lines) = lines else { return };
    assert!(lines.contains("note=after") && !lines.contains("note=before"), "{lines}");
}

#[test]
fn a_line_that_is_too_long_is_still_read_back() {
    let lines = isolated(|| {
        let mut limits = Limits::default();
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

#[critical_process(id = "crowded", version = "1.0.0", sla = "10s", context(a = text, b = text, c = text))]
fn crowded(text: &str, error: &str) -> Result<(), Text> {
    Err(Text(error.to_owned()))
}

/// Calls `f` with these limits.
fn within(limits: Limits, f: impl FnOnce()) {
    let installation = Install::new().limits(limits).sink(Quiet).start();
    f();
    installation.stop();
}

/// Returns the fields of each line of a process, and the number of bytes of the line.
fn lines_of(process: &str, lines: &str) -> Vec<(BTreeMap<String, String>, usize)> {
    let lines = lines.lines().filter(|line| line.contains(&format!("process={process} ")));
    lines.map(|line| (parse(line), line.len())).collect()
}

#[test]
fn the_values_of_a_customer_leave_room_for_the_error() {
    let text = "\u{1}".repeat(1 << 10);
    let Some(lines) = isolated(|| within(Limits::default(), || drop(crowded(&text, "no card")))) else {
        return;
    };
    let [(fields, bytes)] = &lines_of("crowded", &lines)[..] else { panic!("{lines}") };
    assert!(*bytes <= 16 << 10 && *bytes > 15 << 10, "{bytes}");
    assert_eq!(fields["error"], "no card");
    for key in ["a", "b", "c"] {
        assert!(fields[key].starts_with("\u{1}\u{1}") && fields[key].ends_with(" bytes]"), "{key}");
        let kept = fields[key].bytes().filter(|byte| *byte == 1).count();
        assert!(fields[key].ends_with(&format!("…[+{} bytes]", 1024 - kept)), "{key}: {kept}");
    }
}

#[test]
fn a_long_error_leaves_room_for_the_values() {
    let error = "\u{1}".repeat(8 << 10);
    let Some(lines) = isolated(|| within(Limits::default(), || drop(crowded("short", &error)))) else {
        return;
    };
    let [(fields, bytes)] = &lines_of("crowded", &lines)[..] else { panic!("{lines}") };
    assert!(*bytes <= 16 << 10, "{bytes}");
    assert!(["a", "b", "c"].iter().all(|key| fields[*key] == "short"));
    assert!(fields["error"].starts_with('\u{1}') && fields["error"].ends_with(" bytes]"));
}

#[test]
fn values_that_find_no_room_are_counted_and_the_error_stays() {
    let lines = isolated(|| {
        within(Limits::default(), || {
            let mut scope = Scope::new();
            for number in 0..400 {
                let name: &'static str = Box::leak(format!("name_{number}").into_boxed_str());
                scope = scope.set(name, "x".repeat(1 << 10));
            }
            let _ = scope.run(|| crowded("short", "no card"));
        })
    });
    let Some(lines) = lines else { return };
    let [(fields, bytes)] = &lines_of("crowded", &lines)[..] else { panic!("{lines}") };
    assert!(*bytes <= 16 << 10, "{bytes}");
    assert_eq!(fields["error"], "no card");
    let omitted: usize = fields["omitted"].parse().unwrap();
    let named =
        fields.keys().filter(|key| ["a", "b", "c"].contains(&key.as_str()) || key.starts_with("name_"));
    assert_eq!(named.count() + omitted, 403);
    assert!(omitted > 100, "{omitted}");
}

#[test]
fn every_name_is_a_key_of_its_own() {
    let lines = isolated(|| {
        within(Limits::default(), || {
            let long: &'static str = Box::leak("k".repeat(10_000).into_boxed_str());
            let scope =
                Scope::new().set("user id", 7).set("user_id", 8).set("level", 1).set("context.level", 2);
            let scope = scope.set("", 3).set("a=\"b\n", 4).set("error", 5).set(long, 6);
            let _ = scope.run(|| crowded("short", "no card"));
        })
    });
    let Some(lines) = lines else { return };
    // `parse` fails if a key occurs twice.
    let [(fields, _)] = &lines_of("crowded", &lines)[..] else { panic!("{lines}") };
    let field = |name: &str| fields[name].as_str();
    assert_eq!((field("level"), field("error")), ("ERROR", "no card"));
    assert_eq!(
        (field("context.level"), field("context.context.level"), field("context.error")),
        ("1", "2", "5")
    );
    let mut ids = [field("user_id"), field("user_id_")];
    ids.sort_unstable();
    assert_eq!((ids, field("_"), field("a__b_")), (["7", "8"], "3", "4"));
    assert!(fields.keys().all(|key| key.len() <= 300), "{fields:?}");
}

#[test]
fn the_limits_of_a_line_and_of_a_chain_can_be_changed() {
    let lines = isolated(|| {
        let mut limits = Limits::default();
        (limits.line, limits.chain_text, limits.chain_links) = (400, 100, 3);
        within(limits, || ["x", &"x".repeat(1000)].iter().for_each(|text| drop(chained(text))));
    });
    let Some(lines) = lines else { return };
    let [(short, _), (long, bytes)] = &lines_of("chained", &lines)[..] else { panic!("{lines}") };
    assert_eq!(short["error"], "link 9: link 8: link 7");
    assert!(*bytes <= 400 && long["text"].ends_with(" bytes]"), "{bytes}: {long:?}");
    assert_eq!(long["error"], short["error"]);
}

#[test]
fn the_text_of_a_chain_is_cut_at_its_limit() {
    let lines = isolated(|| {
        let mut limits = Limits::default();
        limits.chain_text = 20;
        within(limits, || drop(chained("x")));
    });
    let Some(lines) = lines else { return };
    let [(fields, _)] = &lines_of("chained", &lines)[..] else { panic!("{lines}") };
    assert_eq!(fields["error"], "link 9: link 8: link…[+1 bytes]");
}

/// An error with this many sources.
#[derive(Debug)]
struct Link(u32, Option<Box<Link>>);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

impl std::error::Error for Link {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|link| link as _)
    }
}

#[critical_process(id = "chained", version = "1.0.0", sla = "10s", context(text))]
fn chained(text: &str) -> Result<(), Link> {
    let _ = text;
    Err((0..10).fold(None, |inner, number| Some(Link(number, inner.map(Box::new)))).unwrap())
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
