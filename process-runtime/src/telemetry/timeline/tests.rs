//! Tests of the search and of the drawing.

use proptest::prelude::*;

use super::*;
use crate::observe::span::OUTCOME;

/// The begin of a day, in milliseconds since 1970.
const MIDNIGHT: u64 = 1_795_824_000_000;

/// Writes a time in milliseconds since midnight.
fn millis(at: u64) -> String {
    ((MIDNIGHT + at) * 1_000_000).to_string()
}

fn span(
    id: &str,
    parent: &str,
    name: &str,
    times: (u64, u64),
    attributes: &[(&str, &str)],
) -> serde_json::Value {
    let attributes: Vec<_> = attributes
        .iter()
        .map(|(key, value)| serde_json::json!({ "key": key, "value": { "stringValue": value } }))
        .collect();
    serde_json::json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": id, "parentSpanId": parent, "name": name,
        "startTimeUnixNano": millis(times.0), "endTimeUnixNano": millis(times.1), "attributes": attributes,
    })
}

/// A failed span of another service, which is not a run.
fn error_of_another(id: &str, parent: &str, times: (u64, u64)) -> serde_json::Value {
    let mut span = span(id, parent, "request", times, &[]);
    span["status"] = serde_json::json!({ "code": 2 });
    span
}

fn line(spans: &[serde_json::Value]) -> String {
    serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string()
}

fn found(text: impl AsRef<[u8]>, query: &Query) -> Found {
    let directory = tempfile(text);
    let found = find(&directory, query, 10).expect("readable");
    fs::remove_dir_all(directory).expect("removable");
    found
}

fn tempfile(text: impl AsRef<[u8]>) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("process-runtime-timeline-{}-{number}", std::process::id()));
    fs::create_dir_all(&path).expect("writable");
    fs::write(path.join("a.jsonl"), text).expect("writable");
    path
}

fn by_user(user: &str) -> Query {
    Query { context: vec![("user_id".into(), user.into())], ..Query::default() }
}

#[test]
fn the_innermost_failed_run_is_named_first() {
    let failed = |kind| [("user_id", "u-1"), (OUTCOME, "failure"), ("error.type", kind)];
    let text = line(&[
        span("b", "a", "pay.charge", (1_020, 1_200), &failed("Refused")),
        span("c", "a", "pay.receipt", (1_190, 1_230), &[(OUTCOME, "success")]),
        span("a", "", "pay", (1_000, 1_240), &failed("PayError")),
        error_of_another("d", "b", (1_030, 1_190)),
    ]);
    let found = found(&text, &by_user("u-1"));
    let timeline = &found.timelines[0];
    assert_eq!(timeline.failed_at(), Some(("pay.charge", "Refused".into())));
    let drawn = timeline.to_string();
    let expected = "\
trace 0af7651916cd43dd8448eb211c80319c, 00:00:01.000 UTC
failed at pay.charge: Refused
! +    0.0ns  pay             240.0ms  failure, PayError  user_id=u-1
! +   20.0ms    pay.charge    180.0ms  failure, Refused  user_id=u-1
! +   30.0ms      request     160.0ms  error
  +  190.0ms    pay.receipt    40.0ms  success
";
    assert_eq!(drawn, expected);
}

/// A log record of the span `span`.
fn record(span: &str, at: u64, severity: &str, body: &str) -> serde_json::Value {
    serde_json::json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": span, "severityText": severity,
        "timeUnixNano": millis(at), "body": { "stringValue": body },
    })
}

#[test]
fn log_records_are_drawn_below_their_span_in_the_order_of_time() {
    let spans = line(&[
        span("a", "", "pay", (1_000, 1_240), &[("user_id", "u-1")]),
        span("b", "a", "pay.charge", (1_020, 1_200), &[]),
        span("c", "b", "request", (1_030, 1_100), &[]),
        span("d", "a", "pay.receipt", (1_210, 1_230), &[]),
    ]);
    let records = [
        record("a", 1_205, "WARN", "between\nboth"),
        record("b", 1_150, "ERROR", "after the request"),
        record("b", 1_025, "INFO", "before it"),
        record("a", 1_235, "WARN", &"x".repeat(1000)),
        record("e", 1_240, "WARN", "of a span that is not written yet"),
        serde_json::json!({ "body": { "stringValue": "of no trace" } }),
    ];
    let logs =
        serde_json::json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] }).to_string();
    let found = found(format!("{logs}\n{spans}\n"), &by_user("u-1"));
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
    let drawn = found.timelines[0].to_string();
    let expected = format!(
        "\
trace 0af7651916cd43dd8448eb211c80319c, 00:00:01.000 UTC
  +    0.0ns  pay             240.0ms  user_id=u-1
  +   20.0ms    pay.charge    180.0ms  
  +   25.0ms      INFO before it
  +   30.0ms      request      70.0ms  
  +  150.0ms      ERROR after the request
  +  205.0ms    \"WARN between\\nboth\"
  +  210.0ms    pay.receipt    20.0ms  
  +  235.0ms    WARN {}…[+805 bytes]
  +  240.0ms  WARN of a span that is not written yet
",
        "x".repeat(195)
    );
    assert_eq!(drawn, expected);
    // Records do not change whether a trace is complete.
    assert!(found.timelines[0].is_complete());
}

#[test]
fn the_log_records_of_a_trace_are_limited() {
    let many: Vec<_> = (0..10_005).map(|at| record("a", at, "WARN", "again")).collect();
    let logs = serde_json::json!({ "scopeLogs": [{ "logRecords": many }] }).to_string();
    let spans = line(&[span("a", "", "pay", (0, 90), &[("user_id", "u-1")])]);
    let found = found(format!("{spans}\n{logs}\n"), &by_user("u-1"));
    assert_eq!((found.records_left_out, found.spans_left_out, &found.skipped[..]), (5, 0, &[][..]));
    assert_eq!(found.timelines[0].to_string().matches("WARN again").count(), 10_000);
}

const CALL: (&str, &str) = ("critical_process.dependency", "orders_db");

/// Returns the place of the failure, which the drawing names in its second line.
fn failed_at(spans: &[serde_json::Value]) -> String {
    let drawn = found(line(spans), &Query::default()).timelines[0].to_string();
    let place = drawn.lines().nth(1).and_then(|line| line.strip_prefix("failed at "));
    place.unwrap_or("nowhere").to_owned()
}

#[test]
fn a_failure_that_the_run_recovered_from_is_not_the_cause() {
    let failed = |kind| [(OUTCOME, "failure"), ("error.type", kind)];
    let ok = [(OUTCOME, "success")];
    let (pay, stage) = (|kind| span("a", "", "pay", (0, 90), &failed(kind)), "pay.ask");
    let asked = |kind| span("b", "a", stage, (10, 20), &failed(kind));
    let inner = span("d", "b", "pay.ask.deep", (11, 19), &failed("deep"));
    let kept = |times, attributes: &[_]| span("c", "a", "pay.keep", times, attributes);
    // The later error is the cause, although the earlier one was deeper.
    let later = kept((30, 40), &failed("database"));
    assert_eq!(failed_at(&[pay("database"), asked("timeout"), inner.clone(), later]), "pay.keep: database");
    let unnamed = kept((30, 40), &failed("Error"));
    assert_eq!(failed_at(&[pay("database"), asked("timeout"), inner.clone(), unnamed]), "pay.keep: Error");
    // A later stage succeeded. The process therefore recovered, and then failed for another reason.
    let went_on = [pay("other"), asked("timeout"), inner.clone(), kept((30, 40), &ok)];
    assert_eq!(failed_at(&went_on), "pay: other");
    // If the stage that succeeds overlaps with the failed stage, its success does not show a recovery. If the process
    // fails with the error of the failed stage, a later success does not show one either: that stage only cleaned up.
    let beside = [pay("other"), asked("timeout"), inner.clone(), kept((15, 40), &ok)];
    assert_eq!(failed_at(&beside), "pay.ask.deep: deep");
    let cleared = [pay("timeout"), asked("timeout"), kept((30, 40), &ok)];
    assert_eq!(failed_at(&cleared), "pay.ask: timeout");
    // A run that succeeds has recovered from every failure inside it.
    let degraded = span("a", "", "pay", (0, 90), &[(OUTCOME, "degraded")]);
    assert_eq!(failed_at(&[degraded.clone(), asked("timeout"), inner]), "nowhere");
    // But the run has not recovered from the failure of an inner run that ended later than the run itself.
    let spawned = span("b", "a", "mail", (10, 200), &failed("Refused"));
    assert_eq!(failed_at(&[degraded.clone(), spawned]), "mail: Refused");
    let soon = span("b", "a", "mail", (10, 91), &failed("Refused"));
    assert_eq!(failed_at(&[degraded, soon]), "mail: Refused");
}

#[test]
fn a_run_that_ends_a_little_after_the_failed_request_is_the_cause() {
    let failed = [(OUTCOME, "failure"), ("error.type", "declined")];
    let request = error_of_another("a", "", (0, 90));
    let ended = |end| failed_at(&[request.clone(), span("b", "a", "pay", (10, end), &failed)]);
    assert_eq!((ended(91), ended(92)), ("pay: declined".to_owned(), "request".to_owned()));
}

#[test]
fn a_call_to_a_dependency_is_drawn_as_one_and_named_beside_the_run_that_it_failed() {
    let failed = |kind| [("user_id", "u-1"), (OUTCOME, "failure"), ("error.type", kind)];
    let [context, outcome, kind] = failed("sqlx::Error");
    let late = [(OUTCOME, "failure"), ("critical_process.late", "true"), ("error.type", "database")];
    let spans = [
        span("a", "", "pay", (1_000, 1_240), &late),
        span("b", "a", "pay.keep", (1_010, 1_230), &failed("database")),
        span("c", "b", "pay.orders_db", (1_020, 1_025), &[CALL, (OUTCOME, "success")]),
        span("d", "b", "pay.orders_db", (1_030, 1_200), &[CALL, context, outcome, kind]),
    ];
    let drawn = found(line(&spans), &Query::default()).timelines[0].to_string();
    let expected = "\
trace 0af7651916cd43dd8448eb211c80319c, 00:00:01.000 UTC
failed at pay.keep: database, calling orders_db
! +    0.0ns  pay               240.0ms  failure, late, database
! +   10.0ms    pay.keep        220.0ms  failure, database  user_id=u-1
  +   20.0ms      → orders_db     5.0ms  success
! +   30.0ms      → orders_db   170.0ms  failure, sqlx::Error  user_id=u-1
";
    assert_eq!(drawn, expected);
}

#[test]
fn a_call_whose_span_is_closed_late_still_belongs_to_the_run() {
    let failed = |kind| [(OUTCOME, "failure"), ("error.type", kind)];
    let [outcome, kind] = failed("sqlx::Error");
    let call =
        |id, times, attributes: &[_]| span(id, "a", "pay.orders_db", times, &[&[CALL], attributes].concat());
    let pay = span("a", "", "pay", (0, 90), &failed("provider"));
    let refused = call("b", (10, 20), &[outcome, kind]);
    // The process continued after the refusal and stored its result.
    let kept = call("c", (30, 91), &[(OUTCOME, "success")]);
    assert_eq!(failed_at(&[pay.clone(), refused, kept]), "pay: provider");
    let broken = call("c", (30, 91), &[outcome, kind]);
    assert_eq!(failed_at(&[pay, broken]), "pay: provider, calling orders_db");
}

#[test]
fn a_trace_without_its_root_is_not_complete() {
    let (outer, inner) = (span("a", "", "pay", (1, 9), &[]), span("b", "a", "charge", (2, 8), &[]));
    let of = |spans: &[serde_json::Value]| found(line(spans), &Query::default()).timelines.remove(0);
    let whole = of(&[outer, inner.clone()]);
    assert!(whole.is_complete() && !of(&[inner]).is_complete());
    assert_eq!(whole.end_time(), UNIX_EPOCH + Duration::from_millis(MIDNIGHT + 9));
}

#[test]
fn other_users_other_times_and_other_traces_are_left_out() {
    let text = line(&[span("a", "", "pay", (1_000, 1_240), &[("user_id", "u-1")])]);
    assert_eq!(found(&text, &by_user("u-2")).timelines.len(), 0);
    let at = |millis| UNIX_EPOCH + Duration::from_millis(MIDNIGHT + millis);
    let around = |millis| Query { around: Some((at(millis), Duration::from_millis(10))), ..by_user("u-1") };
    assert_eq!(found(&text, &around(995)).timelines.len(), 1);
    assert_eq!(found(&text, &around(1_260)).timelines.len(), 0);
    let of = |id: &str| Query { trace_id: Some(id.into()), ..Query::default() };
    assert_eq!(found(&text, &of("0AF7651916CD43DD8448EB211C80319C")).timelines.len(), 1);
    assert_eq!(found(&text, &of("1af7651916cd43dd8448eb211c80319c")).timelines.len(), 0);
}

#[test]
fn lines_that_are_not_requests_are_skipped_and_listed() {
    let good = line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]);
    let text = format!("{}\nnot json\n\n{{\"resourceMetrics\":[]}}\n{good}\n", &good[..40]);
    let found = found(&text, &by_user("u-1"));
    assert_eq!(found.timelines.len(), 1);
    assert_eq!(found.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn long_names_and_deep_traces_are_drawn_in_a_limited_width() {
    let long = "x".repeat(70_000);
    let mut spans = vec![span("0", "", &long, (1, 2), &[("user_id", "u-1")])];
    for depth in 1..2000_u64 {
        spans.push(span(&depth.to_string(), &(depth - 1).to_string(), "deep", (1 + depth, 9000), &[]));
    }
    let drawn = found(line(&spans), &by_user("u-1")).timelines[0].to_string();
    let name = format!("{}…[+69744 bytes]", &long[..256]);
    assert!(drawn.contains(&name) && !drawn.contains(&long[..257]) && drawn.matches("deep").count() == 1999);
    assert!(drawn.len() < 600_000, "{}", drawn.len());
}

#[test]
fn a_successful_run_with_the_status_error_is_not_a_failure() {
    let mut one = span("a", "", "pay", (1, 2), &[("user_id", "u-1"), (OUTCOME, "success")]);
    one["status"] = serde_json::json!({ "code": 2 });
    assert_eq!(found(line(&[one]), &by_user("u-1")).timelines[0].failed_at(), None);
}

#[test]
fn a_file_that_was_removed_since_the_listing_is_not_an_error() {
    let directory = tempfile(line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]));
    #[cfg(unix)]
    std::os::unix::fs::symlink(directory.join("nowhere"), directory.join("gone.jsonl")).expect("a link");
    let found = find(&directory, &by_user("u-1"), 10).expect("readable");
    fs::remove_dir_all(directory).expect("removable");
    assert_eq!(found.timelines.len(), 1);
}

#[test]
fn directories_are_ignored() {
    let directory = tempfile(line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]));
    fs::create_dir(directory.join("folder.json")).expect("writable");
    let found = find(&directory, &by_user("u-1"), 10);
    fs::remove_dir_all(directory).expect("removable");
    assert_eq!(found.expect("readable").timelines.len(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn an_unreadable_file_is_named_with_its_cause() {
    let directory = tempfile("");
    // Reading this file from its start fails.
    let link = std::os::unix::fs::symlink("/proc/self/mem", directory.join("odd.jsonl"));
    link.expect("a link");
    let found = find(&directory, &Query::default(), 10);
    fs::remove_dir_all(directory).expect("removable");
    let error = found.expect_err("it cannot be read");
    assert!(error.to_string().ends_with("odd.jsonl`"), "{error}");
    let source = std::error::Error::source(&error).expect("there is a cause");
    assert!(!error.to_string().contains(&source.to_string()), "{error}");
}

#[test]
fn indented_requests_are_read_and_an_incomplete_one_affects_no_other() {
    let good = |id: &str| span(id, "", "pay", (1, 2), &[("user_id", "u-1")]);
    let indented = serde_json::to_string_pretty(
        &serde_json::from_str::<serde_json::Value>(&line(&[good("a")])).expect("JSON"),
    );
    let indented = indented.expect("JSON");
    let cut = &indented[..indented.len() / 2];
    let text = format!("{indented}\n{cut}\n{}\n{cut}\n{indented}\n{{\n", line(&[good("b")]));
    let found = found(&text, &by_user("u-1"));
    assert_eq!(found.timelines[0].spans.len(), 3);
    let lines = indented.lines().count();
    let cut = cut.lines().count();
    let skipped: Vec<_> = found.skipped.iter().map(|skipped| skipped.line).collect();
    assert_eq!(skipped, [lines + 1, lines + cut + 2, 2 * lines + 2 * cut + 2]);
}

#[test]
fn the_variations_of_other_exporters_are_read() {
    let text = [
        // A single resource, as OpenTelemetry's logging exporters for Java write it.
        r#"{"resource":{},"scopeSpans":[{"spans":[{"traceId":"AB","spanId":"1","name":"java"}]}]}"#,
        // Protobuf's JSON allows null for every field that is not set.
        r#"{"resourceSpans":[{"scopeSpans":null},{"scopeSpans":[{"spans":null}]}],"resourceLogs":null}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab","spanId":"2","parentSpanId":null,
                "name":null,"startTimeUnixNano":1.5e9,"endTimeUnixNano":null,"attributes":[{"key":"x","value":null}],
                "status":null}]}]}]}"#,
        // A span without ids.
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"orphan"}]}]}]}"#,
        r#"{"resourceMetrics":[]}"#,
        r#"{"level":"info","message":"a line of a log"}"#,
    ];
    let text = text.map(|line| line.replace('\n', "")).join("\n");
    let found = found(&text, &Query { trace_id: Some("aB".into()), ..Query::default() });
    assert_eq!(found.timelines[0].spans.len(), 2);
    assert_eq!(found.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn control_characters_in_names_are_replaced() {
    let text = line(&[span("a", "", "\u{1b}[2Jpay", (1, 2), &[("user_id", "u\u{7}-1")])]);
    let drawn = found(&text, &Query::default()).timelines[0].to_string();
    assert!(!drawn.contains(|character: char| character.is_control() && character != '\n'), "{drawn:?}");
    assert!(drawn.contains("[2Jpay"));
}

#[test]
fn a_cycle_of_parents_is_drawn() {
    let ring = [("a", "c"), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "e")];
    let spans = ring.map(|(id, parent)| span(id, parent, id, (1, 2), &[]));
    let found = found(line(&spans), &Query::default());
    let drawn: Vec<_> =
        found.timelines[0].spans.iter().map(|(depth, span)| (*depth, span.id.as_str())).collect();
    assert_eq!(drawn, [(0, "e"), (0, "a"), (1, "b"), (2, "c"), (3, "d")]);
}

#[test]
fn a_span_with_an_id_that_is_too_long_is_skipped_and_one_with_such_a_parent_has_an_unknown_parent() {
    let good = span("a", "", "pay", (1, 2), &[]);
    let mut lines = vec![line(std::slice::from_ref(&good))];
    for key in ["traceId", "spanId", "parentSpanId"] {
        let mut long = good.clone();
        long[key] = "f".repeat(65).into();
        lines.push(line(&[long]));
    }
    let found = found(lines.join("\n"), &Query::default());
    // A parent does not identify the span.
    assert_eq!((found.timelines.len(), found.timelines[0].spans.len()), (1, 2));
    assert!(!found.timelines[0].is_complete());
    let skipped: Vec<_> = found.skipped.iter().map(|skipped| skipped.line).collect();
    assert_eq!(skipped, [2, 3, 4]);
    assert!(found.skipped[0].problem.contains("65 bytes"), "{:?}", found.skipped[0]);
}

proptest! {
    #[test]
    fn no_line_causes_a_panic(text in "[\\[\\]{}\":,a-zA-Z0-9 \n]{0,200}") {
        let _ = found(&text, &Query::default());
    }

    /// A request is cut off or damaged at any place, and the other requests are still read.
    #[test]
    fn a_damaged_line_affects_no_other(at in any::<prop::sample::Index>(), byte in any::<u8>(), is_cut in any::<bool>()) {
        let line = line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]);
        let mut damaged = line.clone().into_bytes();
        let at = at.index(damaged.len());
        damaged[at] = byte;
        damaged.truncate(if is_cut { at } else { line.len() });
        let text = [line.as_bytes(), &damaged, line.as_bytes()].join(&b'\n');
        let found = found(text, &by_user("u-1"));
        let spans: usize = found.timelines.iter().map(|timeline| timeline.spans.len()).sum();
        prop_assert!((2..=3).contains(&spans), "{}", spans);
    }

    #[test]
    fn no_times_cause_a_panic(start in any::<u64>(), end in any::<u64>(), other in any::<u64>()) {
        let spans = [(start, end, "a", ""), (other, start, "b", "a")].map(|(start, end, id, parent)| {
            let mut span = span(id, parent, "x", (0, 0), &[]);
            span["startTimeUnixNano"] = start.into();
            span["endTimeUnixNano"] = end.to_string().into();
            span
        });
        for timeline in found(line(&spans), &Query::default()).timelines {
            let _ = timeline.to_string();
        }
    }
}
