//! What the variables say of one signal's way over OTLP: protocol, endpoint, timeout, and whom both sides believe.

use std::fs;
use std::time::Duration;

use ureq::http::Uri;

use super::tls::{Pem, Tls};
use super::{TIMEOUT, Variables};

/// How a signal is sent over OTLP.
#[derive(Debug)]
pub(in crate::telemetry) struct Otlp {
    pub(in crate::telemetry) protocol: Protocol,
    /// Whether it was said is a matter of the destination: here is the collector on this machine otherwise.
    pub(in crate::telemetry) endpoint: Uri,
    pub(in crate::telemetry) timeout: Duration,
    pub(in crate::telemetry) tls: Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::telemetry) enum Protocol {
    Grpc,
    HttpProtobuf,
    HttpJson,
}

/// A variable of one signal, and that of all.
pub(super) fn both(signal: &str, what: &str) -> [String; 2] {
    [format!("OTEL_EXPORTER_OTLP_{signal}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")]
}

impl Variables<'_> {
    /// How a signal is sent, and whether it is said where to. `most` is the time that whoever collects the signal has
    /// for one export: the exporter's must not be longer, since nobody else ends it.
    pub(super) fn otlp(&mut self, signal: &str, most: &str) -> (Otlp, bool) {
        const PROTOCOLS: [&str; 3] = ["grpc", "http/protobuf", "http/json"];
        let [own, all] = both(signal, "PROTOCOL");
        let all = self.one_of(&all, &PROTOCOLS);
        let protocol = match self.one_of(&own, &PROTOCOLS).or(all) {
            Some("grpc") => Protocol::Grpc,
            Some("http/json") => Protocol::HttpJson,
            _ => Protocol::HttpProtobuf,
        };
        let said = self.endpoint(signal, protocol);
        let is_said = said.is_some();
        let endpoint = said.unwrap_or_else(|| on_this_machine(signal, protocol));
        let [own, all] = both(signal, "TIMEOUT");
        let all = self.millis(&all);
        let timeout = self.millis(&own).or(all).unwrap_or(TIMEOUT);
        let timeout = self.millis(most).map_or(timeout, |most| most.min(timeout));
        let is_secure = endpoint.scheme_str() == Some("https");
        let tls = if is_secure { self.tls(signal) } else { Tls::default() };
        (Otlp { protocol, endpoint, timeout, tls }, is_said)
    }

    fn endpoint(&mut self, signal: &str, protocol: Protocol) -> Option<Uri> {
        let [own, all] = both(signal, "ENDPOINT");
        if protocol == Protocol::Grpc {
            let [own_scheme, scheme] = both(signal, "INSECURE");
            let scheme = self.one_of(&scheme, &["true", "false"]);
            let is_insecure = self.one_of(&own_scheme, &["true", "false"]).or(scheme) == Some("true");
            let scheme = if is_insecure { "http" } else { "https" };
            let all = self.url(&all, Some(scheme));
            return self.url(&own, Some(scheme)).or(all);
        }
        let collector = self.url(&all, None).and_then(|url| {
            let (path, url) = (signal.to_ascii_lowercase(), url.to_string());
            let base = url.trim_end_matches('/');
            let plain = base.trim_end_matches("/v1/traces").trim_end_matches("/v1/metrics");
            if plain != base {
                self.problem(format!(
                    "{all} is the URL of one signal, and must be the collector's, such as http://collector:4318; \
                     it is taken without its path"
                ));
            }
            format!("{plain}/v1/{path}").parse().ok()
        });
        self.url(&own, None).or(collector)
    }

    /// A URL with a host; with a scheme to fall back on, a host and its port will do, as gRPC has it. What it is not is
    /// not repeated: a password may stand in it.
    fn url(&mut self, name: &str, scheme: Option<&str>) -> Option<Uri> {
        let written = self.get(name)?;
        let whole = match scheme {
            Some(scheme) if !written.contains("://") => format!("{scheme}://{written}"),
            _ => written,
        };
        let is_known = |url: &Uri| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
        let url = whole.parse().ok().filter(is_known);
        if url.is_none() {
            let example = if scheme.is_some() { "http://collector:4317" } else { "http://collector:4318" };
            self.problem(format!("{name} is no URL such as {example}; it is as if it were not set"));
        }
        url
    }

    fn tls(&mut self, signal: &str) -> Tls {
        let [own, all] = both(signal, "CERTIFICATE");
        let all = self.certificates(&all);
        let authorities = self.certificates(&own).or(all).or_else(|| self.authorities());
        let [own_certificate, certificate] = both(signal, "CLIENT_CERTIFICATE");
        let [own_key, key] = both(signal, "CLIENT_KEY");
        let all = (self.certificates(&certificate), self.key(&key));
        let own = (self.certificates(&own_certificate), self.key(&own_key));
        let identity = match (own.0.or(all.0), own.1.or(all.1)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                self.problem(format!(
                    "{certificate} and {key} belong together, and one of them is missing; both are as if they were \
                     not set"
                ));
                None
            }
        };
        Tls { authorities, identity }
    }

    /// Whom the rest of this machine's programs believe, where it is said.
    pub(super) fn authorities(&mut self) -> Option<Pem> {
        self.certificates("SSL_CERT_FILE")
    }

    fn certificates(&mut self, name: &str) -> Option<Pem> {
        self.pem(name, "certificate", Pem::has_certificate)
    }

    fn key(&mut self, name: &str) -> Option<Pem> {
        self.pem(name, "private key", Pem::has_key)
    }

    /// The file that a variable names.
    fn pem(&mut self, name: &str, what: &str, has: fn(&Pem) -> bool) -> Option<Pem> {
        let path = self.get(name)?;
        match fs::read(&path).map(Pem::new) {
            Ok(pem) if has(&pem) => return Some(pem),
            Ok(_) => self.problem(format!(
                "{name} names {path}, in which there is no {what} as PEM; it is as if it were not set"
            )),
            Err(error) => self.problem(format!(
                "{name} names {path}, which cannot be read ({error}); it is as if it were not set"
            )),
        }
        None
    }
}

/// Where the specification has the collector if nothing says so.
fn on_this_machine(signal: &str, protocol: Protocol) -> Uri {
    match (protocol, signal) {
        (Protocol::Grpc, _) => Uri::from_static("http://localhost:4317"),
        (_, "TRACES") => Uri::from_static("http://localhost:4318/v1/traces"),
        _ => Uri::from_static("http://localhost:4318/v1/metrics"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Destination;
    use super::super::tests::read;
    use super::*;

    #[test]
    fn a_variable_of_a_signal_wins_over_that_of_all() {
        let environment = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/ "),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://metrics.example/in"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", " GRPC"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ]);
        let (traces, metrics) = (environment.traces_over, environment.metrics_over);
        assert_eq!((traces.protocol, metrics.protocol), (Protocol::HttpJson, Protocol::Grpc));
        assert_eq!(traces.endpoint, "http://collector:4318/v1/traces");
        assert_eq!(metrics.endpoint, "https://metrics.example/in");
        assert_eq!(metrics.timeout, Duration::from_secs(2));
        // That of all has no scheme for the signal over gRPC to lack.
        assert!(environment.problems.is_empty(), "{:?}", environment.problems);
    }

    #[test]
    fn the_url_of_one_signal_is_taken_for_the_collector_s_and_told() {
        let environment = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/v1/traces/")]);
        assert_eq!(environment.metrics_over.endpoint, "http://collector:4318/v1/metrics");
        assert_eq!(environment.problems.len(), 1, "{:?}", environment.problems);
    }

    #[test]
    fn grpc_needs_no_scheme_and_is_secure_where_nothing_says_otherwise() {
        let grpc = |variables: &[(&'static str, &'static str)]| {
            let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
            let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
            let environment = read(&[&[protocol, endpoint], variables].concat());
            assert_eq!(environment.traces, Destination::Otlp);
            assert!(environment.problems.is_empty(), "{:?}", environment.problems);
            [environment.traces_over, environment.metrics_over].map(|over| over.endpoint.to_string())
        };
        assert_eq!(grpc(&[]), ["https://collector:4317/"; 2]);
        assert_eq!(grpc(&[("OTEL_EXPORTER_OTLP_INSECURE", "True")]), ["http://collector:4317/"; 2]);
        let own = ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "true");
        assert_eq!(grpc(&[own]), ["https://collector:4317/", "http://collector:4317/"]);
    }

    #[test]
    fn a_wrong_endpoint_is_as_if_it_were_not_set() {
        for (protocol, wrong, endpoint) in [
            ("http/protobuf", "collector:4318/v1/traces", "http://localhost:4318/v1/traces"),
            ("http/json", "ftp://collector", "http://localhost:4318/v1/traces"),
            ("grpc", "unix:///run/collector", "http://localhost:4317"),
        ] {
            let variables =
                [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", wrong)];
            let environment = read(&variables);
            assert_eq!(environment.traces, Destination::Files, "{wrong}");
            assert_eq!(environment.traces_over.endpoint, endpoint, "{wrong}");
            assert_eq!(environment.problems.len(), 1, "{:?}", environment.problems);
        }
    }

    #[test]
    fn an_export_takes_no_longer_than_any_variable_allows() {
        let environment = read(&[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "1500"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "30000"),
        ]);
        assert_eq!(environment.traces_over.timeout, Duration::from_millis(1500));
        assert_eq!(environment.metrics_over.timeout, Duration::from_secs(2));
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_told_once() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (name, path) in [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", here),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", here),
            ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ] {
            let secure = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318");
            let environment = read(&[secure, (name, path)]);
            let told = |problem: &String| problem.contains(name) && problem.contains(path);
            assert!(matches!(&environment.problems[..], [one] if told(one)), "{environment:?}");
            let tls = environment.traces_over.tls;
            assert!(tls.authorities.is_none() && tls.identity.is_none(), "{tls:?}");
        }
    }
}
