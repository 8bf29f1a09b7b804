use std::io::{Error, ErrorKind};

use process_runtime::{critical_process, record, registry};

struct Receipt {
    from_cache: bool,
}

fn kind(error: &Error) -> &'static str {
    if error.kind() == ErrorKind::NotFound { "not_found" } else { "io" }
}

fn from_cache(receipt: &Receipt) -> bool {
    receipt.from_cache
}

/// Takes the money.
#[critical_process(
    id = "pay_invoice",
    version = "1.2.0",
    sla = "10s",
    name = "Pay an invoice",
    criticality = critical,
    owner = "billing",
    runbook = "docs/runbooks/pay_invoice.md",
    objective = 99.95,
    context(invoice, half = invoice / 2, ?note, card = mask(card), inherit(user_id), later(attempts)),
    rejects(error if error.kind() == ErrorKind::InvalidInput),
    fails(Ok(Receipt { from_cache: true }) if invoice == 0),
    degraded = from_cache,
    error_type = kind,
    error_text = everywhere,
    depends_on("payment_api", "ledger_db"),
    cancelled = bad,
    handler = "billing::pay",
    crate = ::process_runtime,
)]
fn pay(invoice: u64, note: Option<&str>, card: &str) -> Result<Receipt, Error> {
    record!(attempts = 1);
    let known = note.is_some() && !card.is_empty();
    if known { Ok(Receipt { from_cache: invoice == 7 }) } else { Err(ErrorKind::NotFound.into()) }
}

fn main() {
    assert!(pay(7, Some("tea"), "4111111111111111").is_ok());
    assert!(pay(8, None, "").is_err());
    let process = registry::get("pay_invoice").expect("it is registered");
    assert_eq!(process.description(), "Takes the money.");
}
