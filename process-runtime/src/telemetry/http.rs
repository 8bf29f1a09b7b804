//! The HTTP client of OTLP exporters: ureq, which Sentry's transport uses too. It blocks, on the threads of the SDK
//! that export and do nothing else.

use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

use crate::report;

/// The most bytes of an answer.
const ANSWER: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
}

impl Client {
    pub(super) fn new(timeout: Duration) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
        Client { agent: config.build().into() }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        // Without a name and a password that may stand in it.
        let (host, port) = (parts.uri.host().unwrap_or_default(), parts.uri.port_u16());
        let place = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let answer = self.agent.run(Request::from_parts(parts, body.to_vec())).inspect_err(|error| {
            // The exporter says that it failed, and not why.
            report::once(format!("{place} takes no telemetry: {error}"));
        })?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}
