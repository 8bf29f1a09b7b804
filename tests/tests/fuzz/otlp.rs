//! OTLP-JSON, which the timeline reads.

use std::fs;

use process_runtime::timeline::{self, Found, Query};
use tempfile::TempDir;

use crate::{Dice, inputs, is_plain_line};

/// The number of inputs in one file.
const TOGETHER: usize = 1_000;

const SPAN: &str = r#"{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"","name":"GET /pay","kind":2,"startTimeUnixNano":"1795878182120000000","endTimeUnixNano":"1795878182220000000","attributes":[{"key":"user_id","value":{"stringValue":"u-1"}},{"key":"critical_process.outcome","value":{"stringValue":"failure"}},{"key":"ratio","value":{"doubleValue":0.5}}],"events":[{"name":"exception"}],"status":{"code":2}}"#;

const PARTS: &[&str] = &[
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[",
    "{\"resource_logs\":[",
    "5\" tall",
    "\"5\" tall\"",
    "\0\0\0\0",
    "{\"Value\":{\"StringValue\":\"7\"}}",
    "{\"low\":7,\"high\":0,\"unsigned\":false}",
    "1795878182",
    "\"2026-11-28 16:03:02 +0100 CET\"",
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
    "\\udc00\\ud83d",
    "null",
    "true",
    "NaN",
    "-Infinity",
    "\"NaN\"",
    "1e999",
    "-1",
    "18446744073709551616",
    "{}",
    "[]",
    "[[[[[[",
    "{\"a\":",
    "\u{feff}",
    "\r",
    "\t",
    "\n",
    "{\n",
    "}\n",
    "\u{2028}",
    "\u{202e}",
    "\u{1b}[2J",
    "\u{9b}",
    "\0",
    "\"resourceSpans\":",
    "\"scope_spans\":[",
    "\"spans\":",
    "\"traceId\":",
    "\"spanId\":7,",
    "\"parent_span_id\":[1,2,-3]",
    "\"attributes\":{\"a\":1}",
    "\"key\":",
    "\"value\":",
    "\"startTimeUnixNano\":\"\"",
    "\"endTimeUnixNano\":[1,2]",
    "{\"low\":-1,\"high\":418135243}",
    "\"2026-11-28T15:03:02.12+01:00\"",
    "4/Bsf1GGtsvhVC8PlO5IIQ==",
    "\"status\":\"ERROR\"",
    "1795878182120",
    "user_id=7",
    "é",
    "🦀",
];

fn request(spans: &[&str]) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{}},"scopeSpans":[{{"scope":{{}},"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    )
}

/// A span of a trace of its own, which a test finds again.
fn good(number: usize) -> String {
    format!(
        r#"{{"traceId":"{number:032x}","spanId":"{number:016x}","name":"good","startTimeUnixNano":"1795878182120000000","attributes":[{{"key":"good","value":{{"boolValue":true}}}}]}}"#
    )
}

fn search(text: &[u8], context: Option<(&str, &str)>, most: usize) -> Found {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(directory.path().join("a.jsonl"), text).unwrap();
    let context = context.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    timeline::find(directory.path(), &Query { context, ..Query::default() }, most).unwrap()
}

fn assert_bounded(found: &Found) {
    assert!(found.skipped.len() <= 100);
    for skipped in &found.skipped {
        assert!(skipped.problem.len() < 200 && is_plain_line(&skipped.problem), "{:?}", skipped.problem);
    }
    for timeline in &found.timelines {
        let drawn = timeline.to_string();
        assert!(drawn.lines().all(is_plain_line), "{drawn}");
        let is_known =
            |line: &str| ["trace ", "failed at ", "! +", "  +"].iter().any(|start| line.starts_with(start));
        assert!(drawn.lines().all(is_known), "{drawn}");
        assert!(timeline.failed_at().is_none() || drawn.contains("\nfailed at "), "{drawn}");
    }
}

#[test]
fn a_damaged_request_costs_no_other_request() {
    let mut dice = Dice(12);
    let seeds = [request(&[SPAN]), request(&[SPAN, SPAN, SPAN]), SPAN.to_owned(), PARTS.concat()];
    for _ in 0..inputs().div_ceil(TOGETHER) {
        let mut text = Vec::new();
        for number in 1..=TOGETHER {
            let seed = dice.below(seeds.len());
            text.extend(dice.mutate(&seeds[seed], PARTS));
            // A crash can leave no line end behind a request that is cut.
            let end = if dice.below(4) == 0 { "" } else { "\n" };
            text.extend(format!("{end}{}\n", request(&[&good(number)])).bytes());
        }
        let found = search(&text, Some(("good", "true")), TOGETHER);
        assert_eq!(
            (found.timelines.len(), found.left_out),
            (TOGETHER, 0),
            "{}",
            String::from_utf8_lossy(&text)
        );
        assert_bounded(&found);
        assert_bounded(&search(&text, Some(("user_id", "u-1")), 20));
    }
}

/// Keys of a span, and values in their places.
const KEYS: &[&str] = &[
    "traceId",
    "trace_id",
    "spanId",
    "parentSpanId",
    "name",
    "kind",
    "startTimeUnixNano",
    "end_time_unix_nano",
    "attributes",
    "events",
    "status",
    "links",
    "unknown",
    "",
];
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "NaN",
    "-Infinity",
    "nothing",
    "@",
    "'text'",
    "\"\"",
    "\" \"",
    "\"\\ud800\"",
    "\"\\udc00\\ud83d\"",
    "\"\\x\"",
    "\"\u{202e}\"",
    "\"\t\"",
    "\"4/Bsf1GGtsvhVC8PlO5IIQ==\"",
    "\"2026-11-28T15:03:02Z\"",
    "\"yesterday\"",
    "1795878182120",
    "[]",
    "{}",
    "[null]",
    "[1,2,3]",
    "[[[[[[]]]]]]",
    "{\"a\":{\"b\":{}}}",
    "{\"low\":1,\"high\":2}",
    "{\"code\":2}",
    "{\"code\":[]}",
    "[{\"key\":7,\"value\":7}]",
    "[{\"key\":\"a\"}]",
    "[{\"key\":\"a\",\"value\":{\"intValue\":NaN}}]",
    "[{\"key\":\"a\",\"value\":[}]",
    "{\"stringValue\":\"a\"}",
    "\"a\" \"b\"",
    "7 7",
    "\"a\"b\"c\"",
    "[{\"name\":\"5\" tall\"}]",
    "[{\"name\":\"say \"hi\", ok\"}]",
    "[{\"name\":5\"}]",
    "{\"a\":\"{\"b\":1}\"}",
    "1795878182",
    "[1,2,\"a\"]",
    "\"0\"",
    "\"an id that is far longer than any id of OTLP, in which it has 16 or 32 digits\"",
];

#[test]
fn a_bad_value_costs_no_other_span() {
    let mut dice = Dice(13);
    for _ in 0..inputs().div_ceil(TOGETHER) {
        let mut text = String::new();
        for number in 0..TOGETHER {
            let mut bad = SPAN.trim_end_matches('}').to_owned() + "}";
            for _ in 0..=dice.below(3) {
                bad += &format!(",\"{}\":{}", dice.pick(KEYS), dice.pick(VALUES));
            }
            bad.push('}');
            text += &request(&[&good(2 * number + 1), &bad, &good(2 * number + 2)]);
            text.push('\n');
        }
        let found = search(text.as_bytes(), Some(("good", "true")), 2 * TOGETHER);
        assert_eq!((found.timelines.len(), found.left_out), (2 * TOGETHER, 0), "{text}");
        assert_bounded(&found);
    }
}

/// Returns the value of an attribute in the drawing of a span.
fn drawn(line: &str, key: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!(" {key}="))?;
    match rest.starts_with('"') {
        true => serde_json::Deserializer::from_str(rest).into_iter().next()?.ok(),
        false => rest.split(' ').next().map(str::to_owned),
    }
}

#[test]
fn a_value_is_found_as_it_was_written() {
    let mut dice = Dice(14);
    for _ in 0..inputs().div_ceil(TOGETHER) {
        let values: Vec<String> = (0..TOGETHER)
            .map(|_| {
                let length = 1 + dice.below(6);
                (0..length).map(|_| dice.pick(PARTS)).collect()
            })
            .collect();
        let spans: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(number, value)| {
                let value = serde_json::to_string(value).unwrap();
                let attribute = format!(r#"{{"key":"value","value":{{"stringValue":{value}}}}}"#);
                good(number + 1).replacen("[{", &format!("[{attribute},{{"), 1)
            })
            .collect();
        let lines: Vec<String> = spans
            .chunks(10)
            .map(|spans| request(&spans.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        let found = search(lines.join("\n").as_bytes(), Some(("good", "true")), TOGETHER);
        assert_eq!((found.timelines.len(), found.skipped.len()), (TOGETHER, 0), "{:?}", found.skipped);
        for timeline in &found.timelines {
            let number = usize::from_str_radix(timeline.trace_id(), 16).unwrap();
            let text = timeline.to_string();
            assert_eq!(drawn(text.trim_end(), "value").as_ref(), Some(&values[number - 1]), "{text}");
        }
        assert_bounded(&found);
        // The text in the query is compared with the value itself.
        let value = &values[dice.below(TOGETHER)];
        let same = values.iter().filter(|other| *other == value).count();
        let found = search(lines.join("\n").as_bytes(), Some(("value", value)), TOGETHER);
        assert_eq!(found.timelines.len(), same, "{value:?}");
    }
}
