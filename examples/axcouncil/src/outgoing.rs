//! Calls to other services. Each takes the trace along. Those who serve the models are also told for which company, since
//! they account by it; a payment provider is a stranger, and is told nothing.

use process_runtime::propagation;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};

/// Whoever calls other services.
#[derive(Clone)]
pub(crate) struct Outgoing {
    client: Client,
    context: propagation::Outgoing,
}

impl Outgoing {
    pub(crate) fn new(models: &Url) -> Result<Outgoing, reqwest::Error> {
        // Everything is on this machine: a proxy of the environment has no part in it. And what one host may know
        // must not go wherever it redirects us.
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

    /// Sends a request as part of what runs now.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, reqwest::Error> {
        let mut request = request.build()?;
        let host = request.url().authority().to_owned();
        self.context.inject(&host, request.headers_mut());
        self.client.execute(request).await
    }
}
