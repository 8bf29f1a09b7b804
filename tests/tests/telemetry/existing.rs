//! A subscriber, a logger, a Sentry client or spans that the application already has.

use serde_json::Value;

use super::{Scratch, attributes, named, spans_in, text, under};

#[tokio::test]
async fn an_error_that_is_logged_makes_no_failure_of_a_run_that_succeeds() {
    let scratch = Scratch::new();
    under("an error is logged", &scratch, &[]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let says =
        |span: &&Value| (attributes(span)["critical_process.outcome"].clone(), span["status"]["code"] == 2);
    let ends: Vec<_> = named(&spans, "parse_order").iter().map(says).collect();
    assert_eq!(ends, [("success".to_owned(), false), ("failure".to_owned(), true)]);
}

#[tokio::test]
async fn a_subscriber_of_the_application_s_own_keeps_everything() {
    let scratch = Scratch::new();
    let output = under("a subscriber is set", &scratch, &[]).await;
    let printed = text(&output.stdout);
    for field in ["critical_process.id", "critical_process.version", "code.function.name", "text"] {
        assert!(printed.contains(field), "{field} in {printed}");
    }
    assert!(!printed.contains("traces:"), "{printed}");
    assert_eq!(text(&output.stderr).matches("a tracing subscriber is already set").count(), 1);
    assert!(scratch.lines("traces").is_empty());
}

#[tokio::test]
async fn a_logger_of_the_application_s_own_stays_and_traces_go_where_they_should() {
    let scratch = Scratch::new();
    let output = under("a logger is set", &scratch, &[]).await;
    assert!(text(&output.stdout).contains("traces: OTLP-JSON files"), "{output:?}");
    let lines = text(&output.stderr);
    assert_eq!(lines.matches("a logger of the `log` crate is already set").count(), 1, "{lines}");
    assert!(!lines.contains("a tracing subscriber is already set"), "{lines}");
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "parse_order").len(), 1);
}

#[tokio::test]
async fn records_of_log_are_events_with_their_own_target_and_level() {
    let filter = ("RUST_LOG", "warn,my_crate=debug");
    let output = under("records are logged", &Scratch::new(), &[filter]).await;
    let printed = text(&output.stdout);
    assert!(printed.contains("ERROR circumstances: a record that is an error"), "{printed}");
    assert!(printed.contains("DEBUG my_crate::module: a record for debugging"), "{printed}");
    assert!(!printed.contains("the filter leaves out"), "{printed}");
}

#[tokio::test]
async fn a_second_init_reports_what_it_sets_up_and_flushes_what_the_first_set_up() {
    let scratch = Scratch::new();
    let output = under("init is called twice", &scratch, &[]).await;
    let (printed, lines) = (text(&output.stdout), text(&output.stderr));
    assert!(printed.contains("3 []") && printed.contains("flushed true"), "{printed}");
    assert_eq!(lines.matches("`telemetry::init` was called before").count(), 1, "{lines}");
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "parse_order").len(), 2, "{lines}");
    // The subscriber of the first call stays, and the rest is set up again.
    assert!(printed.contains("third [\"metrics: "), "{printed}");
    assert_eq!(lines.matches("a tracing subscriber is already set").count(), 1, "{lines}");
}

#[tokio::test]
async fn of_several_threads_that_call_init_one_sets_it_up() {
    let scratch = Scratch::new();
    let output = under("init is called by several threads", &scratch, &[]).await;
    let (printed, lines) = (text(&output.stdout), text(&output.stderr));
    assert!(printed.lines().any(|line| line == "1"), "{printed}");
    assert_eq!(lines.matches("`telemetry::init` was called before").count(), 1, "{lines}");
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "parse_order").len(), 1, "{lines}");
}

#[tokio::test]
async fn spans_that_are_made_without_tracing_inherit_as_well() {
    let scratch = Scratch::new();
    under("spans are made without tracing", &scratch, &[]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let one = |name: &str| *named(&spans, name).first().unwrap_or_else(|| panic!("{name} in {spans:#?}"));
    let orders = |name: &str| {
        let says = one(name)["attributes"].as_array().cloned().unwrap_or_default();
        let orders = says.iter().filter(|pair| pair["key"] == "order");
        orders.map(|pair| pair["value"]["stringValue"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(orders("query"), ["o-1"]);
    assert_eq!(one("query")["parentSpanId"], one("native")["spanId"]);
    assert_eq!(orders("says itself"), ["another"]);
    assert!(orders("outside").is_empty());
}

#[tokio::test]
async fn a_sentry_client_of_the_application_s_own_stays() {
    let output =
        under("a Sentry client is set", &Scratch::new(), &[("SENTRY_DSN", "http://other@127.0.0.1:9/2")])
            .await;
    let printed = text(&output.stdout);
    assert!(printed.contains("//own:@127.0.0.1") && !printed.contains("errors: Sentry"), "{printed}");
    assert_eq!(text(&output.stderr).matches("a Sentry client is already set").count(), 1);
}

#[tokio::test]
async fn a_thread_that_ends_with_a_span_in_its_hands_ends_well() {
    let scratch = Scratch::new();
    under("a thread ends with a span", &scratch, &[]).await;
    assert_eq!(named(&spans_in(&scratch.lines("traces")), "held").len(), 1);
}

#[tokio::test]
async fn an_error_at_the_start_is_not_taken_for_a_guard_that_was_dropped_too_early() {
    let hint = |output: &std::process::Output| text(&output.stderr).matches("keep the value").count();
    let output = under("an error at the start", &Scratch::new(), &[]).await;
    assert_eq!(text(&output.stderr), "error: the port is taken\n");
    let output = under("telemetry is dropped too early", &Scratch::new(), &[]).await;
    assert_eq!(hint(&output), 1, "{output:?}");
}
