//! Reads the variables that configure how a signal is sent over OTLP: protocol, endpoint, timeout and TLS. Variables
//! of other exporters do not belong here.

use std::time::Duration;

use ureq::http::Uri;

use super::tls::{Pem, Tls};
use super::{TIMEOUT, Variables, file};

/// The configuration of how a signal is sent over OTLP.
#[derive(Debug)]
pub(in crate::telemetry) struct Otlp {
    pub(in crate::telemetry) protocol: Protocol,
    /// The configured endpoint. If none is configured, the default endpoint, which is on this machine.
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

/// Returns two names of a variable: the name that applies only to `signal`, and the name that applies to all signals.
pub(super) fn both(signal: &str, what: &str) -> [String; 2] {
    [format!("OTEL_EXPORTER_OTLP_{signal}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")]
}

impl Variables<'_> {
    /// Returns how a signal is sent, and whether its endpoint is configured. `most` is the name of the variable that
    /// limits the time of one export. The component of the SDK that calls the exporter does not enforce this limit, so
    /// it is used here as an upper limit for the timeout of the exporter.
    pub(super) fn otlp(&mut self, signal: &str, most: &str) -> (Otlp, bool) {
        const PROTOCOLS: [&str; 3] = ["grpc", "http/protobuf", "http/json"];
        let [own, all] = both(signal, "PROTOCOL");
        let all = self.one_of(&all, &PROTOCOLS);
        let protocol = match self.one_of(&own, &PROTOCOLS).or(all) {
            Some("grpc") => Protocol::Grpc,
            Some("http/json") => Protocol::HttpJson,
            _ => Protocol::HttpProtobuf,
        };
        let configured = self.endpoint(signal, protocol);
        let has_endpoint = configured.is_some();
        let endpoint = configured.unwrap_or_else(|| on_this_machine(signal, protocol));
        let [own, all] = both(signal, "TIMEOUT");
        let all = self.millis(&all);
        let timeout = self.millis(&own).or(all).unwrap_or(TIMEOUT);
        let timeout = self.millis(most).map_or(timeout, |most| most.min(timeout));
        let is_secure = endpoint.scheme_str() == Some("https");
        let tls = if is_secure { self.tls(signal) } else { Tls::default() };
        (Otlp { protocol, endpoint, timeout, tls }, has_endpoint)
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
                    "invalid {all}: remove `/v1/traces` or `/v1/metrics` from its end, as in http://collector:4318; the \
                     URL is used without this path"
                ));
            }
            format!("{plain}/v1/{path}").parse().ok()
        });
        self.url(&own, None).or(collector)
    }

    /// Returns the value of a variable that must be a URL with a host. If `scheme` is given, as for gRPC, the value
    /// may also be a host and a port, to which `scheme` is added. An invalid value is recorded as a problem and
    /// ignored. The problem does not quote the value, because it may contain a password.
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
            self.problem(format!("invalid {name}: use a URL such as {example}; the variable is ignored"));
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
                    "incomplete client certificate: {certificate} and {key} must both be set and valid; both are \
                     ignored"
                ));
                None
            }
        };
        Tls { authorities, identity }
    }

    /// Returns the certificate authorities from the file that `SSL_CERT_FILE` names, or `None` without a valid
    /// file. Other programs also read this variable.
    pub(super) fn authorities(&mut self) -> Option<Pem> {
        self.certificates("SSL_CERT_FILE")
    }

    fn certificates(&mut self, name: &str) -> Option<Pem> {
        self.pem(name, "certificate", Pem::has_certificate)
    }

    fn key(&mut self, name: &str) -> Option<Pem> {
        self.pem(name, "private key", Pem::has_key)
    }

    /// Reads the PEM file that the variable `name` names. `has` checks whether the file contains the required item,
    /// and `what` is the name of this item in a problem. If the item is missing or the file cannot be read, a problem
    /// is recorded and the variable is ignored.
    fn pem(&mut self, name: &str, what: &str, has: fn(&Pem) -> bool) -> Option<Pem> {
        let path = self.get(name)?;
        match file::read(&path).map(Pem::new) {
            Ok(pem) if has(&pem) => return Some(pem),
            Ok(_) => self.problem(format!(
                "invalid {name} `{path}`: the file contains no {what} in PEM format; the variable is ignored"
            )),
            Err(error) => self.problem(format!(
                "invalid {name} `{path}`: the file cannot be read ({error}); the variable is ignored"
            )),
        }
        None
    }
}

/// Returns the specification's default endpoint, which is the address of a collector on this machine.
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
    fn a_variable_for_one_signal_takes_precedence_over_the_general_one() {
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
        // The metrics have an endpoint of their own. The general endpoint is still checked as a gRPC endpoint, and is
        // valid.
        assert!(environment.problems.is_empty(), "{:?}", environment.problems);
    }

    #[test]
    fn a_signal_path_in_the_general_endpoint_is_removed_and_reported() {
        let environment = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/v1/traces/")]);
        assert_eq!(environment.metrics_over.endpoint, "http://collector:4318/v1/metrics");
        assert_eq!(environment.problems.len(), 1, "{:?}", environment.problems);
    }

    #[test]
    fn a_grpc_endpoint_needs_no_scheme_and_uses_tls_by_default() {
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
    fn an_invalid_endpoint_is_ignored() {
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
    fn the_shortest_configured_timeout_applies_to_an_export() {
        let environment = read(&[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "1500"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "30000"),
        ]);
        assert_eq!(environment.traces_over.timeout, Duration::from_millis(1500));
        assert_eq!(environment.metrics_over.timeout, Duration::from_secs(2));
    }

    #[test]
    fn an_unreadable_certificate_is_reported_once() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        for (name, path) in [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", here),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", here),
            ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ] {
            let secure = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318");
            let environment = read(&[secure, (name, path)]);
            let names_both = |problem: &String| problem.contains(name) && problem.contains(path);
            assert!(matches!(&environment.problems[..], [one] if names_both(one)), "{environment:?}");
            let tls = environment.traces_over.tls;
            assert!(tls.authorities.is_none() && tls.identity.is_none(), "{tls:?}");
        }
    }
}
