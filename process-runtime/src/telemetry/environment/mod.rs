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
#[cfg(test)]
mod tests;
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
        // Each signal has its own default, so a variable for one signal never turns another one off.
        let [traces, metrics, logs] = [traces, metrics, logs].map(|destination| match is_disabled {
            true => Destination::Nowhere,
            false => destination.unwrap_or(Destination::Files),
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

    /// Returns whether a terminal shows colours. [`NO_COLOR`](https://no-color.org) with any value that is not
    /// empty, `CLICOLOR=0` and a terminal that is `dumb` have none.
    fn has_colours(&mut self) -> bool {
        let is = |value: Option<String>, expected: &str| value.as_deref() == Some(expected);
        !self.has_value("NO_COLOR") && !is(self.get("CLICOLOR"), "0") && !is(self.get("TERM"), "dumb")
    }
}
