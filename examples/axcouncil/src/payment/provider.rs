//! The client of the payment provider.

use std::time::Duration;

use process_runtime::TimedOut;
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bounded::bounded;
use crate::outgoing::Outgoing;

/// The provider's token for a card. It has no `Debug`, because the token is enough to charge the card.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Card(String);

/// Charges cards.
pub(crate) struct Payments {
    outgoing: Outgoing,
    charges: Url,
    limit: Duration,
}

/// The reason why a charge failed, or why its result is unknown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChargeError {
    #[error("the card was declined")]
    Declined,
    #[error("the payment provider answered with status {0}")]
    Status(StatusCode),
    #[error("the payment provider did not answer in time")]
    Timeout(#[from] TimedOut),
    #[error("the payment provider cannot be reached, or its answer cannot be read")]
    Transport(#[source] reqwest::Error),
}

impl ChargeError {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            ChargeError::Declined => "card_declined",
            ChargeError::Status(_) => "payment_provider_status",
            ChargeError::Timeout(_) => "payment_provider_timeout",
            ChargeError::Transport(_) => "payment_provider_transport",
        }
    }
}

impl From<reqwest::Error> for ChargeError {
    fn from(error: reqwest::Error) -> ChargeError {
        ChargeError::Transport(error.without_url())
    }
}

impl Payments {
    pub(crate) fn new(outgoing: Outgoing, mut url: Url, limit: Duration) -> Payments {
        url.set_path("/v1/charges");
        Payments { outgoing, charges: url, limit }
    }

    /// Charges a card for an invoice and returns the id of the charge. Repeated calls for the same invoice charge the
    /// card only once.
    pub(super) async fn charge(&self, invoice: i64, cents: i64, card: &Card) -> Result<String, ChargeError> {
        let body = json!({ "idempotency_key": invoice, "amount_cents": cents, "card": card });
        let charged: Result<_, ChargeError> = bounded("payment_provider", self.limit, self.send(&body)).await;
        charged?.ok_or(ChargeError::Declined)
    }

    /// Returns the id of the charge, or `None` if the card is declined. A declined card is a regular answer, so the
    /// call to the dependency does not count as failed.
    async fn send(&self, body: &Value) -> Result<Option<String>, ChargeError> {
        let response = self.outgoing.send(self.outgoing.post(self.charges.clone()).json(body)).await?;
        match response.status() {
            StatusCode::PAYMENT_REQUIRED => Ok(None),
            status if !status.is_success() => Err(ChargeError::Status(status)),
            _ => Ok(Some(response.json::<Charge>().await?.id)),
        }
    }
}

#[derive(Deserialize)]
struct Charge {
    id: String,
}
