//! Invoices that are paid, declined, or charged only once.

use std::time::{Duration, Instant};

use axcouncil::ACME_USER;
use axum::{Json, Router};
use process_runtime::registry;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;

use crate::client::{Service, code};

const INVOICES: &str = "SELECT status || ' ' || coalesce(charge_id, '-') || ' ' || total_cents FROM invoices";

#[tokio::test]
async fn a_charge_is_paid_declined_or_unknown() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    let order = json!({ "plan": "team", "seats": 3, "card": "tok_visa" });
    let subscribe = async || service.post("/subscriptions", &token, &order).await;

    let paid = json!({ "id": 1, "net_cents": 8_700, "tax_cents": 1_653, "total_cents": 10_353 });
    assert_eq!(subscribe().await, (201, paid));
    service.payments("decline").await;
    let (status, body) = subscribe().await;
    assert_eq!((status, code(&body)), (402, "card_declined"));
    service.payments("fail").await;
    let (status, body) = subscribe().await;
    assert_eq!((status, code(&body)), (502, "payment_unavailable"));
    let invoices = ["paid ch_1 10353", "declined - 10353", "unknown - 10353"];
    assert_eq!(service.texts(INVOICES).await, invoices);

    // In this binary, no other test has a declined card or a provider that fails, so the counts are exact.
    let stats = registry::stats("payment_subscription").expect("it is linked");
    assert_eq!(stats.error_types["card_declined"], 1);
    assert_eq!(stats.error_types["payment_provider_status"], 1);
    // A declined card is a regular answer, so only one call to the provider has failed.
    let calls =
        &registry::dependency_stats("payment_subscription").expect("it is linked")["payment_provider"];
    let kinds: Vec<_> = calls.error_types.keys().filter(|kind| kind.ends_with("ChargeError")).collect();
    assert_eq!((kinds.len(), calls.error_types[kinds[0]]), (1, 1));
}

#[tokio::test]
async fn what_is_not_sold_is_not_charged() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    for (plan, seats, expected) in [("gold", 1, (404, "not_found")), ("team", 51, (422, "invalid"))] {
        let order = json!({ "plan": plan, "seats": seats, "card": "tok_visa" });
        let (status, body) = service.post("/subscriptions", &token, &order).await;
        assert_eq!((status, code(&body)), expected);
    }
    assert!(service.texts(INVOICES).await.is_empty());
}

#[tokio::test]
async fn a_client_that_hangs_up_has_an_invoice_all_the_same() {
    let service = Service::start().await;
    let token = service.login(ACME_USER).await;
    service.payments("hang").await;
    let order = json!({ "plan": "team", "seats": 1, "card": "tok_visa" });
    let until = async |wanted: &str| {
        let began = Instant::now();
        while service.texts("SELECT status FROM invoices").await != [wanted] {
            assert!(began.elapsed() < Duration::from_secs(30), "the invoice never was {wanted}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        reply = service.post("/subscriptions", &token, &order) => panic!("{reply:?}"),
        () = until("open") => {}
    }
    service.payments("ok").await;
    until("paid").await;
}

#[tokio::test]
async fn a_stop_waits_for_a_charge_whose_client_has_given_up() {
    let (asked, mut received) = unbounded_channel();
    let provider = Router::new().fallback(async move || {
        asked.send(()).expect("the test still listens");
        // Long enough to stop the service in the meantime.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Json(json!({ "id": "ch_1" }))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it listens")).parse().expect("it is a URL");
    tokio::spawn(async { axum::serve(listener, provider).await });
    let service = Service::with(|config| config.payments = Some(url)).await;
    let token = service.login(ACME_USER).await;
    let order = json!({ "plan": "team", "seats": 1, "card": "tok_visa" });
    tokio::select! {
        reply = service.post("/subscriptions", &token, &order) => panic!("{reply:?}"),
        _ = received.recv() => {}
    }
    let (database, _directory) = service.stop().await;
    let status: Vec<String> =
        sqlx::query_scalar(INVOICES).fetch_all(&database).await.expect("the query succeeds");
    assert_eq!(status, ["paid ch_1 3451"]);
}
