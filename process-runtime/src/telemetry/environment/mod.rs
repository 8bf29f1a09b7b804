//! Reads and checks the environment variables that configure telemetry.
//!
//! The SDK of OpenTelemetry could read most of these variables itself, but it silently ignores invalid values. Almost
//! all values are therefore parsed here and passed to the SDK. Headers, compression and resource attributes are
//! exceptions. The SDK reads them, and this module only checks them. Code that opens a connection or imports another
//! part of `telemetry` does not belong in this folder.

mod file;
mod otlp;
pub(super) mod tls;

use std::env::{self, VarError};
use std::ops::RangeInclusive;
use std::time::Duration;

use opentelemetry_sdk::trace::{Sampler, SpanLimits};
use sentry::types::Dsn;

use self::otlp::both;
pub(super) use self::otlp::{Otlp, Protocol};
use self::tls::Pem;

/// The place to which a signal is sent. A signal is traces or metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Otlp,
    Files,
    Nowhere,
}

/// The configuration of how spans are sampled, limited and batched.
#[derive(Debug)]
pub(super) struct Spans {
    /// The maximum number of spans that wait to be sent.
    pub(super) queue: usize,
    /// The maximum number of spans in a batch.
    pub(super) batch: usize,
    /// The maximum time that a span waits before it is sent. `None` if this time is not configured.
    pub(super) delay: Option<Duration>,
    pub(super) limits: SpanLimits,
    /// The maximum number of characters of a text attribute. `None` if no maximum is configured. OpenTelemetry's
    /// `SpanLimits` has no such limit.
    pub(super) longest: Option<usize>,
    pub(super) sampler: Sampler,
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

/// The configuration of Sentry.
#[derive(Debug)]
pub(super) struct Sentry {
    /// A valid DSN.
    pub(super) dsn: String,
    pub(super) host: String,
    /// The trusted certificate authorities, or `None` for Mozilla's list.
    pub(super) authorities: Option<Pem>,
    pub(super) traces_sample_rate: f32,
}

/// The configuration that the environment variables contain.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) traces: Destination,
    pub(super) traces_over: Otlp,
    pub(super) metrics: Destination,
    pub(super) metrics_over: Otlp,
    pub(super) spans: Spans,
    /// The time between two exports of metrics.
    pub(super) interval: Duration,
    /// Whether outgoing calls carry the trace context.
    pub(super) propagates: bool,
    #[cfg_attr(
        not(feature = "prometheus"),
        allow(dead_code, reason = "only the feature `prometheus` serves the metrics")
    )]
    pub(super) scraped: Scraped,
    pub(super) sentry: Option<Sentry>,
    /// The problems with the variables, one line for each problem.
    pub(super) problems: Vec<String>,
}

impl Environment {
    /// Reads the environment variables of this program.
    pub(super) fn read() -> Environment {
        Environment::from_variables(&|name| match env::var(name) {
            Ok(value) => Some(Ok(value)),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => Some(Err(NotUtf8)),
        })
    }

    fn from_variables(variables: &dyn Fn(&str) -> Option<Result<String, NotUtf8>>) -> Environment {
        let mut variables = Variables { variables, problems: Vec::new() };
        let is_disabled =
            variables.get("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let (traces_over, has_traces) = variables.otlp("TRACES", "OTEL_BSP_EXPORT_TIMEOUT");
        let (metrics_over, has_metrics) = variables.otlp("METRICS", "OTEL_METRIC_EXPORT_TIMEOUT");
        let (traces, metrics, scraped) = match is_disabled {
            true => (Destination::Nowhere, Destination::Nowhere, Scraped::Never),
            false => {
                let exporters = ["otlp", "console", "none", "prometheus"];
                let (traces, _) = variables.destination("TRACES", &exporters[..3], has_traces);
                let (metrics, is_scraped) = variables.destination("METRICS", &exporters, has_metrics);
                // Files are the default during development. If one signal is sent to a collector or to Prometheus, the
                // other signal is not written to files unless a variable configures this.
                let is_embedded = !is_scraped && ![traces, metrics].contains(&Some(Destination::Otlp));
                let default = if is_embedded { Destination::Files } else { Destination::Nowhere };
                let scraped = if is_scraped { variables.scraped() } else { Scraped::OnRoute };
                (traces.unwrap_or(default), metrics.unwrap_or(default), scraped)
            }
        };
        let spans = variables.spans();
        let interval = variables.millis("OTEL_METRIC_EXPORT_INTERVAL").unwrap_or(INTERVAL);
        let propagates = variables.propagates();
        let sentry = variables.sentry();
        variables.check();
        Environment {
            traces,
            traces_over,
            metrics,
            metrics_over,
            spans,
            interval,
            propagates,
            scraped,
            sentry,
            problems: variables.problems,
        }
    }
}

// The defaults of the
// [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/): the length of the
// span queue, the size of a batch, the timeout of an export and the interval of metrics.
const WAITING: u64 = 2048;
const BATCH: u64 = 512;
const TIMEOUT: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_secs(60);
/// The largest number of spans that can be configured for the span queue or for a batch.
const MOST_WAITING: u64 = 65_536;

/// A variable whose value is not valid UTF-8.
struct NotUtf8;

struct Variables<'v> {
    variables: &'v dyn Fn(&str) -> Option<Result<String, NotUtf8>>,
    problems: Vec<String>,
}

impl Variables<'_> {
    /// Records a problem with a variable. A problem that both traces and metrics find is recorded once.
    fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Returns the value of a variable, or `None` if the variable is not set. An empty value counts as not set, as the
    /// specification requires. A value that is not valid UTF-8 also counts as not set, and is recorded as a problem.
    fn get(&mut self, name: &str) -> Option<String> {
        match (self.variables)(name)? {
            Ok(value) => Some(value.trim().to_owned()).filter(|value| !value.is_empty()),
            Err(NotUtf8) => {
                self.problem(format!(
                    "invalid {name}: its value must be valid UTF-8; the variable is ignored"
                ));
                None
            }
        }
    }

    /// Returns the value of a variable that must be one of these values. Any other value is recorded as a problem and
    /// ignored.
    fn one_of(&mut self, name: &str, values: &[&'static str]) -> Option<&'static str> {
        let value = self.get(name)?;
        self.known(name, &value, values)
    }

    fn known(&mut self, name: &str, value: &str, values: &[&'static str]) -> Option<&'static str> {
        let known = values.iter().find(|known| known.eq_ignore_ascii_case(value));
        if known.is_none() {
            let values = values.join(", ");
            self.problem(format!("invalid {name} `{value}`: use one of {values}; this value is ignored"));
        }
        known.copied()
    }

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
        let written = self.get(&name).unwrap_or_default();
        let values = written.split(',').map(str::trim).filter(|value| !value.is_empty());
        let mut chosen: Vec<_> = values.filter_map(|value| self.known(&name, value, exporters)).collect();
        let all = chosen.len();
        chosen.retain(|value| *value != "prometheus");
        let is_scraped = chosen.len() < all;
        if let [first, second, ..] = chosen[..] {
            self.problem(format!(
                "invalid {name} `{written}`: choose one of {first} and {second}; {second} is ignored"
            ));
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

    fn millis(&mut self, name: &str) -> Option<Duration> {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        self.number(name, 1..=DAY).map(Duration::from_millis)
    }

    fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(name)?;
        let number = value.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            self.problem(format!(
                "invalid {name} `{value}`: use a whole number from {least} to {most}; the variable is ignored"
            ));
        }
        number
    }

    /// Returns whether outgoing calls carry the trace as W3C Trace Context, the only supported format.
    /// `OTEL_PROPAGATORS` decides this. The name `baggage` in this variable does not make calls carry baggage; only
    /// the application can, with the module `propagation`.
    fn propagates(&mut self) -> bool {
        let name = "OTEL_PROPAGATORS";
        let written = self.get(name).unwrap_or_default();
        let values = written.split(',').map(str::trim).filter(|value| !value.is_empty());
        let known = values.filter_map(|value| self.known(name, value, &["tracecontext", "baggage", "none"]));
        let known: Vec<_> = known.collect();
        known.is_empty() || known.contains(&"tracecontext")
    }

    fn spans(&mut self) -> Spans {
        let queue = self.number("OTEL_BSP_MAX_QUEUE_SIZE", 1..=MOST_WAITING).unwrap_or(WAITING);
        let batch = self.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1..=MOST_WAITING).unwrap_or(BATCH);
        let delay = self.millis("OTEL_BSP_SCHEDULE_DELAY");
        let mut limits = SpanLimits::default();
        if let Some(limit) = self.limit("OTEL_ATTRIBUTE_COUNT_LIMIT") {
            limits.max_attributes_per_span = limit;
            limits.max_attributes_per_event = limit;
            limits.max_attributes_per_link = limit;
        }
        for (name, limit) in [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_span),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_event),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_link),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", &mut limits.max_events_per_span),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", &mut limits.max_links_per_span),
        ] {
            *limit = self.limit(name).unwrap_or(*limit);
        }
        let all = self.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        let longest = self.limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(all);
        Spans {
            queue: queue as usize,
            batch: batch as usize,
            delay,
            limits,
            longest: longest.map(|longest| longest as usize),
            sampler: self.sampler(),
        }
    }

    fn limit(&mut self, name: &str) -> Option<u32> {
        self.number(name, 1..=u32::MAX.into()).and_then(|limit| limit.try_into().ok())
    }

    fn sampler(&mut self) -> Sampler {
        let samplers = ["always_on", "always_off", "traceidratio"];
        let based = ["parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"];
        let sampler = self.one_of("OTEL_TRACES_SAMPLER", &[samplers, based].concat());
        let sampler = sampler.unwrap_or("parentbased_always_on");
        let own = match sampler.trim_start_matches("parentbased_") {
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.share("OTEL_TRACES_SAMPLER_ARG", 1.0)),
            _ => Sampler::AlwaysOn,
        };
        if sampler.starts_with("parentbased_") { Sampler::ParentBased(Box::new(own)) } else { own }
    }

    /// Checks the variables that the SDK of OpenTelemetry reads itself.
    fn check(&mut self) {
        for name in ["TRACES", "METRICS"].into_iter().flat_map(|signal| both(signal, "COMPRESSION")) {
            self.one_of(&name, &["gzip", "none"]);
        }
        let headers = ["TRACES", "METRICS"].map(|signal| both(signal, "HEADERS"));
        let resource = "OTEL_RESOURCE_ATTRIBUTES".to_owned();
        for name in headers.into_iter().flatten().chain([resource]) {
            let value = self.get(&name).unwrap_or_default();
            let pairs = value.split(',').map(str::trim).filter(|pair| !pair.is_empty());
            let is_pair = |pair: &str| pair.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty());
            // Headers contain credentials, so the report does not quote the entry.
            if let Some(at) = pairs.map(is_pair).position(|is_pair| !is_pair) {
                self.problem(format!(
                    "invalid entry {} in {name}: use `key=value`; the entry is ignored",
                    at + 1
                ));
            }
        }
    }

    fn scraped(&mut self) -> Scraped {
        const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
        if cfg!(not(feature = "prometheus")) {
            self.problem(
                "unavailable exporter `prometheus` in OTEL_METRICS_EXPORTER: enable the feature `prometheus` of \
                 process-runtime; no metrics are served"
                    .to_owned(),
            );
        }
        let host = self.get("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or_else(|| "localhost".to_owned());
        let port = self.get(PORT).and_then(|written| {
            let port = written.parse().ok();
            if port.is_none() {
                self.problem(format!(
                    "invalid {PORT} `{written}`: use a port number from 0 to 65535; 9464 is used instead"
                ));
            }
            port
        });
        Scraped::At { host, port: port.unwrap_or(9464) }
    }

    fn sentry(&mut self) -> Option<Sentry> {
        let written = self.get("SENTRY_DSN")?;
        let host = match written.parse::<Dsn>() {
            Ok(dsn) => dsn.host().to_owned(),
            Err(error) => {
                // The DSN contains a key, so the report does not quote it.
                self.problem(format!(
                    "invalid SENTRY_DSN ({error}): use the DSN from the settings of the Sentry project; nothing is \
                     sent to Sentry"
                ));
                return None;
            }
        };
        let traces_sample_rate = self.share("SENTRY_TRACES_SAMPLE_RATE", 0.0) as f32;
        Some(Sentry { dsn: written, host, authorities: self.authorities(), traces_sample_rate })
    }

    /// Returns the value of a variable that must be a number from 0 to 1. Returns `default` if the variable is not set
    /// or its value is invalid.
    fn share(&mut self, name: &str, default: f64) -> f64 {
        let Some(value) = self.get(name) else { return default };
        let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.unwrap_or_else(|| {
            self.problem(format!(
                "invalid {name} `{value}`: use a number from 0 to 1; {default} is used instead"
            ));
            default
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(variables: &[(&str, &str)]) -> Environment {
        Environment::from_variables(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| Ok((*value).to_owned()))
        })
    }

    #[test]
    fn without_variables_telemetry_is_written_to_files_and_sentry_is_off() {
        let environment = read(&[]);
        assert_eq!((environment.traces, environment.metrics), (Destination::Files, Destination::Files));
        assert!(environment.sentry.is_none());
        assert!(environment.problems.is_empty());
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
        assert_eq!(ways(&[("OTEL_METRICS_EXPORTER", "prometheus")]), (nowhere, nowhere));
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
    fn a_sampler_is_parsed_without_regard_to_case_and_spaces() {
        let sampler = |variables: &[(&str, &str)]| format!("{:?}", read(variables).spans.sampler);
        assert_eq!(sampler(&[]), "ParentBased(AlwaysOn)");
        assert_eq!(sampler(&[("OTEL_TRACES_SAMPLER", " ALWAYS_OFF")]), "AlwaysOff");
        let share = ("OTEL_TRACES_SAMPLER_ARG", " 0.25 ");
        let based = sampler(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), share]);
        assert_eq!(based, "ParentBased(TraceIdRatioBased(0.25))");
    }

    #[test]
    fn a_limit_for_spans_takes_precedence_over_the_general_limit() {
        let all = ("OTEL_ATTRIBUTE_COUNT_LIMIT", "20");
        let spans = read(&[all, ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "5")]).spans;
        let limits = spans.limits;
        assert_eq!((limits.max_attributes_per_span, limits.max_attributes_per_link), (20, 5));
        let all = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100");
        assert_eq!(read(&[all]).spans.longest, Some(100));
        assert_eq!(read(&[all, ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")]).spans.longest, Some(9));
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
            assert_eq!((environment.traces, spans.queue as u64), (Destination::Files, WAITING));
            assert_eq!((spans.delay, environment.interval), (None, INTERVAL));
        }
        assert!(!read(&[("OTEL_PROPAGATORS", "none")]).propagates);
        let plain = read(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")]);
        assert!(plain.problems.is_empty(), "{:?}", plain.problems);
    }
}
