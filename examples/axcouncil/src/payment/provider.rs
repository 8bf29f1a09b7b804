//! The client of the payment provider.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::outgoing::Outgoing;

/// How long a charge may take: less than the SLA, so that a provider that hangs is known as that.
const LIMIT: Duration = Duration::from_secs(8);

/// The provider's token of a card. It has no `Debug`: whoever has it can charge the card.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Card(String);

/// Charges cards.
pub(crate) struct Payments {
    outgoing: Outgoing,
    charges: Url,
}

/// Why a card was not charged, as far as we know.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChargeError {
    #[error("the card was declined")]
    Declined,
    #[error("the payment provider answered with status {0}")]
    Status(StatusCode),
    #[error("the payment provider did not answer in time")]
    Timeout,
    #[error("the payment provider cannot be reached, or not be understood")]
    Transport(#[source] reqwest::Error),
}

impl ChargeError {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            ChargeError::Declined => "card_declined",
            ChargeError::Status(_) => "payment_provider_status",
            ChargeError::Timeout => "payment_provider_timeout",
            ChargeError::Transport(_) => "payment_provider_transport",
        }
    }
}

impl From<reqwest::Error> for ChargeError {
    fn from(error: reqwest::Error) -> ChargeError {
        if error.is_timeout() { ChargeError::Timeout } else { ChargeError::Transport(error.without_url()) }
    }
}

impl Payments {
    pub(crate) fn new(outgoing: Outgoing, mut url: Url) -> Payments {
        url.set_path("/v1/charges");
        Payments { outgoing, charges: url }
    }

    /// The id of the charge. The same invoice is charged once, however often it is sent.
    pub(super) async fn charge(&self, invoice: i64, cents: i64, card: &Card) -> Result<String, ChargeError> {
        let body = json!({ "idempotency_key": invoice, "amount_cents": cents, "card": card });
        let request = self.outgoing.post(self.charges.clone()).timeout(LIMIT).json(&body);
        let response = self.outgoing.send(request).await?;
        match response.status() {
            StatusCode::PAYMENT_REQUIRED => Err(ChargeError::Declined),
            status if !status.is_success() => Err(ChargeError::Status(status)),
            _ => Ok(response.json::<Charge>().await?.id),
        }
    }
}

#[derive(Deserialize)]
struct Charge {
    id: String,
}
