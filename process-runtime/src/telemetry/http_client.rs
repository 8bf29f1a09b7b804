//! The HTTP client of the exporters and of the Sentry transport, built on ureq. It blocks the calling thread, so use
//! it only on threads that do nothing except send.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use ureq::Proxy;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use ureq::http::{HeaderMap, Uri};
use ureq::tls::TlsConfig;

use super::environment::Otlp;
use super::logs::Refusal;
use super::signal::Route;

/// The maximum number of bytes that are read from a response. An answer in OTLP or of Sentry is much shorter.
const ANSWER: u64 = 64 << 10;

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

/// Reads a response, or `None` if it is longer than [`ANSWER`]. A connection is reused only after its response was
/// read to the end.
pub(super) fn answer(body: ureq::Body) -> io::Result<Option<Vec<u8>>> {
    let mut answer = Vec::new();
    body.into_reader().take(ANSWER + 1).read_to_end(&mut answer)?;
    Ok(Some(answer).filter(|answer| answer.len() as u64 <= ANSWER))
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
    route: Route,
}

impl Client {
    /// Creates a client that reports which of its requests fail on this route. OpenTelemetry itself reports that an
    /// export failed, but not why.
    pub(super) fn new(over: &Otlp, route: Route, refusal: Option<Arc<Refusal>>) -> Client {
        let agent = agent(over.timeout, over.tls.http_config().build(), over.proxy.clone());
        Client { agent, headers: over.headers.clone(), refusal, route }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        replace_headers(&mut parts.headers, &self.headers);
        let path = parts.uri.path().to_owned();
        let answered = self.agent.run(Request::from_parts(parts, &body[..]));
        let (parts, body) = answered.inspect_err(|error| self.route.unanswered(error))?.into_parts();
        let body = answer(body);
        if !parts.status.is_success() {
            let is_refusal = |refusal: &Arc<Refusal>| refusal.is_meant_by(parts.status, self.route.place());
            if !self.refusal.as_ref().is_some_and(is_refusal) {
                self.route.refused(&path, format_args!("the status is {}", parts.status));
            }
            return Ok(Response::from_parts(parts, Bytes::new()));
        }
        let Some(body) = body.inspect_err(|error| self.route.unanswered(error))? else {
            self.route.refused(&path, "the answer is longer than 64 KiB, so it is not in OTLP");
            return Err(ResponseBodyTooLarge::new().into());
        };
        self.route.accepted();
        Ok(Response::from_parts(parts, body.into()))
    }
}
