//! The HTTP client of the exporters and of the Sentry transport, built on ureq. It blocks the calling thread, so use
//! it only on threads that do nothing except send.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::http::Uri;
use ureq::tls::TlsConfig;

use super::environment::tls::Tls;
use super::logs::Refusal;
use crate::base::notices;

/// The maximum number of bytes that are read from a response.
pub(super) const ANSWER: u64 = 4 << 20;

/// Returns a client whose requests take at most this long. It uses the proxy that the environment configures. It does
/// not follow redirects, because a redirect would send headers with credentials to another host.
pub(super) fn agent(timeout: Duration, tls: TlsConfig) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
    config.max_redirects(0).tls_config(tls).build().into()
}

/// Returns the host and port of a URL, without the user name and password that it may contain.
pub(super) fn place(url: &Uri) -> String {
    let (host, port) = (url.host().unwrap_or_default(), url.port_u16());
    port.map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// The client of the OTLP exporters.
#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
    /// For log records: what notes that the collector accepts none. `None` for other signals.
    refusal: Option<Arc<Refusal>>,
}

impl Client {
    pub(super) fn new(timeout: Duration, tls: &Tls) -> Client {
        Client { agent: agent(timeout, tls.http_config().build()), refusal: None }
    }

    /// Returns a client for a signal that the collector may refuse.
    pub(super) fn refusable(self, refusal: &Arc<Refusal>) -> Client {
        Client { refusal: Some(Arc::clone(refusal)), ..self }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
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
