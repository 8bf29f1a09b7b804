//! Reads the variables that configure how a signal is sent over OTLP: protocol, timeout, compression and TLS. What a
//! URL or a list of headers may contain does not belong here.

use std::time::Duration;

use ureq::Proxy;
use ureq::http::{HeaderMap, Uri};

use super::tls::{self, Pem, Tls};
use super::variables::{Variables, shown};

/// The specification's default for the timeout of an export.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of how a signal is sent over OTLP.
#[derive(Debug)]
pub(in crate::telemetry) struct Otlp {
    pub(in crate::telemetry) protocol: Protocol,
    /// The configured endpoint. If none is configured, the default endpoint, which is on this machine.
    pub(in crate::telemetry) endpoint: Uri,
    pub(in crate::telemetry) timeout: Duration,
    pub(in crate::telemetry) tls: Tls,
    pub(in crate::telemetry) headers: HeaderMap,
    pub(in crate::telemetry) is_compressed: bool,
    /// The proxy of the connection, or `None` for a direct connection.
    pub(in crate::telemetry) proxy: Option<Proxy>,
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

impl Variables {
    /// Returns how a signal is sent, and whether its endpoint is configured. `most` is the name of the variable that
    /// limits the time of one export. The component of the SDK that calls the exporter does not enforce this limit, so
    /// it is used here as an upper limit for the timeout of the exporter.
    pub(super) fn otlp(&mut self, signal: &str, most: &str) -> (Otlp, bool) {
        const PROTOCOLS: [&str; 3] = ["grpc", "http/protobuf", "http/json"];
        let protocol = match self.of_signal(signal, "PROTOCOL", &PROTOCOLS, "http/protobuf") {
            Some("grpc") => Protocol::Grpc,
            Some("http/json") => Protocol::HttpJson,
            _ => Protocol::HttpProtobuf,
        };
        let configured = self.endpoint(signal, protocol);
        let has_endpoint = configured.is_some();
        let endpoint = configured.unwrap_or_else(|| on_this_machine(signal, protocol));
        let [own, all] = both(signal, "TIMEOUT");
        let general = self.timeout(&all, TIMEOUT.as_millis());
        let timeout = self.timeout(&own, &all).or(general).unwrap_or(TIMEOUT);
        let timeout = self.timeout(most, "no limit").map_or(timeout, |most| most.min(timeout));
        for file in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
            both(signal, file).iter().for_each(|name| self.knows(name));
        }
        let is_secure = endpoint.scheme_str() == Some("https");
        let tls = if is_secure { self.tls(signal) } else { Tls::default() };
        let headers = self.headers(signal, protocol);
        let is_compressed = self.of_signal(signal, "COMPRESSION", &["gzip", "none"], "none") == Some("gzip");
        (Otlp { protocol, endpoint, timeout, tls, headers, is_compressed, proxy: None }, has_endpoint)
    }

    /// Returns the value of a variable for a signal, or of the variable for all signals, both of which must have one
    /// of these values.
    fn of_signal(
        &mut self,
        signal: &str,
        what: &str,
        values: &[&'static str],
        default: &str,
    ) -> Option<&'static str> {
        let [own, all] = both(signal, what);
        let general = self.one_of(&all, values, default);
        self.one_of(&own, values, &all).or(general)
    }

    fn tls(&mut self, signal: &str) -> Tls {
        let [own, all] = both(signal, "CERTIFICATE");
        let all = self.certificates(&all);
        let authorities = self.certificates(&own).or(all).or_else(|| self.authorities());
        let [own_certificate, certificate] = both(signal, "CLIENT_CERTIFICATE");
        let [own_key, key] = both(signal, "CLIENT_KEY");
        let general = self.identity(&certificate, &key);
        let has_own = [&own_certificate, &own_key].map(|name| self.get(name).is_some());
        // A signal may have only a certificate of its own, for the same key.
        let identity = match has_own {
            [false, false] => None,
            [true, true] => self.identity(&own_certificate, &own_key),
            [true, false] => self.identity(&own_certificate, &key),
            [false, true] => self.identity(&certificate, &own_key),
        };
        Tls { authorities, identity: identity.or(general) }
    }

    /// Returns the certificate of the client and its key. If one of them is missing or not valid, or if they do not
    /// belong together, one problem is recorded and both are ignored.
    fn identity(&mut self, certificate: &str, key: &str) -> Option<(Pem, Pem)> {
        match [certificate, key].map(|name| self.get(name).is_some()) {
            [true, true] => {}
            [false, false] => return None,
            [has_certificate, _] => {
                let (set, missing) = if has_certificate { (certificate, key) } else { (key, certificate) };
                // A mistake in the only file is also worth a line, which is then the only one.
                let read = if has_certificate { self.client_certificate(set) } else { self.key(set) };
                if read.is_some() {
                    self.problem(format!(
                        "incomplete client certificate: {set} is set and {missing} is not; set both, or none; {set} is \
                         ignored"
                    ));
                }
                return None;
            }
        }
        let (certificates, private) = (self.client_certificate(certificate), self.key(key));
        let (certificates, private) = (certificates?, private?);
        if let Some(why) = tls::identity_problem(&certificates, &private) {
            let [of_certificate, of_key] =
                [certificate, key].map(|name| self.get(name).map(|path| quoted(&path)).unwrap_or_default());
            self.problem(format!(
                "invalid {certificate}{of_certificate} with {key}{of_key}: {why}; the pair is ignored"
            ));
            return None;
        }
        Some((certificates, private))
    }

    /// Returns the certificate authorities from the file that `SSL_CERT_FILE` names, or `None` without a valid
    /// file. Other programs also read this variable.
    pub(super) fn authorities(&mut self) -> Option<Pem> {
        self.certificates("SSL_CERT_FILE")
    }

    fn certificates(&mut self, name: &str) -> Option<Pem> {
        self.pem(name, "certificate of an authority", Pem::has_authority)
    }

    fn client_certificate(&mut self, name: &str) -> Option<Pem> {
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
        let shown = quoted(&path);
        if shown.is_empty() {
            self.problem(format!(
                "invalid {name}: its value may be the content of a file and not its path, so it is not shown; use the \
                 path of a file with a {what} in PEM format; the variable is ignored"
            ));
            return None;
        }
        match self.file(&path) {
            Ok(pem) if has(&pem) => return Some(pem),
            Ok(_) => self.problem(format!(
                "invalid {name}{shown}: the file contains no valid {what} in PEM format; the variable is ignored"
            )),
            Err(error) => self.problem(format!(
                "invalid {name}{shown}: the file cannot be read ({error}); the variable is ignored"
            )),
        }
        None
    }
}

/// Returns the quoted path of a file, with a space before it, or nothing if the value may be the content of a file
/// with a key. Such a content has lines, or is one long text in Base64.
fn quoted(path: &str) -> String {
    const LONGEST: usize = 64;
    let is_base64 = |character: char| character.is_ascii_alphanumeric() || "+/=".contains(character);
    let is_content = path.contains("-----")
        || path.contains(char::is_control)
        || path.split(|character| !is_base64(character)).any(|run| run.len() > LONGEST);
    if is_content { String::new() } else { format!(" `{}`", shown(path)) }
}

/// Returns the specification's default endpoint, which is the address of a collector on this machine.
fn on_this_machine(signal: &str, protocol: Protocol) -> Uri {
    match (protocol, signal) {
        (Protocol::Grpc, _) => Uri::from_static("http://localhost:4317"),
        (_, "TRACES") => Uri::from_static("http://localhost:4318/v1/traces"),
        (_, "LOGS") => Uri::from_static("http://localhost:4318/v1/logs"),
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
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://metrics.example"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", " GRPC"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ]);
        let (traces, metrics) = (environment.traces_over, environment.metrics_over);
        assert_eq!((traces.protocol, metrics.protocol), (Protocol::HttpJson, Protocol::Grpc));
        assert_eq!(traces.endpoint, "http://collector:4318/v1/traces");
        assert_eq!(metrics.endpoint, "https://metrics.example/");
        assert_eq!(metrics.timeout, Duration::from_secs(2));
        // The metrics have an endpoint of their own. The general endpoint is still checked as a gRPC endpoint, and is
        // valid.
        assert!(environment.problems.is_empty(), "{:?}", environment.problems);
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
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", here),
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
