//! The contracts of a payment.

use std::time::Duration;

use process_runtime::testing::{Battery, Fault, Observing, observe};
use process_runtime::{Outcome, contract};

use super::*;
use crate::trial::{ADA, Platform, all};

const SHORT: Duration = Duration::from_millis(150);
const INVOICES: &str =
    "SELECT status || ' ' || coalesce(charge_id, '-') || ' ' || plan_id || ' ' || seats || ' ' ||
    net_cents || ' ' || tax_cents || ' ' || total_cents FROM invoices";

fn order(plan: &str, seats: u32) -> Order {
    Order {
        plan: plan.to_owned(),
        seats,
        card: serde_json::from_str("\"tok_canary\"").expect("it is a card"),
    }
}

fn buy(platform: &Platform, order: Order) -> Observing<impl Future<Output = Result<Invoice, PaymentError>>> {
    observe(ADA.scope().in_scope(subscribe(platform.service().clone(), ADA, order)))
}

fn answer_to(
    run: process_runtime::testing::Observation<Result<Invoice, PaymentError>>,
) -> (StatusCode, &'static str) {
    let client = ApiError::from(run.into_value().err().expect("nothing was bought"));
    (client.status, client.code)
}

#[contract(process = "payment_subscription", case = happy)]
#[tokio::test]
async fn a_card_is_charged_and_an_invoice_paid() {
    let platform = Platform::new().await;
    let run = buy(&platform, order("team", 3)).await;
    run.expect()
        .success()
        .within_sla()
        .calls(["sqlite", "sqlite", "payment_provider", "sqlite"])
        .context_value("plan", "team")
        .context_value("seats", 3)
        .context_value("invoice_id", 1)
        .context_value("total_cents", 10_353)
        .context_value("user_id", ADA.id)
        .context_value("company_id", ADA.company)
        .no_event();
    assert!(!format!("{:?}", run.runs()).contains("tok_canary"));
    let invoice = run.into_value().expect("it succeeded");
    assert_eq!(
        (invoice.id, invoice.bill.net_cents, invoice.bill.tax_cents, invoice.bill.total_cents),
        (1, 8_700, 1_653, 10_353)
    );
    assert_eq!(platform.texts(INVOICES).await, ["paid ch_1 team 3 8700 1653 10353"]);
}

#[contract(process = "payment_subscription", case = edge)]
#[tokio::test]
async fn many_seats_cost_less_and_half_a_cent_is_rounded_up() {
    let platform = Platform::new().await;
    buy(&platform, order("team", 25)).await.expect().success().context_value("total_cents", 77_648);
    assert_eq!(platform.texts(INVOICES).await, ["paid ch_1 team 25 65250 12398 77648"]);
}

#[contract(process = "payment_subscription", case = error("card_declined"))]
#[tokio::test]
async fn a_declined_card_is_rejected() {
    let platform = Platform::new().await;
    platform.payments("decline").await;
    let run = buy(&platform, order("team", 3)).await;
    run.expect().rejected("card_declined").no_event();
    assert_eq!(answer_to(run), (StatusCode::PAYMENT_REQUIRED, "card_declined"));
    assert_eq!(platform.texts(INVOICES).await, ["declined - team 3 8700 1653 10353"]);
}

#[contract(process = "payment_subscription", case = dependency("payment_provider"))]
#[tokio::test]
async fn if_the_provider_fails_the_invoice_is_unknown() {
    let platform = Platform::new().await;
    let broken = || ChargeError::Status(StatusCode::SERVICE_UNAVAILABLE);
    let run = buy(&platform, order("team", 3)).fault("payment_provider", Fault::error(broken)).await;
    run.expect()
        .failure("payment_provider_status")
        .one_event([("process_outcome", "failure"), ("invoice_id", "1")]);
    assert_eq!(answer_to(run), (StatusCode::BAD_GATEWAY, "payment_unavailable"));
    platform.payments("fail").await;
    buy(&platform, order("team", 1)).await.expect().failure("payment_provider_status");
    let invoices = ["unknown - team 3 8700 1653 10353", "unknown - team 1 2900 551 3451"];
    assert_eq!(platform.texts(INVOICES).await, invoices);
}

#[contract(process = "payment_subscription", case = timeout)]
#[tokio::test]
async fn a_charge_that_hangs_may_have_gone_through() {
    let platform = Platform::with(|limits| limits.payment_provider = SHORT).await;
    let run = buy(&platform, order("team", 3)).fault("payment_provider", Fault::hang()).await;
    run.expect().failure("payment_provider_timeout").within_sla();
    run.expect_run("payment_provider").failure("timeout");
    assert_eq!(answer_to(run), (StatusCode::BAD_GATEWAY, "payment_unavailable"));
    assert_eq!(platform.texts(INVOICES).await, ["unknown - team 3 8700 1653 10353"]);
}

#[contract(process = "payment_subscription", case = dependency("sqlite"))]
#[tokio::test]
async fn no_card_is_charged_without_an_invoice() {
    let platform = Platform::new().await;
    for call in [1, 2] {
        let fault = Fault::error(|| sqlx::Error::PoolClosed).nth(call);
        let run = buy(&platform, order("team", 3)).fault("sqlite", fault).await;
        run.expect().failure("database").calls(vec!["sqlite"; call]);
        assert_eq!(answer_to(run), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    }
    assert!(platform.texts(INVOICES).await.is_empty());
    // The card is charged, but the invoice is still open. An operator must ask the provider.
    let fault = Fault::error(|| sqlx::Error::PoolClosed).nth(3);
    buy(&platform, order("team", 3)).fault("sqlite", fault).await.expect().failure("database");
    assert_eq!(platform.texts("SELECT status FROM invoices").await, ["open"]);
}

#[contract(process = "payment_subscription", case = sla)]
#[tokio::test]
async fn it_is_late_after_ten_seconds() {
    let platform = Platform::new().await;
    let late = Fault::delay(Duration::from_millis(10_001));
    buy(&platform, order("team", 3)).fault("payment_provider", late).await.expect().success().late();
    let slow = Fault::delay(Duration::from_secs(9));
    buy(&platform, order("team", 3)).fault("payment_provider", slow).await.expect().success().within_sla();
}

#[contract(process = "payment_subscription", case = context)]
#[tokio::test]
async fn an_event_says_whose_payment_it_was_and_not_the_card() {
    let platform = Platform::new().await;
    let broken = || ChargeError::Status(StatusCode::BAD_GATEWAY);
    let run = buy(&platform, order("team", 3)).fault("payment_provider", Fault::error(broken)).await;
    run.expect().failure("payment_provider_status").one_event([
        ("process_id", "payment_subscription"),
        ("process_version", "1.2.0"),
        ("plan", "team"),
        ("seats", "3"),
        ("user_id", "1"),
        ("company_id", "1"),
        ("invoice_id", "1"),
        ("total_cents", "10353"),
    ]);
    assert!(!format!("{:?}", run.runs()).contains("tok_canary"));
}

#[contract(process = "payment_subscription", case = error("unknown_plan"))]
#[tokio::test]
async fn a_plan_that_is_not_sold_is_unknown() {
    let platform = Platform::new().await;
    let run = buy(&platform, order("gold", 1)).await;
    run.expect().rejected("unknown_plan").calls(["sqlite"]).no_event();
    assert_eq!(answer_to(run), (StatusCode::NOT_FOUND, "not_found"));
}

#[contract(process = "payment_subscription", case = error("seats"))]
#[tokio::test]
async fn a_plan_has_a_maximum_number_of_seats() {
    let platform = Platform::new().await;
    for seats in [0, 51] {
        let run = buy(&platform, order("team", seats)).await;
        run.expect().rejected("seats").calls(["sqlite"]).no_event();
        assert_eq!(answer_to(run), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
    }
    buy(&platform, order("team", 50)).await.expect().success();
}

#[contract(process = "payment_subscription", case = error("bill_too_large"))]
#[tokio::test]
async fn a_bill_that_does_not_fit_fails() {
    let platform = Platform::new().await;
    platform.change("UPDATE plans SET cents_per_seat = 9223372036854775807 WHERE id = 'team'").await;
    let run = buy(&platform, order("team", 2)).await;
    run.expect().failure("bill_too_large").calls(["sqlite"]);
    assert_eq!(answer_to(run), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
}

#[tokio::test]
async fn each_fault_leads_to_one_outcome_and_no_card_is_recorded() {
    let platform = Platform::with(|limits| *limits = all(SHORT)).await;
    Battery::new("payment_subscription")
        .outcomes([Outcome::Success, Outcome::Failure])
        .error(|| PaymentError::TooLarge)
        .error(|| sqlx::Error::PoolClosed)
        .error(|| ChargeError::Status(StatusCode::BAD_GATEWAY))
        .canary("tok_canary")
        .limit(Duration::from_secs(3))
        .run(async || {
            ADA.scope().in_scope(subscribe(platform.service().clone(), ADA, order("team", 3))).await
        })
        .await;
}
