//! The variables that decide where telemetry goes, read once, and what is wrong with them. What only sets a
//! number (a batch's size, a timeout) is read by OpenTelemetry itself.

use std::env::{self, VarError};

use sentry::types::Dsn;

/// Where a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Otlp,
    Files,
    Nowhere,
}

/// Whether a Prometheus fetches the metrics, whatever else becomes of them.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "nothing serves it then"))]
pub(super) enum Scraped {
    Never,
    /// Only where the service has a route for it.
    OnRoute,
    At {
        host: String,
        port: u16,
    },
}

/// What Sentry is told at its start.
#[derive(Debug)]
pub(super) struct Sentry {
    /// Well formed.
    pub(super) dsn: String,
    pub(super) host: String,
    pub(super) traces_sample_rate: f32,
}

/// What the variables say.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) traces: Destination,
    pub(super) metrics: Destination,
    #[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "nothing serves it then"))]
    pub(super) scraped: Scraped,
    pub(super) sentry: Option<Sentry>,
    /// What could not be read, a line each.
    pub(super) problems: Vec<String>,
}

impl Environment {
    /// Reads the environment of this process.
    pub(super) fn read() -> Environment {
        Environment::of(&|name| match env::var(name) {
            Ok(value) => Some(Ok(value)),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => Some(Err("is no UTF-8")),
        })
    }

    fn of(variables: &dyn Fn(&str) -> Option<Result<String, &'static str>>) -> Environment {
        let mut variables = Variables { variables, problems: Vec::new() };
        let is_disabled =
            variables.get("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let (traces, metrics, scraped) = match is_disabled {
            true => (Destination::Nowhere, Destination::Nowhere, Scraped::Never),
            false => {
                let (traces, _) = variables.destination("TRACES", &["otlp", "console", "none"]);
                let exporters = ["otlp", "console", "none", "prometheus"];
                let (metrics, is_scraped) = variables.destination("METRICS", &exporters);
                (traces, metrics, if is_scraped { variables.scraped() } else { Scraped::OnRoute })
            }
        };
        let protocols = [
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        ];
        for name in protocols {
            variables.one_of(name, &["grpc", "http/protobuf", "http/json"]);
        }
        let sentry = variables.sentry();
        Environment { traces, metrics, scraped, sentry, problems: variables.problems }
    }
}

struct Variables<'v> {
    variables: &'v dyn Fn(&str) -> Option<Result<String, &'static str>>,
    problems: Vec<String>,
}

impl Variables<'_> {
    /// The value of a variable; an empty one is as good as none, as OpenTelemetry has it.
    fn get(&mut self, name: &str) -> Option<String> {
        match (self.variables)(name)? {
            Ok(value) => Some(value.trim().to_owned()).filter(|value| !value.is_empty()),
            Err(problem) => {
                self.problems.push(format!("the variable {name} {problem}; it is as if it were not set"));
                None
            }
        }
    }

    /// The value of a variable that is one of these.
    fn one_of(&mut self, name: &str, values: &[&'static str]) -> Option<&'static str> {
        let value = self.get(name)?;
        self.known(name, &value, values)
    }

    fn known(&mut self, name: &str, value: &str, values: &[&'static str]) -> Option<&'static str> {
        let known = values.iter().find(|known| known.eq_ignore_ascii_case(value));
        if known.is_none() {
            let values = values.join(", ");
            self.problems.push(format!(
                "{name} is `{value}`, and may be one of {values}; it is as if it were not set"
            ));
        }
        known.copied()
    }

    /// Where a signal is sent, and whether a Prometheus fetches it. `exporters` are those there are; the variable
    /// has several between commas.
    fn destination(&mut self, signal: &str, exporters: &[&'static str]) -> (Destination, bool) {
        let name = format!("OTEL_{signal}_EXPORTER");
        let written = self.get(&name).unwrap_or_default();
        let values = written.split(',').map(str::trim).filter(|value| !value.is_empty());
        let mut said: Vec<_> = values.filter_map(|value| self.known(&name, value, exporters)).collect();
        let all = said.len();
        said.retain(|value| *value != "prometheus");
        let is_scraped = said.len() < all;
        if let [first, second, ..] = said[..] {
            self.problems
                .push(format!("{name} is `{written}`: of {first} and {second} only {first} is taken"));
        }
        let endpoints =
            ["OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")];
        let destination = match said.first() {
            Some(&"otlp") => Destination::Otlp,
            Some(&"none") => Destination::Nowhere,
            None if is_scraped => Destination::Nowhere,
            None if endpoints.iter().any(|name| self.get(name).is_some()) => Destination::Otlp,
            _ => Destination::Files,
        };
        (destination, is_scraped)
    }

    fn scraped(&mut self) -> Scraped {
        const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
        if cfg!(not(feature = "prometheus")) {
            self.problems.push(
                "OTEL_METRICS_EXPORTER has `prometheus`, and nothing serves it: turn on the feature `prometheus` of \
                 process-runtime"
                    .to_owned(),
            );
        }
        let host = self.get("OTEL_EXPORTER_PROMETHEUS_HOST").unwrap_or_else(|| "localhost".to_owned());
        let port = self.get(PORT).and_then(|written| {
            let port = written.parse().ok();
            if port.is_none() {
                self.problems.push(format!("{PORT} is `{written}`, and may be a port; it is taken for 9464"));
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
                // The DSN holds a key: it is not repeated.
                self.problems.push(format!("SENTRY_DSN cannot be read ({error}); nothing is sent to Sentry"));
                return None;
            }
        };
        Some(Sentry { dsn: written, host, traces_sample_rate: self.rate("SENTRY_TRACES_SAMPLE_RATE") })
    }

    fn rate(&mut self, name: &str) -> f32 {
        let Some(value) = self.get(name) else { return 0.0 };
        let rate = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
        rate.unwrap_or_else(|| {
            self.problems
                .push(format!("{name} is `{value}`, and may be a number from 0 to 1; it is taken for 0"));
            0.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Environment {
        Environment::of(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| Ok((*value).to_owned()))
        })
    }

    #[test]
    fn nothing_set_is_files_and_no_sentry() {
        let environment = read(&[]);
        assert_eq!((environment.traces, environment.metrics), (Destination::Files, Destination::Files));
        assert!(environment.sentry.is_none());
        assert!(environment.problems.is_empty());
    }

    #[test]
    fn an_endpoint_is_for_all_signals_or_for_one() {
        let all = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")]);
        assert_eq!((all.traces, all.metrics), (Destination::Otlp, Destination::Otlp));
        let one = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")]);
        assert_eq!((one.traces, one.metrics), (Destination::Otlp, Destination::Files));
    }

    #[test]
    fn an_exporter_wins_over_an_endpoint() {
        let environment = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_TRACES_EXPORTER", "console"),
        ]);
        assert_eq!((environment.traces, environment.metrics), (Destination::Files, Destination::Nowhere));
    }

    #[test]
    fn a_prometheus_scrapes_instead_of_or_beside_what_is_sent() {
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
    fn a_disabled_sdk_sends_nothing_and_leaves_sentry() {
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
    fn what_is_wrong_is_told_and_taken_for_unset() {
        let environment = read(&[
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http"),
            ("SENTRY_DSN", "https://secret@"),
        ]);
        assert_eq!(environment.traces, Destination::Files);
        assert!(environment.sentry.is_none());
        assert_eq!(environment.problems.len(), 3, "{:?}", environment.problems);
        assert!(environment.problems[0].contains("`zipkin`"));
        assert!(environment.problems.iter().all(|problem| !problem.contains("secret")));
        let rate =
            read(&[("SENTRY_DSN", "https://key@sentry.example/1"), ("SENTRY_TRACES_SAMPLE_RATE", "2")]);
        assert_eq!(rate.sentry.map(|sentry| sentry.traces_sample_rate), Some(0.0));
        assert_eq!(rate.problems.len(), 1);
    }
}
