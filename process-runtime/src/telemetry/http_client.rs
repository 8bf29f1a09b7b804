//! The HTTP client of the exporters and of the Sentry transport, built on ureq. It blocks the calling thread, so use
//! it only on threads that do nothing except send.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::Proxy;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use ureq::http::{HeaderMap, Uri};
use ureq::tls::TlsConfig;

use super::environment::Otlp;
use super::logs::Refusal;
use crate::base::notices;

/// The maximum number of bytes that are read from a response.
pub(super) const ANSWER: u64 = 4 << 20;

/// Returns a client whose requests take at most this long. It does not follow redirects, because a redirect would send
/// headers with credentials to another host.
pub(super) fn agent(timeout: Duration, tls: TlsConfig, proxy: Option<Proxy>) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
    config.max_redirects(0).tls_config(tls).proxy(proxy).build().into()
}

/// Returns the host and port of a URL, without the user name and password that it may contain.
pub(super) fn place(url: &Uri) -> String {
    let (host, port) = (url.host().unwrap_or_default(), url.port_u16());
    port.map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// Replaces the headers that the exporter has read from the environment itself. The exporter ignores headers that are
/// not valid without a report.
pub(super) fn replace_headers(sent: &mut HeaderMap, configured: &HeaderMap) {
    let own = [CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT];
    let own = own.map(|name| sent.remove(&name).map(|value| (name, value)));
    sent.clear();
    sent.extend(own.into_iter().flatten());
    configured.iter().for_each(|(name, value)| drop(sent.insert(name, value.clone())));
}

/// The client of the OTLP exporters.
#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
    headers: HeaderMap,
    /// For log records: what notes that the collector accepts none. `None` for other signals.
    refusal: Option<Arc<Refusal>>,
}

impl Client {
    pub(super) fn new(over: &Otlp, refusal: Option<Arc<Refusal>>) -> Client {
        let agent = agent(over.timeout, over.tls.http_config().build(), over.proxy.clone());
        Client { agent, headers: over.headers.clone(), refusal }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        replace_headers(&mut parts.headers, &self.headers);
        let (place, path) = (place(&parts.uri), parts.uri.path().to_owned());
        // OpenTelemetry reports that an export failed, but it does not report the cause.
        let failed =
            |error: &ureq::Error| notices::once(format!("cannot send telemetry to {place}: {error}"));
        let answer = self.agent.run(Request::from_parts(parts, body.to_vec())).inspect_err(failed)?;
        let (parts, mut body) = answer.into_parts();
        let is_refusal = |refusal: &Arc<Refusal>| refusal.is_meant_by(parts.status, &place);
        if !parts.status.is_success() && !self.refusal.as_ref().is_some_and(is_refusal) {
            notices::once(format!("cannot send telemetry to {place}{path}: the status is {}", parts.status));
        }
        let body = body.with_config().limit(ANSWER).read_to_vec().inspect_err(failed)?;
        Ok(Response::from_parts(parts, body.into()))
    }
}
