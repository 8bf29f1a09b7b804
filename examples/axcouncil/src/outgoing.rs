//! Calls to other services. Each request carries the trace. Requests to the models also carry the id of the company,
//! which the gateway records. Requests to the payment provider carry no business context.

use process_runtime::propagation;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};

/// The client for other services.
#[derive(Clone)]
pub(crate) struct Outgoing {
    client: Client,
    context: propagation::Outgoing,
}

impl Outgoing {
    pub(crate) fn new(models: &Url) -> Result<Outgoing, reqwest::Error> {
        // All peers are on this machine, so a proxy from the environment is ignored. Redirects are not followed,
        // because another host must not receive the context that is meant for the first host.
        let client = Client::builder().no_proxy().redirect(Policy::none()).build()?;
        let context = propagation::Outgoing::new().allow(models.authority(), ["company_id"]);
        Ok(Outgoing { client, context })
    }

    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request that carries the trace of the current run, and the business context that the host may receive.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let mut request = request.build()?;
        let host = request.url().authority().to_owned();
        self.context.inject(&host, request.headers_mut());
        self.client.execute(request).await
    }
}
