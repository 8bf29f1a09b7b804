//! The text for Prometheus, with names that Prometheus refuses. What is served always parses.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, global};
use process_runtime::telemetry::{Telemetry, TelemetryBuilder};
use process_tests::isolated::{child, isolated};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use super::every_outcome;

fn telemetry() -> (Telemetry, Meter, TempDir) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let builder = TelemetryBuilder::new().service("exposed", "1.0.0").directory(directory.path());
    (builder.prometheus().init(), global::meter("hostile"), directory)
}

fn text(telemetry: &Telemetry) -> String {
    telemetry.prometheus().expect("it was asked for").text().expect("nothing prevents it")
}

/// Reads the text as strictly as any version of Prometheus does, and returns the series.
fn series(text: &str) -> BTreeSet<String> {
    let (mut types, mut all) = (BTreeSet::new(), BTreeSet::new());
    assert!(text.ends_with('\n') && !text.contains('\0'));
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').expect(line);
            let (name, _) = rest.split_once(' ').expect(line);
            assert!(["HELP", "TYPE"].contains(&kind) && is_name(name, ":"), "{line}");
            assert!(kind == "HELP" || types.insert(name.to_owned()), "a second type: {line}");
            continue;
        }
        let at = line.find(['{', ' ']).expect(line);
        let (name, rest) = line.split_at(at);
        assert!(is_name(name, ":"), "{line}");
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest),
            None => (BTreeSet::new(), rest),
        };
        value.trim_start().parse::<f64>().expect(line);
        assert!(all.insert(format!("{name} {labels:?}")), "twice: {line}");
    }
    all
}

/// Reads labels up to their closing brace. Returns them, and the rest.
fn labels(mut rest: &str) -> (BTreeSet<(&str, String)>, &str) {
    let (mut all, mut names) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let (name, value) = rest.split_once("=\"").expect(rest);
        assert!(is_name(name, "") && name != "__name__" && names.insert(name), "{name} in {rest}");
        let mut chars = value.char_indices();
        let mut text = String::new();
        let end = loop {
            match chars.next().expect("the value ends") {
                (_, '\\') => match chars.next().expect("something is escaped") {
                    (_, 'n') => text.push('\n'),
                    (_, at @ ('\\' | '"')) => text.push(at),
                    other => panic!("{other:?} is escaped in {rest}"),
                },
                (at, '"') => break at + 1,
                (_, at) => text.push(at),
            }
        };
        all.insert((name, text));
        rest = &value[end..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (all, rest.strip_prefix('}').expect(rest)),
        }
    }
}

fn is_name(name: &str, others: &str) -> bool {
    let is_valid = |at: char| at.is_ascii_alphanumeric() || at == '_' || others.contains(at);
    !name.is_empty() && !name.starts_with(|at: char| at.is_ascii_digit()) && name.chars().all(is_valid)
}

/// Returns what `promtool` reports about the text; `None` if it is not installed. It also reports matters of style,
/// such as a counter without a unit.
fn errors_of_promtool(text: &str) -> Option<String> {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().ok()?;
    let mut input = promtool.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = promtool.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if printed.contains("error while linting") { printed } else { String::new() })
}

#[test]
fn what_prometheus_refuses_is_mended_or_left_out_and_reported_once() {
    let output = child("exposition::serves_hostile_names")
        .env("OTEL_RESOURCE_ATTRIBUTES", "1st=x,=nameless,le=y,quantile=z,__name__=w,a.b=1,a-b=2,c:d=3")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("RUST_LOG", "off")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stdout));
    for name in ["1st", "le", "quantile", "__name__", "c:d"] {
        let report = format!("invalid label `{name}` for Prometheus");
        assert_eq!(printed.matches(&report).count(), 1, "{name}: {printed}");
    }
    for report in
        ["invalid metric `size_count` for Prometheus", "invalid metric `queue_length` for Prometheus"]
    {
        assert_eq!(printed.matches(report).count(), 1, "{printed}");
    }
}

#[test]
#[ignore = "child of what_prometheus_refuses_is_mended_or_left_out_and_reported_once"]
fn serves_hostile_names() {
    let (telemetry, meter, _directory) = telemetry();
    let histogram = meter.f64_histogram("size").build();
    let counter = meter.u64_counter("hostile").build();
    let hostile = |key: &'static str| [KeyValue::new(key, "a\"b\\c\nd\0e\u{2028}\r")];
    for key in
        ["", "1st", "le", "quantile", "__name__", "a b", "ключ", "exported_le", "otel_scope_name", "a:b"]
    {
        histogram.record(1.0, &hostile(key));
        counter.add(1, &hostile(key));
    }
    histogram.record(1.0, &[KeyValue::new("le", "1"), KeyValue::new("exported_le", "2")]);
    meter.u64_gauge("size.count").build().record(7, &[]);
    meter.u64_gauge("queue.length").build().record(7, &[]);
    meter.u64_gauge("queue_length").build().record(8, &[]);
    for _ in 0..2 {
        let text = text(&telemetry);
        let series = series(&text);
        assert!(text.contains("target_info{"), "{text}");
        assert!(
            text.contains("_1st=\"x\"") && text.contains("exported_le=\"y\"") && text.contains("a_b=\"2;1\"")
        );
        assert!(!text.contains("nameless"), "{text}");
        assert!(text.contains("exported_le=\"2;1\"") || text.contains("exported_le=\"1;2\""), "{text}");
        assert!(series.iter().any(|series| series.starts_with("critical_process_started_total ")));
        assert_eq!(errors_of_promtool(&text).unwrap_or_default(), "");
    }
}

#[test]
fn the_text_parses_whatever_attributes_the_application_has() {
    isolated(|| {
        let (telemetry, meter, _directory) = telemetry();
        std::panic::set_hook(Box::new(|_| ()));
        every_outcome();
        let key = prop_oneof![
            "\\PC{0,6}",
            "[ab_:.0-9\"\\\\\n]{0,4}",
            Just("le".to_owned()),
            Just("quantile".to_owned()),
            Just("__name__".to_owned()),
            Just("exported_le".to_owned()),
            any::<String>(),
        ];
        let value = prop_oneof![any::<String>(), "[\"\\\\\n\0,={}]{0,6}"];
        let attributes = prop::collection::vec((key, value), 0..5);
        let name = "[a-z][a-z._/-]{0,3}(count|sum|bucket|total|info)?";
        let cases = (attributes, name, 0..4, any::<f64>());
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(200) });
        runner
            .run(&cases, |(attributes, name, kind, value)| {
                let attributes: Vec<_> =
                    attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
                match kind {
                    0 => meter.u64_counter(name).build().add(1, &attributes),
                    1 => meter.f64_histogram(name).build().record(value, &attributes),
                    2 => meter.f64_gauge(name).build().record(value, &attributes),
                    _ => meter.i64_up_down_counter(name).build().add(-1, &attributes),
                }
                series(&text(&telemetry));
                Ok(())
            })
            .unwrap();
        assert_eq!(errors_of_promtool(&text(&telemetry)).unwrap_or_default(), "");
    });
}
