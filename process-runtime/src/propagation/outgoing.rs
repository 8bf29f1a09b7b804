//! Sends business context to other services. The application lists the keys that each host may receive; all other keys
//! stay in the service. The format of the header does not belong here.

use http::HeaderMap;
use http::uri::Authority;

use super::baggage;
use super::trace::inject;
use crate::base::cause::Cause;
use crate::run::frame;

static INVALID_HOST: Cause = Cause::new(
    "invalid host in `Outgoing::allow`: use the host and port of the URL, as in `models.internal:8443`; no context is \
     sent to",
);

/// Sends the trace to every host, and listed keys of the business context to listed hosts.
///
/// The keys are sent as [W3C Baggage](https://www.w3.org/TR/baggage/).
///
/// ```
/// use http::{HeaderMap, Uri};
/// use process_runtime::context::Scope;
/// use process_runtime::propagation::Outgoing;
///
/// let outgoing = Outgoing::new().allow("models.internal:8443", ["company_id"]);
/// let headers_to = |url: &'static str| {
///     let mut headers = HeaderMap::new();
///     outgoing.inject(Uri::from_static(url).authority().unwrap().as_str(), &mut headers);
///     headers
/// };
/// Scope::new().set("company_id", 7).set("user_id", 1).run(|| {
///     assert_eq!(headers_to("https://models.internal:8443/v1/answer")["baggage"], "company_id=7");
///     assert!(!headers_to("https://payments.example/v1/charges").contains_key("baggage"));
/// });
/// ```
///
/// A value is sent in the form in which it is recorded. For example, it is masked if the attribute masks it. The
/// context exists only if a destination observes the run. Use it for telemetry, and do not base decisions on it.
///
/// A client that follows a redirect sends the same headers to the new host; reqwest removes only credentials from
/// them. For calls to a listed host, disable redirects in the client, or follow each redirect with a separate call.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is sent until `inject` is called"]
pub struct Outgoing {
    hosts: Vec<(String, Vec<&'static str>)>,
}

impl Outgoing {
    /// Returns an `Outgoing` without listed hosts, which sends only the trace.
    pub fn new() -> Outgoing {
        Outgoing::default()
    }

    /// Allows sending these keys to a host.
    ///
    /// Write the host as in its URLs: `models.internal`, or `models.internal:8443` if the port is not the default of
    /// the scheme. Patterns are not supported. An invalid host is reported and ignored.
    pub fn allow(mut self, host: &str, keys: impl IntoIterator<Item = &'static str>) -> Outgoing {
        match host.parse::<Authority>() {
            Ok(_) if !host.contains(['@', '*']) => {
                self.hosts.push((host.to_owned(), baggage::valid_keys(keys)));
            }
            // The host may come from a request, so it is only a sample.
            _ => INVALID_HOST.happened(host),
        }
        self
    }

    /// Adds the trace, and the values of the keys that are allowed for this host, to the headers of a call. An
    /// existing header `baggage` is removed.
    ///
    /// `host` is the authority of the URL that the client calls: `Uri::authority` of http, or `Url::authority` of
    /// reqwest. It is compared with the listed hosts, ignoring case. An authority with another port, a user name or a
    /// final dot is a different host and receives no keys.
    pub fn inject(&self, host: &str, headers: &mut HeaderMap) {
        inject(headers);
        let allowed = self.hosts.iter().filter(|(known, _)| known.eq_ignore_ascii_case(host));
        let keys: Vec<_> = allowed.flat_map(|(_, keys)| keys).collect();
        if keys.is_empty() {
            return;
        }
        let Some(scope) = frame::nearest() else { return };
        let values = scope.values_now();
        let allowed = values.iter().filter(|(name, _)| keys.contains(&name));
        if let Some(header) = baggage::write(allowed) {
            // Fails only if the call has more headers than a map can hold.
            let _ = headers.try_insert(baggage::HEADER, header);
        }
    }
}
