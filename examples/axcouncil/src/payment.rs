//! Subscriptions: computes the bill, charges the card, and writes the invoice.

mod bill;
#[cfg(test)]
mod contracts;
mod provider;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use process_runtime::{Carrier, critical_process, record};
use serde::{Deserialize, Serialize};

use self::bill::Bill;
pub(crate) use self::provider::Payments;
use self::provider::{Card, ChargeError};
use crate::api::Body;
use crate::auth::User;
use crate::database::DatabaseError;
use crate::error::ApiError;
use crate::service::Service;

/// The body of a request for a subscription.
#[derive(Deserialize)]
pub(crate) struct Order {
    plan: String,
    seats: u32,
    /// The provider's token of the card, never its number.
    card: Card,
}

/// A paid invoice.
#[derive(Serialize)]
pub(crate) struct Invoice {
    id: i64,
    #[serde(flatten)]
    bill: Bill,
}

/// The reason why the service cannot confirm a subscription. The card may have been charged nevertheless.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PaymentError {
    #[error("unknown plan")]
    UnknownPlan,
    #[error("the plan is not available with this number of seats")]
    Seats,
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error("the total does not fit into an integer")]
    TooLarge,
    #[error("the invoice cannot be written")]
    Database(#[from] DatabaseError),
}

impl PaymentError {
    fn kind(&self) -> &'static str {
        match self {
            PaymentError::UnknownPlan => "unknown_plan",
            PaymentError::Seats => "seats",
            PaymentError::Charge(error) => error.kind(),
            PaymentError::TooLarge => "bill_too_large",
            PaymentError::Database(error) => error.kind(),
        }
    }
}

impl From<PaymentError> for ApiError {
    fn from(error: PaymentError) -> ApiError {
        match error {
            PaymentError::UnknownPlan => ApiError::not_found("plan"),
            PaymentError::Seats => ApiError::invalid("The plan is not available with this number of seats."),
            PaymentError::Charge(ChargeError::Declined) => {
                ApiError::new(StatusCode::PAYMENT_REQUIRED, "card_declined", "The card was declined.")
            }
            PaymentError::Charge(_) => {
                let message = "The payment could not be completed.";
                ApiError::new(StatusCode::BAD_GATEWAY, "payment_unavailable", message)
            }
            PaymentError::TooLarge | PaymentError::Database(_) => ApiError::internal(),
        }
    }
}

/// `POST /subscriptions`. A charge that has begun continues if the client hangs up. If the charge were dropped, the
/// card might be charged while the invoice stays open.
pub(crate) async fn create(
    State(service): State<Service>,
    user: User,
    Body(order): Body<Order>,
) -> Result<(StatusCode, Json<Invoice>), ApiError> {
    let charging = Arc::clone(&service.charges).read_owned().await;
    let run = user.scope().run(|| Carrier::current().carry(subscribe(service, user, order)));
    let run = async move {
        // The shutdown of the service waits until this guard is dropped.
        let _charging = charging;
        run.await
    };
    let invoice = tokio::spawn(run).await.map_err(|_| ApiError::internal())??;
    Ok((StatusCode::CREATED, Json(invoice)))
}

/// Charges a card for a plan, and writes the invoice.
#[critical_process(
    id = "payment_subscription",
    version = "1.2.0",
    sla = "10s",
    criticality = critical,
    owner = "billing",
    runbook = "docs/runbooks/payments.md",
    objective = 99.95,
    context(plan = &order.plan, seats = order.seats, inherit(user_id, company_id), later(invoice_id, total_cents)),
    rejects(
        PaymentError::UnknownPlan | PaymentError::Seats | PaymentError::Charge(ChargeError::Declined)
    ),
    error_type = PaymentError::kind,
    depends_on("payment_provider", "sqlite"),
)]
async fn subscribe(service: Service, user: User, order: Order) -> Result<Invoice, PaymentError> {
    let bill = price(&service, user, &order).await?;
    let id = open_invoice(&service, user, &order, &bill).await?;
    record!(invoice_id = id, total_cents = bill.total_cents);
    let charged = service.payments.charge(id, bill.total_cents, &order.card).await;
    let (status, charge) = match &charged {
        Ok(charge) => ("paid", Some(charge)),
        Err(ChargeError::Declined) => ("declined", None),
        // The card may have been charged. An operator must ask the provider about this invoice.
        Err(_) => ("unknown", None),
    };
    service
        .sqlite(
            sqlx::query("UPDATE invoices SET status = ?, charge_id = ? WHERE id = ?")
                .bind(status)
                .bind(charge)
                .bind(id)
                .execute(&service.database),
        )
        .await?;
    charged?;
    Ok(Invoice { id, bill })
}

async fn price(service: &Service, user: User, order: &Order) -> Result<Bill, PaymentError> {
    let plan: Option<(i64, i64, i64)> = service
        .sqlite(
            sqlx::query_as(
                "SELECT cents_per_seat, most_seats, tax_basis_points FROM plans, companies
                 WHERE plans.id = ? AND companies.id = ?",
            )
            .bind(&order.plan)
            .bind(user.company)
            .fetch_optional(&service.database),
        )
        .await?;
    let (cents_per_seat, most_seats, tax) = plan.ok_or(PaymentError::UnknownPlan)?;
    let seats = i64::from(order.seats);
    if seats == 0 || seats > most_seats {
        return Err(PaymentError::Seats);
    }
    Bill::compute(seats, cents_per_seat, tax).ok_or(PaymentError::TooLarge)
}

async fn open_invoice(
    service: &Service,
    user: User,
    order: &Order,
    bill: &Bill,
) -> Result<i64, DatabaseError> {
    let written = service
        .sqlite(
            sqlx::query(
                "INSERT INTO invoices (company_id, plan_id, seats, net_cents, tax_cents, total_cents)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(user.company)
            .bind(&order.plan)
            .bind(order.seats)
            .bind(bill.net_cents)
            .bind(bill.tax_cents)
            .bind(bill.total_cents)
            .execute(&service.database),
        )
        .await?;
    Ok(written.last_insert_rowid())
}
