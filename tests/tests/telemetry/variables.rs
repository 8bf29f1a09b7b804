//! Environment variables with valid and invalid values.

use super::{Scratch, attributes, judge_spans, of, run, spans_in, text};

#[tokio::test]
async fn a_wrong_variable_is_reported_and_the_rest_works() {
    let scratch = Scratch::new();
    let output = run(
        &scratch,
        &[
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("SENTRY_DSN", "not a dsn"),
            ("RUST_LOG", "==="),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ],
    )
    .await;
    let lines = text(&output.stderr);
    for wrong in [
        "invalid OTEL_TRACES_EXPORTER `zipkin`",
        "invalid SENTRY_DSN",
        "invalid RUST_LOG",
        "invalid OTEL_BSP_MAX_QUEUE_SIZE `many`",
    ] {
        assert_eq!(lines.matches(wrong).count(), 1, "{wrong} in {lines}");
    }
    judge_spans(&spans_in(&scratch.lines("traces")));
}

#[tokio::test]
async fn a_disabled_sdk_sends_nothing() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_SDK_DISABLED", "true")]).await;
    assert!(!scratch.0.exists());
}

#[tokio::test]
async fn texts_are_as_long_as_the_variable_allows() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")]).await;
    let spans = spans_in(&scratch.lines("traces"));
    let says = attributes(of(&spans, "place_order.charge", "c-1"));
    assert_eq!((&*says["critical_process.stage"], &*says["critical_process.id"]), ("cha", "pla"));
    assert_eq!(says["critical_process.late"], "false", "it is not a text");
}

#[tokio::test]
async fn a_variable_means_what_opentelemetry_documents() {
    let scratch = Scratch::new();
    run(&scratch, &[("OTEL_TRACES_SAMPLER", "ALWAYS_OFF ")]).await;
    assert!(scratch.lines("traces").is_empty());
    let scratch = Scratch::new();
    let unset = [("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")];
    let lines = text(&run(&scratch, &unset).await.stderr);
    assert_eq!(lines.matches("the variable is ignored").count(), 2, "{lines}");
    judge_spans(&spans_in(&scratch.lines("traces")));
}
