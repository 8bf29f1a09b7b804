//! Events as log records: which events, what a record contains, where records go, and what they cost.

use std::process::Output;

use axum::http::StatusCode;
use process_runtime::timeline::{self, Query};
use process_tests::collector::Collector;
use serde_json::Value;
use test_machine::program::unconfigured;

use super::{Scratch, all, attributes, ended, lost, named, spans_in, text};

/// Runs the program `logging`. It must succeed and end soon.
async fn log(what: &str, scratch: &Scratch, variables: &[(&str, &str)]) -> Output {
    let mut command = unconfigured(env!("CARGO_BIN_EXE_logging"));
    command.arg(&scratch.0).arg(what);
    ended(command, variables).await
}

/// Returns the log records in OTLP-JSON requests, each with the name of its scope.
fn records_in(requests: &[Value]) -> Vec<(String, Value)> {
    let resources = requests.iter().flat_map(|request| all(request, "resourceLogs"));
    let scopes = resources.flat_map(|resource| all(&resource, "scopeLogs"));
    let records = scopes.flat_map(|scope| {
        let name = scope["scope"]["name"].as_str().unwrap_or_default().to_owned();
        all(&scope, "logRecords").into_iter().map(move |record| (name.clone(), record))
    });
    records.collect()
}

fn body(record: &Value) -> &str {
    record["body"]["stringValue"].as_str().unwrap_or_default()
}

/// Returns the one record with this body.
fn the<'r>(records: &'r [(String, Value)], text: &str) -> &'r (String, Value) {
    let found: Vec<_> = records.iter().filter(|(_, record)| body(record) == text).collect();
    let [one] = found[..] else { panic!("{} of {text} in {records:#?}", found.len()) };
    one
}

fn bodies(records: &[(String, Value)]) -> Vec<&str> {
    let mut bodies: Vec<_> = records.iter().map(|(_, record)| body(record)).collect();
    bodies.sort_unstable();
    bodies
}

/// The events of `levels` that become records.
const RECORDED: [&str; 6] = [
    "a record of the crate log",
    "a warning",
    "an error",
    "an error in a span",
    "an info of the toolkit",
    "outside of every run",
];

/// Asserts that the events of `levels` are records, and not events of spans.
fn judge(logs: &[Value], traces: &[Value]) {
    let resource = attributes(&logs[0]["resourceLogs"][0]["resource"]);
    assert_eq!((&*resource["service.name"], &*resource["service.version"]), ("logging", "1.0.0"));
    let (records, spans) = (records_in(logs), spans_in(traces));
    let expected: Vec<_> = RECORDED.into_iter().filter(|body| !body.contains("crate log")).collect();
    let bodies: Vec<_> = bodies(&records).into_iter().filter(|body| !body.contains("crate log")).collect();
    assert_eq!(bodies, expected);

    let run = named(&spans, "levels")[0];
    let (scope, warning) = the(&records, "a warning");
    assert_eq!((&warning["traceId"], &warning["spanId"]), (&run["traceId"], &run["spanId"]));
    assert_eq!((&warning["severityNumber"], &warning["severityText"]), (&13.into(), &"WARN".into()));
    assert_eq!(scope, "logging");
    let says = attributes(warning);
    let fields = [("attempt", "2"), ("share", "0.5"), ("is_last", "false"), ("user", "u-7")];
    fields.iter().for_each(|(key, value)| assert_eq!(says[*key], *value));
    assert!(says["code.file.path"].ends_with("logging.rs") && says.contains_key("code.line.number"));
    assert!(warning["timeUnixNano"].as_str().is_some_and(|time| time.len() == 19), "{warning:#}");
    let (scope, error) = the(&records, "an error");
    assert_eq!(
        (&**scope, &error["severityNumber"], &error["severityText"]),
        ("driver", &17.into(), &"ERROR".into())
    );
    assert_eq!(the(&records, "an info of the toolkit").1["severityNumber"], 9);

    let plain = named(&spans, "plain")[0];
    assert_eq!(the(&records, "an error in a span").1["spanId"], plain["spanId"]);
    assert_eq!(plain["status"]["code"], 2, "as without log records");
    let outside = &the(&records, "outside of every run").1;
    assert_eq!(outside["traceId"].as_str().unwrap_or_default(), "");
    for span in &spans {
        assert!(all(span, "events").is_empty(), "an event is a log record or a span event: {span:#}");
    }
    assert!(!logs.iter().any(|line| line.to_string().contains("canary")), "the text of an error");
}

#[tokio::test]
async fn events_are_records_with_the_ids_of_their_span_over_every_protocol() {
    for protocol in ["http/protobuf", "http/json", "grpc"] {
        let (collector, place) = match protocol {
            "grpc" => Collector::over_grpc().await,
            _ => Collector::over_http().await,
        };
        let endpoint = format!("http://{place}");
        let scratch = Scratch::new();
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let output = log("levels", &scratch, &variables).await;
        assert!(!scratch.0.exists(), "no files where an exporter is configured: {output:?}");
        judge(&collector.logs(), &collector.traces());
    }
}

#[tokio::test]
async fn without_variables_records_are_in_files_and_the_timeline_shows_them_at_their_place() {
    let scratch = Scratch::new();
    log("levels", &scratch, &[]).await;
    let traces = scratch.lines("traces");
    judge(&scratch.lines("logs"), &traces);
    let trace = named(&spans_in(&traces), "levels")[0]["traceId"].as_str().unwrap().to_owned();
    let query = Query { trace_id: Some(trace), ..Query::default() };
    let found = timeline::find(&scratch.0, &query, 10).unwrap();
    assert!(found.skipped.is_empty() && found.records_left_out == 0, "{found:#?}");
    let drawn = found.timelines[0].to_string();
    let lines: Vec<_> = drawn.lines().skip(2).collect();
    let [run, info, warning, error] = lines[..] else { panic!("{drawn}") };
    assert!(run.starts_with("! ") && run.contains("levels") && run.contains("user_id=u-7"), "{drawn}");
    assert!(info.contains("    INFO an info of the toolkit"), "{drawn}");
    assert!(warning.contains("    WARN a warning"), "{drawn}");
    assert!(error.contains("    ERROR an error"), "{drawn}");
    assert_eq!(found.timelines[0].failed_at(), Some(("levels", "logging::Refused".to_owned())));
}

#[tokio::test]
async fn with_none_events_are_span_events_and_there_are_no_records() {
    let (collector, place) = Collector::over_http().await;
    let endpoint = format!("http://{place}");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_LOGS_EXPORTER", "none")];
    log("levels", &Scratch::new(), &variables).await;
    assert!(collector.logs().is_empty());
    let spans = spans_in(&collector.traces());
    let events = |name: &str| {
        let events = all(named(&spans, name)[0], "events");
        events.iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(events("levels"), ["a warning", "an error"]);
    assert_eq!(events("plain"), ["an error in a span"]);
    let scratch = Scratch::new();
    log("levels", &scratch, &[("OTEL_LOGS_EXPORTER", "none")]).await;
    assert!(scratch.lines("logs").is_empty() && !scratch.lines("traces").is_empty());
}

#[tokio::test]
async fn records_need_no_traces() {
    let (collector, place) = Collector::over_http().await;
    let endpoint = format!("http://{place}/v1/logs");
    let variables = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &*endpoint), ("OTEL_TRACES_EXPORTER", "none")];
    log("levels", &Scratch::new(), &variables).await;
    let records = records_in(&collector.logs());
    assert!(bodies(&records).contains(&"a warning"), "{records:#?}");
    assert!(collector.traces().is_empty());
}

#[tokio::test]
async fn a_late_run_has_one_record_in_its_trace() {
    let scratch = Scratch::new();
    log("a late run", &scratch, &[]).await;
    let (records, spans) = (records_in(&scratch.lines("logs")), spans_in(&scratch.lines("traces")));
    let (scope, late) = the(&records, "past its SLA");
    let run = named(&spans, "slow")[0];
    assert_eq!(
        (&**scope, &late["spanId"], &late["traceId"]),
        ("critical_process", &run["spanId"], &run["traceId"])
    );
    assert_eq!(attributes(late)["critical_process.id"], "slow");
    assert!(all(run, "events").is_empty());
}

#[tokio::test]
async fn the_text_of_an_error_leaves_a_run_only_with_error_text_everywhere() {
    let scratch = Scratch::new();
    log("errors", &scratch, &[]).await;
    let records = records_in(&scratch.lines("logs"));
    let says = |text: &str| attributes(&the(&records, text).1)["exception.message"].clone();
    assert_eq!(says("withheld"), "[withheld by error_text]");
    assert_eq!((&*says("everywhere"), &*says("outside")), (ERROR, ERROR));
}

/// Returns the events of all spans.
fn events_in(traces: &[Value]) -> Vec<Value> {
    spans_in(traces).iter().flat_map(|span| all(span, "events")).collect()
}

const ERROR: &str = "canary-error: an error occurred when formatting an argument";

#[tokio::test]
async fn the_policy_of_a_run_applies_in_its_spans_on_every_thread_and_to_their_fields() {
    let scratch = Scratch::new();
    log("errors on other threads", &scratch, &[]).await;
    let (records, traces) = (records_in(&scratch.lines("logs")), scratch.lines("traces"));
    for place in ["in the run", "in a span of the run", "in a span without a parent"] {
        let says = |policy: &str| {
            attributes(&the(&records, &format!("{policy} {place}")).1)["exception.message"].clone()
        };
        assert_eq!(
            (&*says("withheld"), &*says("everywhere")),
            ("[withheld by error_text]", ERROR),
            "{place}"
        );
    }
    let spans = spans_in(&traces);
    for name in ["inner", "late"] {
        let mut says: Vec<_> =
            named(&spans, name).iter().map(|span| attributes(span)["failure"].clone()).collect();
        says.sort();
        assert_eq!(says, ["[withheld by error_text]", ERROR], "{name}");
    }
    assert_eq!(attributes(named(&spans, "inner")[0])["text"], "short");
}

#[tokio::test]
async fn events_of_spans_follow_error_text_and_the_limits_too() {
    let scratch = Scratch::new();
    let none = ("OTEL_LOGS_EXPORTER", "none");
    log("errors on other threads", &scratch, &[none]).await;
    let events = events_in(&scratch.lines("traces"));
    let says = |name: &str| {
        let found: Vec<_> = events.iter().filter(|event| event["name"] == name).collect();
        let [one] = found[..] else { panic!("{} of {name} in {events:#?}", found.len()) };
        attributes(one)
    };
    assert_eq!(says("withheld in the run")["exception.message"], "[withheld by error_text]");
    let sent = says("everywhere in the run");
    assert_eq!((&*sent["exception.message"], &*sent["level"], &*sent["target"]), (ERROR, "WARN", "logging"));
    assert!(sent["code.file.path"].ends_with("logging.rs") && sent.contains_key("code.line.number"));

    let scratch = Scratch::new();
    log("endless values", &scratch, &[none]).await;
    let traces = scratch.lines("traces");
    assert!(traces[0].to_string().len() < 128 << 10, "{}", traces[0].to_string().len());
    let names: Vec<_> =
        events_in(&traces).iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names[0], "an endless chain");
    assert!(names[1].starts_with("and on") && names[1].ends_with(" bytes]"), "{}", names[1].len());
}

#[tokio::test]
async fn an_endless_chain_or_text_costs_its_limit_in_every_place() {
    let scratch = Scratch::new();
    let output = log("endless values", &scratch, &[]).await;
    let printed = text(&output.stdout);
    let lines: Vec<_> = printed.lines().filter(|line| line.contains("logging")).collect();
    let [chain, flood] = lines[..] else { panic!("{} lines", lines.len()) };
    assert!(chain.contains("an endless chain") && chain.contains("again: again: again"), "{chain}");
    assert!(chain.len() < 32 << 10 && flood.len() < 32 << 10, "{} and {}", chain.len(), flood.len());
    let spans = spans_in(&scratch.lines("traces"));
    let says = attributes(named(&spans, "endless")[0]);
    assert!(says["failure"].starts_with("again: again"), "{says:?}");
    for (key, value) in says {
        assert!(value.len() < 17 << 10, "{key}: {}", value.len());
    }
    assert_eq!(records_in(&scratch.lines("logs")).len(), 2);
}

#[tokio::test]
async fn a_value_adds_no_line_and_no_field_to_the_log() {
    let output = log("forged lines", &Scratch::new(), &[]).await;
    let printed = text(&output.stdout);
    let lines: Vec<_> = printed.lines().collect();
    let [event, record] = lines[..] else { panic!("{printed}") };
    assert!(!printed.contains(['\u{2028}', '\u{202e}', '\u{1b}']), "{printed:?}");
    let quoted = r#""a, user=7\nINFO forged: \u2028\u202e\u001b[31m""#;
    for field in ["text", "shown"] {
        assert!(event.contains(&format!(" {field}={quoted}")), "{field} in {event}");
    }
    assert!(event.contains(r"logging: one a, user=7\nINFO forged"), "{event}");
    assert!(record.contains("one two [31m: a record"), "{record}");
}

#[tokio::test]
async fn a_record_of_log_has_the_target_that_it_says() {
    let scratch = Scratch::new();
    log("targets", &scratch, &[("RUST_LOG", "off")]).await;
    let records = records_in(&scratch.lines("logs"));
    assert_eq!(bodies(&records), ["a record of the toolkit", "a warning of an application"]);
    assert_eq!(the(&records, "a record of the toolkit").0, "critical_process");
}

#[tokio::test]
async fn a_refusal_after_an_acceptance_is_an_ordinary_failure() {
    let (collector, place) = Collector::over_http_with_logs_once(StatusCode::NOT_FOUND).await;
    let endpoint = format!("http://{place}");
    let output =
        log("accepted and refused", &Scratch::new(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let lines = text(&output.stderr);
    assert!(!lines.contains("accepts no log records"), "{lines}");
    assert!(lines.contains("cannot send logs to") && lines.contains("404"), "{lines}");
    assert_eq!((collector.logs().len(), collector.refused()), (1, 2), "{lines}");
    assert!(events_in(&collector.traces()).is_empty());
    assert_eq!(lost(&collector.metrics(), "log_record"), 2);
}

#[tokio::test]
async fn without_traces_a_refusal_loses_events_and_counts_them() {
    let (collector, place) = Collector::over_http_without_logs(StatusCode::NOT_FOUND).await;
    let endpoint = format!("http://{place}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
    ];
    let lines = text(&log("refused", &Scratch::new(), &variables).await.stderr);
    assert!(lines.contains("from now on events are lost"), "{lines}");
    assert!(!lines.contains("added to spans"), "{lines}");
    assert_eq!(lost(&collector.metrics(), "log_record"), 2, "the first one, and the one after the refusal");
}

#[tokio::test]
async fn events_after_a_stop_are_counted_and_a_later_init_says_what_it_cannot_set_up() {
    let scratch = Scratch::new();
    let variables = [("OTEL_TRACES_SAMPLER", "bogus"), ("RUST_LOG", "off")];
    let output = log("it stops and starts again", &scratch, &variables).await;
    let (printed, lines) = (text(&output.stdout), text(&output.stderr));
    assert!(printed.starts_with("[\"metrics: "), "{printed}");
    assert_eq!(lines.matches("by an earlier call of `telemetry::init`").count(), 1, "{lines}");
    assert!(!lines.contains("queue"), "{lines}");
    assert_eq!(lines.matches("OTEL_TRACES_SAMPLER").count(), 1, "the SDK reports it too: {lines}");
    assert_eq!(lost(&scratch.lines("metrics"), "log_record"), 3000);
    assert_eq!(bodies(&records_in(&scratch.lines("logs"))), ["before"]);
}

/// Collectors that refuse log records, with what their report names.
async fn refusing(which: &str) -> (Collector, String, &'static str, &'static str) {
    let over_http = async |status| {
        let (collector, place) = Collector::over_http_without_logs(status).await;
        (collector, format!("http://{place}"))
    };
    match which {
        "grpc" => {
            let (collector, place) = Collector::over_grpc_without_logs().await;
            (collector, format!("http://{place}"), "grpc", "Unimplemented")
        }
        "404" => {
            let (collector, endpoint) = over_http(StatusCode::NOT_FOUND).await;
            (collector, endpoint, "http/protobuf", "404")
        }
        "405" => {
            let (collector, endpoint) = over_http(StatusCode::METHOD_NOT_ALLOWED).await;
            (collector, endpoint, "http/protobuf", "405")
        }
        _ => {
            let (collector, endpoint) = over_http(StatusCode::NOT_IMPLEMENTED).await;
            (collector, endpoint, "http/json", "501")
        }
    }
}

#[tokio::test]
async fn a_collector_that_refuses_records_costs_one_report_and_events_are_on_spans_again() {
    for which in ["404", "405", "501", "grpc"] {
        let (collector, endpoint, protocol, why) = refusing(which).await;
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ];
        let output = log("refused", &Scratch::new(), &variables).await;
        let lines = text(&output.stderr);
        assert_eq!(lines.lines().count(), 1, "{which}: {lines}");
        assert!(lines.contains("accepts no log records") && lines.contains(why), "{which}: {lines}");
        if which != "grpc" {
            assert_eq!(collector.refused(), 1, "{which}");
        }
        let spans = spans_in(&collector.traces());
        let (before, after) = (named(&spans, "before")[0], named(&spans, "after")[0]);
        assert_eq!((all(before, "events").len(), all(after, "events").len()), (0, 1), "{which}");
        assert_eq!(lost(&collector.metrics(), "log_record"), 1, "{which}");
        assert!(text(&output.stdout).trim().ends_with("flushed true"), "{which}: {output:?}");
    }
}

#[tokio::test]
async fn texts_of_a_record_are_cut_at_their_limits() {
    let scratch = Scratch::new();
    log("long texts", &scratch, &[]).await;
    let records = records_in(&scratch.lines("logs"));
    assert_eq!(records.len(), 2);
    let long =
        records.iter().map(|(_, record)| record).find(|record| body(record).contains("bytes]")).unwrap();
    assert!(body(long).len() < (16 << 10) + 32 && body(long).ends_with(" bytes]"), "{}", body(long).len());
    assert!(long.to_string().len() < 20 << 10, "{}", long.to_string().len());
    assert_eq!(attributes(long)["number"], "1");
    let says = attributes(&the(&records, "a long error").1);
    assert!(says["exception.message"].len() < (8 << 10) + 32 && says["exception.message"].contains("…[+"));
    let scratch = Scratch::new();
    let variables =
        [("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"), ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1")];
    log("levels", &scratch, &variables).await;
    let records = records_in(&scratch.lines("logs"));
    assert_eq!(attributes(&the(&records, "a warning").1).len(), 1);
    assert_eq!(attributes(&the(&records, "outside of every run").1)["code.file.path"].chars().count(), 3);
}

#[tokio::test]
async fn a_field_that_logs_or_panics_costs_itself() {
    let scratch = Scratch::new();
    log("hostile fields", &scratch, &[("RUST_LOG", "off")]).await;
    let records = records_in(&scratch.lines("logs"));
    assert_eq!(attributes(&the(&records, "it logs").1)["field"], "a field");
    assert!(attributes(&the(&records, "it panics").1)["field"].starts_with("half["));
    assert!(!bodies(&records).contains(&"made by a field"));
    assert!(lost(&scratch.lines("metrics"), "log_record") >= 1);
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
async fn a_flood_of_events_under_a_dead_collector_takes_a_bounded_memory_and_is_counted() {
    // The system accepts connections, and the test never reads from them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/logs", listener.local_addr().unwrap());
    let scratch = Scratch::new();
    let variables = [
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &*endpoint),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "65536"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("RUST_LOG", "off"),
    ];
    let output = log("a flood", &scratch, &variables).await;
    let printed = text(&output.stdout);
    let (bytes, events) = printed.trim().split_once(' ').expect("two numbers");
    let (bytes, events): (u64, u64) = (bytes.parse().unwrap(), events.parse().unwrap());
    eprintln!("{events} events took {} MiB", bytes >> 20);
    // 16 MiB in the queue, and a batch that is being sent.
    assert!(bytes < 64 << 20, "{} MiB", bytes >> 20);
    let lost = lost(&scratch.lines("metrics"), "log_record");
    assert!((events - 2000..=events).contains(&lost), "{lost} of {events}");
    let lines = text(&output.stderr);
    assert_eq!(lines.matches("the queue of log records is full").count(), 1, "{lines}");
}

#[tokio::test]
async fn an_export_makes_no_records_however_much_it_logs() {
    for protocol in ["http/protobuf", "grpc"] {
        let (collector, place) = match protocol {
            "grpc" => Collector::over_grpc().await,
            _ => Collector::over_http().await,
        };
        let endpoint = format!("http://{place}");
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_BLRP_SCHEDULE_DELAY", "1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "1"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "10"),
            ("RUST_LOG", "trace"),
        ];
        log("often", &Scratch::new(), &variables).await;
        assert_eq!(bodies(&records_in(&collector.logs())), ["again"; 20], "{protocol}");
    }
}
