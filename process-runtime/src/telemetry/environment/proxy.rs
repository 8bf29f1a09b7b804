//! The proxy of a connection over HTTP, from `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`. The names may be
//! in lower case. Opening a connection does not belong here.

use std::net::IpAddr;

use ureq::Proxy;
use ureq::http::Uri;

use super::endpoint::{parsed, redacted};
use super::otlp::{Otlp, Protocol};
use super::variables::Variables;

impl Variables {
    /// Returns the proxy for connections to `target`, or `None` for direct connections. A proxy that is not valid is
    /// recorded as a problem and ignored.
    pub(super) fn proxy(&mut self, target: &Uri) -> Option<Proxy> {
        let is_direct = ["NO_PROXY", "no_proxy"].iter().find_map(|name| self.get(name));
        if is_direct.is_some_and(|hosts| has_host(&hosts, target)) {
            return None;
        }
        let own = match target.scheme_str() {
            Some("https") => ["HTTPS_PROXY", "https_proxy"],
            _ => ["HTTP_PROXY", "http_proxy"],
        };
        let mut all = own.into_iter().chain(["ALL_PROXY", "all_proxy"]);
        all.find_map(|name| if self.is_request_header(name) { None } else { self.proxy_in(name) })
    }

    /// Returns whether the value of this variable may come from a client. A program that a web server starts for each
    /// request (CGI) has the headers of the request as variables, and `HTTP_PROXY` is then the header `Proxy`. See
    /// <https://httpoxy.org>.
    fn is_request_header(&mut self, name: &str) -> bool {
        let is_header = name == "HTTP_PROXY" && self.has_value("REQUEST_METHOD") && self.has_value(name);
        if is_header {
            self.problem(
                "HTTP_PROXY is ignored, because REQUEST_METHOD is set and a client can set HTTP_PROXY in a CGI program: \
                 use http_proxy in lower case"
                    .to_owned(),
            );
        }
        is_header
    }

    fn proxy_in(&mut self, name: &str) -> Option<Proxy> {
        let written = self.get(name)?;
        let whole = if written.contains("://") { written.clone() } else { format!("http://{written}") };
        let proxy = parsed(&whole).and_then(|_| Proxy::new(&whole).ok());
        if proxy.is_none() {
            self.problem(format!(
                "invalid {name} `{}`: use the URL of an HTTP proxy, such as http://proxy:3128; the variable is ignored",
                redacted(&written)
            ));
        }
        proxy
    }

    /// Sets the proxy of a signal that is sent over OTLP. gRPC has none, which is recorded as a problem if a proxy is
    /// configured for the endpoint.
    pub(super) fn add_proxy(&mut self, over: &mut Otlp) {
        let proxy = self.proxy(&over.endpoint);
        if over.protocol != Protocol::Grpc {
            over.proxy = proxy;
        } else if proxy.is_some() {
            self.problem(format!(
                "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is set, and gRPC uses no proxy: the connection to {} is direct; \
                 set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf to use the proxy",
                over.endpoint.host().unwrap_or_default()
            ));
        }
    }
}

/// Returns whether `hosts`, the value of `NO_PROXY`, has the host of `target`. An entry is `*`, a domain with all its
/// subdomains, an address, or a range of addresses such as `10.0.0.0/8`. A domain or address may have a port.
fn has_host(hosts: &str, target: &Uri) -> bool {
    let Some(host) = target.host() else { return false };
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let default = if target.scheme_str() == Some("https") { 443 } else { 80 };
    let port = target.port_u16().unwrap_or(default);
    hosts.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let (name, own_port) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port.parse().ok()),
            _ => (entry, None),
        };
        let name = name.trim_matches(['[', ']']).trim_start_matches("*.").trim_matches('.');
        let name = name.to_ascii_lowercase();
        let is_host = name == "*"
            || name == host
            || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))
            || in_range(&name, &host);
        is_host && own_port.is_none_or(|own: u16| own == port)
    })
}

/// Returns whether the address `host` is in a range such as `10.0.0.0/8`.
fn in_range(range: &str, host: &str) -> bool {
    let Some((network, length)) = range.split_once('/') else { return false };
    let (Ok(network), Ok(host), Ok(length)) =
        (network.parse::<IpAddr>(), host.parse::<IpAddr>(), length.parse::<u32>())
    else {
        return false;
    };
    let is_within =
        |all: u32, differing: u128| length <= all && differing.checked_shr(all - length).unwrap_or(0) == 0;
    match (network, host) {
        (IpAddr::V4(network), IpAddr::V4(host)) => is_within(32, (network.to_bits() ^ host.to_bits()).into()),
        (IpAddr::V6(network), IpAddr::V6(host)) => is_within(128, network.to_bits() ^ host.to_bits()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    const PLAIN: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318");
    const SECURE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example");

    /// Returns the host of the proxy, and the problems.
    fn proxy(variables: &[(&str, &str)]) -> (Option<String>, Vec<String>) {
        let environment = read(variables);
        let proxy = environment.traces_over.proxy.map(|proxy| proxy.host().to_owned());
        (proxy, environment.problems)
    }

    #[test]
    fn a_proxy_is_chosen_by_the_scheme_of_the_endpoint() {
        let [http, https, all] = [
            ("http_proxy", "http://plain:3128"),
            ("HTTPS_PROXY", "https://user:secret@secure:3128"),
            ("ALL_PROXY", "any:3128"),
        ];
        let host = |variables: &[(&str, &str)]| proxy(variables).0.unwrap_or_default();
        assert_eq!(host(&[PLAIN, http, https, all]), "plain");
        assert_eq!(host(&[SECURE, http, https, all]), "secure");
        assert_eq!(host(&[PLAIN, https, all]), "any");
        assert_eq!(host(&[PLAIN, https]), "");
        let environment = read(&[("SENTRY_DSN", "https://key@sentry.example/1"), https]);
        assert_eq!(environment.sentry.unwrap().proxy.unwrap().host(), "secure");
    }

    #[test]
    fn an_invalid_proxy_is_reported_and_the_next_one_applies() {
        for wrong in [
            "socks5://user:secret@proxy",
            "http://user:secret%40proxy",
            "ftp://proxy",
            "http://proxy:99999",
            "pro xy",
            "http://",
            "::",
        ] {
            let wrong = ("HTTP_PROXY", wrong);
            let (next, problems) = proxy(&[PLAIN, wrong, ("ALL_PROXY", "any")]);
            assert_eq!(next.as_deref(), Some("any"), "{wrong:?}");
            let is_safe = |line: &String| line.contains("HTTP_PROXY") && !line.contains("secret");
            assert!(problems.len() == 1 && problems.iter().all(is_safe), "{problems:?}");
            assert_eq!(proxy(&[PLAIN, wrong]).0, None);
            assert!(read(&[wrong]).problems.is_empty(), "nothing is sent over HTTP");
        }
    }

    #[test]
    fn a_proxy_that_a_client_may_have_chosen_is_ignored_and_reported() {
        let variables = [PLAIN, ("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://user:secret@evil:3128")];
        let (none, problems) = proxy(&variables);
        assert_eq!(none, None);
        let is_safe = |line: &String| line.contains("HTTP_PROXY") && !line.contains("secret");
        assert!(problems.len() == 1 && problems.iter().all(is_safe), "{problems:?}");
        let (own, problems) = proxy(&[variables[0], variables[1], variables[2], ("http_proxy", "own:3128")]);
        assert_eq!((own.as_deref(), problems.len()), (Some("own"), 1));
        let (own, problems) = proxy(&[PLAIN, variables[1], ("http_proxy", "own:3128")]);
        assert_eq!((own.as_deref(), problems.len()), (Some("own"), 0));
        assert_eq!(proxy(&[SECURE, variables[1], ("HTTPS_PROXY", "secure")]).1, Vec::<String>::new());
    }

    #[test]
    fn grpc_reports_a_proxy_that_it_does_not_use() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let (none, problems) = proxy(&[PLAIN, grpc, ("HTTP_PROXY", "proxy")]);
        assert_eq!(none, None);
        assert!(matches!(&problems[..], [one] if one.contains("HTTP_PROXY")), "{problems:?}");
        assert!(proxy(&[PLAIN, grpc, ("HTTP_PROXY", "proxy"), ("NO_PROXY", "*")]).1.is_empty());
    }

    #[test]
    fn hosts_without_a_proxy_are_domains_addresses_and_ranges() {
        for (entry, url, is_direct) in [
            ("*", "http://a.example", true),
            ("b.example, a.example", "http://A.example", true),
            ("example", "http://a.example", true),
            (".example", "http://a.example", true),
            ("*.example", "http://a.example", true),
            ("ample", "http://a.example", false),
            ("a.example:4318", "http://a.example:4318", true),
            ("a.example:4318", "http://a.example", false),
            ("a.example:443", "https://a.example", true),
            ("127.0.0.1", "http://127.0.0.1:4318", true),
            ("10.0.0.0/8", "http://10.9.8.7", true),
            ("10.0.0.0/8", "http://11.9.8.7", false),
            ("0.0.0.0/0", "http://11.9.8.7", true),
            ("10.0.0.0/99", "http://10.9.8.7", false),
            ("::1", "http://[::1]:4318", true),
            ("[::1]:4318", "http://[::1]:4318", true),
            ("fd00::/8", "http://[fd12::1]", true),
            (",", "http://a.example", false),
        ] {
            assert_eq!(has_host(entry, &url.parse().unwrap()), is_direct, "{entry} and {url}");
        }
    }
}
