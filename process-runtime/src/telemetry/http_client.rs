//! The HTTP client of exporters and of Sentry's thread: ureq. It blocks, on threads that send and do nothing else.

use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use ureq::http::Uri;
use ureq::tls::TlsConfig;

use super::environment::tls::Tls;
use crate::base::notices;

/// The most bytes of an answer.
pub(super) const ANSWER: u64 = 4 << 20;

/// Connections of one peer, whose requests take at most this long. The proxy is the environment's. No redirect is
/// followed: what arrives elsewhere arrives nowhere, and headers hold keys.
pub(super) fn agent(timeout: Duration, tls: TlsConfig) -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
    config.max_redirects(0).tls_config(tls).build().into()
}

/// Who is at a URL, without a name and a password that may stand in it.
pub(super) fn place(url: &Uri) -> String {
    let (host, port) = (url.host().unwrap_or_default(), url.port_u16());
    port.map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// What OTLP exporters send with.
#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
}

impl Client {
    pub(super) fn new(timeout: Duration, tls: &Tls) -> Client {
        Client { agent: agent(timeout, tls.http_config().build()) }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let (place, path) = (place(&parts.uri), parts.uri.path().to_owned());
        // The exporter says that it failed, and not why.
        let failed = |error: &ureq::Error| notices::once(format!("{place} takes no telemetry: {error}"));
        let answer = self.agent.run(Request::from_parts(parts, body.to_vec())).inspect_err(failed)?;
        let (parts, mut body) = answer.into_parts();
        if !parts.status.is_success() {
            notices::once(format!("{place}{path} answers {}: no telemetry is taken there", parts.status));
        }
        let body = body.with_config().limit(ANSWER).read_to_vec().inspect_err(failed)?;
        Ok(Response::from_parts(parts, body.into()))
    }
}
