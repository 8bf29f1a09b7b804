//! What calls to other services say beside the trace: business context, to those who were listed for it.

use http::HeaderMap;
use http::uri::Authority;

use super::{baggage, inject};
use crate::base::notices;
use crate::run::frame;

/// What other services are told of the business context, as [W3C Baggage](https://www.w3.org/TR/baggage/): listed keys
/// to listed hosts, and to all others nothing but the trace.
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
/// A value is sent as it is recorded: masked where the attribute masks it. Like everything in the context of a run it
/// is there only where somebody observes the run, so it is for telemetry, and nothing should be decided by it.
///
/// A client that follows redirects takes the headers along, to whatever host it is sent to (reqwest leaves out
/// credentials then, and nothing else). Turn redirects off in the client of a host that is listed, or follow them by
/// calls of their own.
#[derive(Clone, Debug, Default)]
#[must_use = "it does nothing before `inject`"]
pub struct Outgoing {
    hosts: Vec<(String, Vec<&'static str>)>,
}

impl Outgoing {
    /// Nobody is told anything.
    pub fn new() -> Outgoing {
        Outgoing::default()
    }

    /// Tells a host the values of these keys. The host stands here as in its URLs: `models.internal`, or with a port
    /// that is not the scheme's own `models.internal:8443`. There are no patterns.
    pub fn allow(mut self, host: &str, keys: impl IntoIterator<Item = &'static str>) -> Outgoing {
        match host.parse::<Authority>() {
            Ok(_) if !host.contains(['@', '*']) => {
                self.hosts.push((host.to_owned(), baggage::listed(keys)));
            }
            _ => notices::once(format!("`{host}` is no host: it is told nothing of the context")),
        }
        self
    }

    /// Adds the trace, and what this host may be told, to the headers of a call to it. Baggage that they have already
    /// is taken out, wherever it came from.
    ///
    /// `host` is the authority of the URL that the client really calls: `Uri::authority` of http, `Url::authority` of
    /// reqwest. But for the case of letters it must be the one that is listed: another port, a user name or a final
    /// dot make it another.
    pub fn inject(&self, host: &str, headers: &mut HeaderMap) {
        inject(headers);
        let allowed = self.hosts.iter().filter(|(known, _)| known.eq_ignore_ascii_case(host));
        let keys: Vec<_> = allowed.flat_map(|(_, keys)| keys).collect();
        if keys.is_empty() {
            return;
        }
        let Some(scope) = frame::nearest() else { return };
        let values = scope.values_now();
        let told = values.iter().filter(|(name, _)| keys.contains(&name));
        headers.extend(baggage::write(told).map(|header| (baggage::HEADER, header)));
    }
}
