//! URLs of collectors: which part of a URL is used, and what is wrong with it. Opening a connection does not belong
//! here.

use ureq::http::Uri;
use ureq::http::uri::{Authority, PathAndQuery};

use super::otlp::{Protocol, both};
use super::variables::{self, Variables, shown};

/// The paths that exporters append to the general endpoint.
const PATHS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];

impl Variables {
    /// Returns the configured endpoint of a signal.
    pub(super) fn endpoint(&mut self, signal: &str, protocol: Protocol) -> Option<Uri> {
        let [own, all] = both(signal, "ENDPOINT");
        let [own_insecure, insecure] = both(signal, "INSECURE");
        // Only gRPC needs these variables, but their values are checked in any case.
        let all_insecure = self.boolean(&insecure);
        let is_insecure = self.boolean(&own_insecure).or(all_insecure) == Some(true);
        if protocol == Protocol::Grpc {
            let scheme = if is_insecure { "http" } else { "https" };
            let all = self.url(&all, Some(scheme));
            return self.url(&own, Some(scheme)).or(all);
        }
        let collector = self.url(&all, None).and_then(|url| {
            let base = url.path().trim_end_matches('/');
            let plain = PATHS.iter().fold(base, |base, path| base.trim_end_matches(path)).trim_end_matches('/');
            if plain != base {
                self.problem(format!(
                    "invalid {all}: remove {} from its path, as in http://collector:4318; the URL is used without it",
                    PATHS.map(|path| format!("`{path}`")).join(", ")
                ));
            }
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            with_path(url.clone(), &format!("{plain}/v1/{}{query}", signal.to_ascii_lowercase()))
        });
        self.url(&own, None).or(collector)
    }

    /// Returns the value of a variable that must be a URL with a host. If `grpc_scheme` is given, the URL is for gRPC,
    /// and may also be a host and a port, to which the scheme is added. An invalid value is recorded as a problem and
    /// ignored. A part that is not sent is recorded as a problem and left out. A problem does not quote what may be a
    /// secret.
    fn url(&mut self, name: &str, grpc_scheme: Option<&str>) -> Option<Uri> {
        let written = self.get(name)?;
        let whole = match (grpc_scheme, scheme_of(&written)) {
            (Some(scheme), None) => format!("{scheme}://{written}"),
            (_, Some(scheme)) => scheme.to_ascii_lowercase() + &written[scheme.len()..],
            _ => written.clone(),
        };
        let Some(url) = parsed(&whole) else {
            let example = if grpc_scheme.is_some() { "4317" } else { "4318" };
            self.problem(format!(
                "invalid {name} `{}`: use a URL with a scheme, a host and a port from 1 to 65535, such as \
                 http://collector:{example}; the variable is ignored",
                redacted(&written)
            ));
            return None;
        };
        let mut unsent = |is_unsent: bool, part: &str, instead: &str| {
            if is_unsent {
                self.problem(format!(
                    "invalid {name} `{}`: {part} of its URL is not sent; {instead}; the URL is used without it",
                    redacted(&written)
                ));
            }
        };
        unsent(whole.contains('#'), "the part after `#`", "remove it, or write `%23` for `#`");
        let user = "the user name or password";
        unsent(has_user(&url), user, "put it into the header `authorization` of OTEL_EXPORTER_OTLP_HEADERS");
        let url = without_user(url)?;
        if grpc_scheme.is_some() && url.path_and_query().is_some_and(|path| path != "/") {
            unsent(true, "the path or query", "gRPC has none, so remove it");
            return with_path(url, "/");
        }
        Some(url)
    }
}

/// Returns the scheme of a URL. A `://` after the beginning of the path is not the end of a scheme.
fn scheme_of(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    (!scheme.contains(['/', '?', '#'])).then_some(scheme)
}

/// Parses a URL over HTTP with a host and a port that exists, if the URL has a port.
pub(super) fn parsed(url: &str) -> Option<Uri> {
    let url: Uri = url.parse().ok()?;
    let authority = url.authority()?;
    let place = authority.as_str().rsplit('@').next()?;
    // `port_u16` returns `None` both for a missing port and for an invalid one.
    let has_port = place.len() > authority.host().len();
    let is_valid = match has_port {
        true => authority.port_u16().is_some_and(|port| port > 0),
        false => true,
    };
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    (is_http && is_valid && !authority.host().is_empty()).then_some(url)
}

fn has_user(url: &Uri) -> bool {
    url.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

fn without_user(url: Uri) -> Option<Uri> {
    let mut parts = url.into_parts();
    let place = parts.authority.as_ref()?.as_str().rsplit('@').next()?.to_owned();
    parts.authority = Some(place.parse::<Authority>().ok()?);
    Uri::from_parts(parts).ok()
}

fn with_path(url: Uri, path: &str) -> Option<Uri> {
    let mut parts = url.into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// Returns a URL as it can be part of a line. A user name, a password and a query may be secrets.
pub(super) fn redacted(url: &str) -> String {
    if variables::has_user(url) {
        let is_plain =
            |scheme: &&str| scheme.len() < 8 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let scheme = scheme_of(url).filter(is_plain).map(|scheme| format!("{scheme}://"));
        return scheme.unwrap_or_default() + "…";
    }
    match url.split_once(['?', '#']) {
        Some((place, _)) => format!("{}?…", shown(place)),
        None => shown(url),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Destination;
    use super::super::tests::read;

    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

    #[test]
    fn the_path_of_a_signal_is_added_to_the_path_of_the_general_endpoint() {
        for (written, sent) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            (" http://collector:4318/// ", "http://collector:4318/v1/traces"),
            ("HTTPS://collector", "https://collector/v1/traces"),
            ("http://collector/base/", "http://collector/base/v1/traces"),
            ("http://collector?token=a/b", "http://collector/v1/traces?token=a/b"),
            ("http://collector/base/?a=1&b=%2F", "http://collector/base/v1/traces?a=1&b=%2F"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ] {
            let environment = read(&[(ALL, written)]);
            assert_eq!(environment.traces_over.endpoint, sent, "{written}");
            assert!(environment.problems.is_empty(), "{:?}", environment.problems);
        }
    }

    #[test]
    fn the_endpoint_of_a_signal_is_used_as_it_is() {
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        for url in
            ["http://collector:4318/in?token=a", "http://collector:4318/v1/traces/", "https://collector/"]
        {
            let environment = read(&[(own, url)]);
            assert_eq!(environment.traces_over.endpoint, url);
            assert!(environment.problems.is_empty(), "{:?}", environment.problems);
        }
    }

    #[test]
    fn a_part_that_is_not_sent_is_left_out_and_reported_without_a_secret() {
        for (protocol, written, sent) in [
            ("http/json", "http://collector:4318/v1/traces/", "http://collector:4318/v1/traces"),
            ("http/json", "http://collector:4318/#secret", "http://collector:4318/v1/traces"),
            ("http/json", "http://user:secret@collector:4318", "http://collector:4318/v1/traces"),
            ("http/json", "http://secret@collector/?a=b", "http://collector/v1/traces?a=b"),
            ("grpc", "http://collector:4317/in", "http://collector:4317/"),
            ("grpc", "collector:4317?token=secret", "https://collector:4317/"),
            ("grpc", "user:secret@collector:4317", "https://collector:4317/"),
        ] {
            let environment = read(&[(ALL, written), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
            assert_eq!(environment.traces_over.endpoint, sent, "{written}");
            let names = |line: &String| line.contains(ALL) && !line.contains("secret");
            let problems = &environment.problems;
            assert!(problems.len() == 1 && problems.iter().all(names), "{written}: {problems:?}");
        }
    }

    #[test]
    fn an_endpoint_that_cannot_be_used_is_ignored_and_reported_without_a_secret() {
        for (protocol, written) in [
            ("http/json", "collector:4318"),
            ("http/json", "collector"),
            ("http/json", "//collector:4318"),
            ("http/json", "http:/collector:4318"),
            ("http/json", "ftp://collector"),
            ("http/json", "http://"),
            ("http/json", "http:///v1/traces"),
            ("http/json", "http://:4318"),
            ("http/json", "http://collector:"),
            ("http/json", "http://collector:0"),
            ("http/json", "http://collector:65536"),
            ("http/json", "http://collector:99999/secret?secret"),
            ("http/json", "http://collector:-1"),
            ("http/json", "http://collector:http"),
            ("http/json", "http://coll ector:4318"),
            ("http/json", "\"http://collector:4318\""),
            ("http/json", "user:secret@collector"),
            ("http/json", "http://user:secret%40collector:4318"),
            ("http/json", "user:secret%2540collector"),
            ("grpc", "user:secret%40collector:4317"),
            ("http/json", "http://user:se/secret@collector:4318:1"),
            ("grpc", "unix:///run/collector"),
            ("grpc", "collector:70000"),
            ("grpc", "://"),
        ] {
            let environment = read(&[(ALL, written), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
            assert_eq!(environment.traces, Destination::Files, "{written}");
            let is_safe = |line: &String| line.contains(ALL) && !line.contains("user");
            let problems = &environment.problems;
            assert!(problems.len() == 1 && problems.iter().all(is_safe), "{written}: {problems:?}");
        }
    }
}
