//! Reads and checks the environment variables that configure telemetry.
//!
//! The SDKs of OpenTelemetry and Sentry could read most of these variables themselves, but they silently ignore
//! invalid values. All values are therefore parsed here and passed on, so that one invalid value costs only itself.
//! Code that opens a connection or imports another part of `telemetry` does not belong in this folder.

mod endpoint;
mod lists;
mod log_filter;
mod logs;
#[cfg(test)]
mod mutations;
mod otlp;
mod proxy;
mod sentry;
mod spans;
pub(super) mod tls;
mod variables;

use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;
use tracing_subscriber::filter::Targets;

pub(super) use self::logs::Records;
pub(super) use self::otlp::{Otlp, Protocol};
pub(super) use self::sentry::{Sentry, release_problem};
pub(super) use self::spans::Spans;
use self::variables::Variables;

/// The place to which a signal is sent. A signal is traces, metrics or logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Otlp,
    Files,
    Nowhere,
}

/// Whether and where Prometheus scrapes the metrics. The metrics can also be sent to a [`Destination`], independently
/// of this.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "prometheus"),
    allow(dead_code, reason = "only the feature `prometheus` serves the metrics")
)]
pub(super) enum Scraped {
    Never,
    /// Prometheus scrapes the metrics only if the service serves them on a route of its own.
    OnRoute,
    At {
        host: String,
        port: u16,
    },
}

/// The configuration that the environment variables contain.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) traces: Destination,
    pub(super) traces_over: Otlp,
    pub(super) metrics: Destination,
    pub(super) metrics_over: Otlp,
    pub(super) logs: Destination,
    pub(super) logs_over: Otlp,
    pub(super) spans: Spans,
    pub(super) records: Records,
    /// The time between two exports of metrics.
    pub(super) interval: Duration,
    pub(super) temporality: Temporality,
    /// The resource attributes, without duplicates.
    pub(super) attributes: Vec<(String, String)>,
    /// Whether outgoing calls carry the trace context.
    pub(super) propagates: bool,
    #[cfg_attr(
        not(feature = "prometheus"),
        allow(dead_code, reason = "only the feature `prometheus` serves the metrics")
    )]
    pub(super) scraped: Scraped,
    pub(super) sentry: Option<Sentry>,
    /// The filter of the log.
    pub(super) log: Targets,
    /// Whether a terminal shows colours.
    pub(super) has_colours: bool,
    /// The problems with the variables, one line for each problem.
    pub(super) problems: Vec<String>,
}

impl Environment {
    /// Reads the environment variables of this program.
    pub(super) fn read() -> Environment {
        Environment::from_variables(Variables::of_this_program())
    }

    fn from_variables(mut variables: Variables) -> Environment {
        let is_disabled = variables.boolean("OTEL_SDK_DISABLED") == Some(true);
        let (mut traces_over, has_traces) = variables.otlp("TRACES", "OTEL_BSP_EXPORT_TIMEOUT");
        let (mut metrics_over, has_metrics) = variables.otlp("METRICS", "OTEL_METRIC_EXPORT_TIMEOUT");
        let (mut logs_over, has_logs) = variables.otlp("LOGS", "OTEL_BLRP_EXPORT_TIMEOUT");
        let exporters = ["otlp", "console", "none", "prometheus"];
        let (traces, _) = variables.destination("TRACES", &exporters[..3], has_traces);
        let (metrics, is_scraped) = variables.destination("METRICS", &exporters, has_metrics);
        let (logs, _) = variables.destination("LOGS", &exporters[..3], has_logs);
        let address = variables.scraped(is_scraped && !is_disabled);
        // Files are the default during development. If one signal is sent to a collector, the other signals are not
        // written to files unless a variable configures this.
        let is_sent = [traces, metrics, logs].contains(&Some(Destination::Otlp));
        let default = if is_sent { Destination::Nowhere } else { Destination::Files };
        let [traces, metrics, logs] = [traces, metrics, logs].map(|destination| match is_disabled {
            true => Destination::Nowhere,
            false => destination.unwrap_or(default),
        });
        let scraped = if is_disabled { Scraped::Never } else { address };
        for (destination, over) in
            [(traces, &mut traces_over), (metrics, &mut metrics_over), (logs, &mut logs_over)]
        {
            if destination == Destination::Otlp {
                variables.add_proxy(over);
            }
        }
        Environment {
            traces,
            traces_over,
            metrics,
            metrics_over,
            logs,
            logs_over,
            spans: variables.spans(),
            records: variables.records(),
            interval: variables
                .millis("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL.as_millis())
                .unwrap_or(INTERVAL),
            temporality: variables.temporality(),
            attributes: variables.resource_attributes(),
            propagates: variables.propagates(),
            scraped,
            sentry: variables.sentry(),
            log: variables.log_filter(),
            has_colours: variables.has_colours(),
            problems: variables.into_problems(),
        }
    }
}

/// The default of the
/// [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) for the interval
/// of metrics.
const INTERVAL: Duration = Duration::from_secs(60);

impl Variables {
    /// Returns the destination of a signal, and whether Prometheus scrapes the signal. Both depend on the variable
    /// `OTEL_<signal>_EXPORTER`, a list of names, separated by commas. The valid names are those in `exporters`.
    /// Without this variable, the destination is OTLP if `has_endpoint` is `true`, and otherwise `None`.
    fn destination(
        &mut self,
        signal: &str,
        exporters: &[&'static str],
        has_endpoint: bool,
    ) -> (Option<Destination>, bool) {
        let name = format!("OTEL_{signal}_EXPORTER");
        let mut chosen = self.some_of(&name, exporters);
        let all = chosen.len();
        chosen.retain(|value| *value != "prometheus");
        let is_scraped = chosen.len() < all;
        let second = if is_scraped && chosen.first() == Some(&"none") { Some("prometheus") } else { None };
        if let (Some(first), Some(second)) = (chosen.first(), second.or(chosen.get(1).copied())) {
            let written = self.get(&name).unwrap_or_default();
            let ignored = if second == "prometheus" { first } else { second };
            let expected = format_args!("one of {first} and {second}");
            self.invalid(&name, &written, expected, format_args!("{ignored} is ignored"));
        }
        let destination = match chosen.first() {
            Some(&"otlp") => Some(Destination::Otlp),
            Some(&"none") => Some(Destination::Nowhere),
            Some(_) => Some(Destination::Files),
            None if is_scraped => Some(Destination::Nowhere),
            None => has_endpoint.then_some(Destination::Otlp),
        };
        (destination, is_scraped)
    }

    /// Returns whether outgoing calls carry the trace as W3C Trace Context, the only supported format.
    /// `OTEL_PROPAGATORS` decides this. The name `baggage` in this variable does not make calls carry baggage; only
    /// the application can, with the module `propagation`.
    fn propagates(&mut self) -> bool {
        let name = "OTEL_PROPAGATORS";
        let known = self.some_of(name, &["tracecontext", "baggage", "none"]);
        let written = self.get(name).unwrap_or_default();
        if known.contains(&"none") && known.len() > 1 {
            self.invalid(name, &written, "`none` alone, or without it", "`none` is ignored");
        }
        if known.contains(&"baggage") {
            self.problem(format!(
                "{name} `{}` contains `baggage`: no call carries baggage unless the application lists its keys and \
                 hosts in `propagation::Outgoing`",
                variables::shown(&written)
            ));
        }
        known.is_empty() || known.contains(&"tracecontext")
    }

    fn temporality(&mut self) -> Temporality {
        let histograms = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
        let _ = self.one_of(histograms, &["explicit_bucket_histogram"], "explicit_bucket_histogram");
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        match self.one_of(name, &["cumulative", "delta", "lowmemory"], "cumulative") {
            Some("delta") => Temporality::Delta,
            Some("lowmemory") => Temporality::LowMemory,
            _ => Temporality::Cumulative,
        }
    }

    /// Returns where Prometheus scrapes the metrics, if `is_scraped` is `true`. The address is checked in any case.
    fn scraped(&mut self, is_scraped: bool) -> Scraped {
        let host = self.get("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or_else(|| "localhost".to_owned());
        let port = self.number("OTEL_EXPORTER_PROMETHEUS_PORT", 0..=u16::MAX.into(), "9464");
        if !is_scraped {
            return Scraped::OnRoute;
        }
        if cfg!(not(feature = "prometheus")) {
            self.problem(
                "unavailable exporter `prometheus` in OTEL_METRICS_EXPORTER: enable the feature `prometheus` of \
                 process-runtime; no metrics are served"
                    .to_owned(),
            );
        }
        let port = port.and_then(|port| port.try_into().ok()).unwrap_or(9464);
        Scraped::At { host: host.trim_matches(['[', ']']).to_owned(), port }
    }

    /// Returns whether a terminal shows colours. [`NO_COLOR`](https://no-color.org) with any value, `CLICOLOR=0` and
    /// a terminal that is `dumb` have none.
    fn has_colours(&mut self) -> bool {
        let is = |value: Option<String>, expected: &str| value.as_deref() == Some(expected);
        self.get("NO_COLOR").is_none() && !is(self.get("CLICOLOR"), "0") && !is(self.get("TERM"), "dumb")
    }
}

#[cfg(test)]
mod tests {
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
        let is_named =
            |name: &str| environment.problems.iter().filter(|line| line.contains(name)).count() == 1;
        assert!(
            ["OTEL_SERVICE_NAME", "RUST_LOG", "OTEL_UNKNOWN"].into_iter().all(is_named),
            "{environment:?}"
        );
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
        let secret = read(&[("OTEL_EXPORTER_OLTP_HEADERS", "a=secret"), ("SENTRY_DSN_OTHER", "secret")]);
        assert_eq!(secret.problems.len(), 2);
        assert!(secret.problems.iter().all(|line| !line.contains("secret")), "{secret:?}");
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
        assert_eq!(
            (interval(" 1000 "), interval("+1000"), interval("")),
            ((1000, 0), (1000, 0), (60_000, 0))
        );
        for wrong in
            ["0", "-1", "1s", "1.5", "1e3", "1_000", "0x10", "86400001", "18446744073709551616", "one"]
        {
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
        assert_eq!((one.traces, one.metrics), (Destination::Otlp, Destination::Nowhere));
    }

    #[test]
    fn one_configured_exporter_turns_the_files_off_for_both_signals() {
        let ways = |variables: &[(&str, &str)]| {
            let environment = read(variables);
            (environment.traces, environment.metrics)
        };
        let (otlp, files, nowhere) = (Destination::Otlp, Destination::Files, Destination::Nowhere);
        let exporter = ("OTEL_METRICS_EXPORTER", "otlp");
        assert_eq!(ways(&[exporter]), (nowhere, otlp));
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
        assert_eq!((environment.traces, environment.metrics), (Destination::Nowhere, Destination::Otlp));
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
        let rate =
            read(&[("SENTRY_DSN", "https://key@sentry.example/1"), ("SENTRY_TRACES_SAMPLE_RATE", "2")]);
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
}
