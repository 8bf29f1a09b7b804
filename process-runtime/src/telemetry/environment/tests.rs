//! Tests of whole environments. Tests of the variables of one file are in that file.

use super::*;

pub(super) fn read(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
    Environment::from_variables(Variables::new(variables))
}

#[test]
fn without_variables_telemetry_is_written_to_files_and_sentry_is_off() {
    let environment = read(&[]);
    assert_eq!((environment.traces, environment.metrics), (Destination::Files, Destination::Files));
    assert!(environment.sentry.is_none());
    assert!(environment.problems.is_empty());
}

#[test]
fn a_variable_that_is_not_utf8_is_reported_and_the_others_apply() {
    let variables = [
        ("OTEL_SERVICE_NAME", None),
        ("RUST_LOG", None),
        ("OTEL_UNKNOWN", None),
        ("OTEL_TRACES_EXPORTER", Some("none")),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    let environment = Environment::from_variables(Variables::new(variables));
    assert_eq!(environment.traces, Destination::Nowhere);
    let is_named = |name: &str| environment.problems.iter().filter(|line| line.contains(name)).count() == 1;
    assert!(["OTEL_SERVICE_NAME", "RUST_LOG", "OTEL_UNKNOWN"].into_iter().all(is_named), "{environment:?}");
}

#[test]
fn a_variable_of_another_program_is_not_reported() {
    let others = [
        ("OTEL_PYTHON_LOG_LEVEL", "debug"),
        ("OTEL_RESOURCE_ATTRIBUTES_POD_NAME", "a"),
        ("SENTRY_AUTH_TOKEN", "secret"),
        ("SENTRY_ORG", "a"),
        ("PATH", "/bin"),
    ];
    assert!(read(&others).problems.is_empty());
    let unknown: Vec<_> = (0..100).map(|number| format!("OTEL_UNKNOWN_{number}")).collect();
    let unknown: Vec<_> = unknown.iter().map(|name| (&**name, "a")).collect();
    assert_eq!(read(&unknown).problems.len(), 17);
    assert!(read(&[("OTEL_LOG_LEVEL", " "), ("SENTRY_UNKNOWN", "")]).problems.is_empty());
}

#[test]
fn a_variable_whose_name_has_a_mistake_is_reported_without_its_value() {
    for (name, value) in [
        ("OTEL_EXPORTER_OLTP_HEADERS", "a=secret"),
        ("OTEL_EXPORTER_OTLP_HEADRES", "api-key=secret"),
        ("OTEL_EXPORTER_OTLP_URL", "https://user:secret@collector"),
        ("OTEL_EXPORTER_OTLP_ENDPIONT", "https://collector?api=secret"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KYE", "secret"),
        ("SENTRY_DSN_OTHER", "secret"),
        ("SENTRY_DNS", "https://secret@sentry.example/1"),
        ("SENTRY_KEYS", "secret"),
    ] {
        let problems = read(&[(name, value)]).problems;
        let is_safe = |line: &String| line.contains(name) && !line.contains("secret");
        assert!(problems.len() == 1 && problems.iter().all(is_safe), "{problems:?}");
    }
    let problems = read(&[("OTEL_LOG_LEVEL", "debug")]).problems;
    assert!(problems[0].contains("OTEL_LOG_LEVEL `debug`"), "{problems:?}");
}

#[test]
fn a_url_with_a_password_in_a_variable_of_another_kind_is_not_shown() {
    for name in ["OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_BSP_SCHEDULE_DELAY"] {
        for value in ["https://user:secret@collector", "https://user:secret%40collector"] {
            let problems = read(&[(name, value)]).problems;
            let is_safe = |line: &String| line.contains(name) && !line.contains("secret");
            assert!(problems.len() == 1 && problems.iter().all(is_safe), "{problems:?}");
        }
    }
}

#[test]
fn lists_have_empty_repeated_and_unknown_entries() {
    let ways = |list: &str| {
        let environment = read(&[("OTEL_TRACES_EXPORTER", list)]);
        (environment.traces, environment.problems.len())
    };
    assert_eq!(ways(" , OTLP ,,otlp, "), (Destination::Otlp, 0));
    assert_eq!(ways(","), (Destination::Files, 0));
    assert_eq!(ways("zipkin,otlp"), (Destination::Otlp, 1));
    assert_eq!(ways("none,otlp"), (Destination::Nowhere, 1));
    let propagates = |list: &str| {
        let environment = read(&[("OTEL_PROPAGATORS", list)]);
        (environment.propagates, environment.problems.len())
    };
    assert_eq!(propagates("tracecontext,tracecontext,"), (true, 0));
    assert_eq!(propagates("b3,xray"), (true, 2));
    assert_eq!(propagates("none"), (false, 0));
    assert_eq!(propagates("none,tracecontext"), (true, 1));
    // Baggage is known, and this variable does not turn it on.
    assert_eq!(propagates("baggage"), (false, 1));
    assert_eq!(propagates("tracecontext,baggage"), (true, 1));
}

#[test]
fn durations_and_counts_are_whole_numbers_in_a_range() {
    let interval = |value: &str| {
        let environment = read(&[("OTEL_METRIC_EXPORT_INTERVAL", value)]);
        (environment.interval.as_millis(), environment.problems.len())
    };
    assert_eq!((interval(" 1000 "), interval("+1000"), interval("")), ((1000, 0), (1000, 0), (60_000, 0)));
    for wrong in ["0", "-1", "1s", "1.5", "1e3", "1_000", "0x10", "86400001", "18446744073709551616", "one"] {
        assert_eq!(interval(wrong), (60_000, 1), "{wrong}");
    }
    // The specification takes 0 as no limit, but only for timeouts.
    let timeout = read(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0"), ("OTEL_BSP_EXPORT_TIMEOUT", "0")]);
    assert_eq!((timeout.traces_over.timeout.as_secs(), timeout.problems.len()), (24 * 60 * 60, 0));
}

#[test]
fn colours_are_off_if_a_variable_says_so() {
    for (name, value, has_colours) in [
        ("NO_COLOR", "", true),
        ("NO_COLOR", "0", false),
        ("NO_COLOR", " ", false),
        ("CLICOLOR", "0", false),
        ("CLICOLOR", "1", true),
        ("TERM", "dumb", false),
        ("TERM", "xterm", true),
    ] {
        assert_eq!(read(&[(name, value)]).has_colours, has_colours, "{name}={value}");
    }
}

#[test]
fn an_endpoint_applies_to_all_signals_or_to_one() {
    let all = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]);
    assert_eq!((all.traces, all.metrics), (Destination::Otlp, Destination::Otlp));
    let one = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")]);
    assert_eq!(
        (one.traces, one.metrics, one.logs),
        (Destination::Otlp, Destination::Files, Destination::Files)
    );
    let one = read(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:4318/v1/metrics")]);
    assert_eq!(
        (one.traces, one.metrics, one.logs),
        (Destination::Files, Destination::Otlp, Destination::Files)
    );
}

#[test]
fn a_configured_exporter_changes_only_its_own_signal() {
    let ways = |variables: &[(&str, &str)]| {
        let environment = read(variables);
        (environment.traces, environment.metrics)
    };
    let (otlp, files, nowhere) = (Destination::Otlp, Destination::Files, Destination::Nowhere);
    let exporter = ("OTEL_METRICS_EXPORTER", "otlp");
    assert_eq!(ways(&[exporter]), (files, otlp));
    assert_eq!(ways(&[("OTEL_LOGS_EXPORTER", "otlp")]), (files, files));
    assert_eq!(ways(&[exporter, ("OTEL_TRACES_EXPORTER", "console")]), (files, otlp));
    assert_eq!(ways(&[("OTEL_METRICS_EXPORTER", "prometheus")]), (files, nowhere));
    assert_eq!(ways(&[("OTEL_METRICS_EXPORTER", "none")]), (files, nowhere));
    assert_eq!(ways(&[("OTEL_METRICS_EXPORTER", "console")]), (files, files));
}

#[test]
fn an_exporter_takes_precedence_over_an_endpoint() {
    let environment = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_TRACES_EXPORTER", "console"),
    ]);
    assert_eq!((environment.traces, environment.metrics), (Destination::Files, Destination::Nowhere));
}

#[test]
fn prometheus_scrapes_instead_of_or_in_addition_to_an_export() {
    let environment = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
    ]);
    let listen = |host: &str, port| Scraped::At { host: host.to_owned(), port };
    assert_eq!((environment.traces, environment.metrics), (Destination::Otlp, Destination::Nowhere));
    assert_eq!(environment.scraped, listen("localhost", 9464));

    let environment = read(&[
        ("OTEL_METRICS_EXPORTER", "otlp, prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "9000"),
    ]);
    assert_eq!(environment.metrics, Destination::Otlp);
    assert_eq!(environment.scraped, listen("0.0.0.0", 9000));
    let is_off = usize::from(cfg!(not(feature = "prometheus")));
    assert_eq!(environment.problems.len(), is_off, "{:?}", environment.problems);

    let environment = read(&[
        ("OTEL_TRACES_EXPORTER", "prometheus"),
        ("OTEL_METRICS_EXPORTER", "otlp,console,prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "http"),
    ]);
    assert_eq!((environment.traces, environment.metrics), (Destination::Files, Destination::Otlp));
    assert_eq!(environment.scraped, listen("localhost", 9464));
    assert_eq!(environment.problems.len(), 3 + is_off, "{:?}", environment.problems);
}

#[test]
fn a_disabled_sdk_sends_nothing_except_to_sentry() {
    let environment = read(&[
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("SENTRY_DSN", "https://key@sentry.example/1"),
    ]);
    assert_eq!((environment.traces, environment.metrics), (Destination::Nowhere, Destination::Nowhere));
    assert_eq!(environment.scraped, Scraped::Never);
    assert_eq!(environment.sentry.expect("a good DSN").host, "sentry.example");
}

#[test]
fn an_invalid_value_is_reported_and_ignored() {
    let environment = read(&[
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
        ("SENTRY_DSN", "https://secret@"),
    ]);
    assert_eq!(environment.traces, Destination::Files);
    assert!(environment.sentry.is_none());
    assert_eq!(environment.problems.len(), 3, "{:?}", environment.problems);
    assert!(environment.problems.iter().any(|problem| problem.contains("`zipkin`")));
    assert!(environment.problems.iter().all(|problem| !problem.contains("secret")));
    let rate = read(&[("SENTRY_DSN", "https://key@sentry.example/1"), ("SENTRY_TRACES_SAMPLE_RATE", "2")]);
    assert_eq!(rate.sentry.map(|sentry| sentry.traces_sample_rate), Some(0.0));
    assert_eq!(rate.problems.len(), 1);
}

#[test]
fn a_value_that_opentelemetry_silently_ignores_is_reported_once() {
    let wrong = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100000000000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zip"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "forever"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1"),
        ("OTEL_TRACES_SAMPLER", "bogus"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret,secret"),
        ("OTEL_RESOURCE_ATTRIBUTES", "shop"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "name:secret@collector"),
    ];
    for (name, value) in wrong {
        let environment = read(&[(name, value)]);
        assert!(matches!(&environment.problems[..], [one] if one.contains(name)), "{environment:?}");
        assert!(!environment.problems[0].contains("secret"), "{environment:?}");
        let spans = environment.spans;
        assert_eq!((environment.traces, spans.queue as u64), (Destination::Files, spans::WAITING));
        assert_eq!((spans.delay, environment.interval), (None, INTERVAL));
    }
    assert!(!read(&[("OTEL_PROPAGATORS", "none")]).propagates);
    let plain = read(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")]);
    assert!(plain.problems.is_empty(), "{:?}", plain.problems);
}
