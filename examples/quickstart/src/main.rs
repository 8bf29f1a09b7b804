//! Two annotated functions, a run that fails and a run that is late, and the statistics of both in the registry.

use std::time::Duration;

use process_runtime::{Install, critical_process, registry};

/// Charges the customer's card.
#[critical_process(id = "payment", version = "1.0.0", sla = "2s", context(customer), owner = "billing")]
async fn charge(customer: &str, cents: u64) -> Result<u64, std::num::TryFromIntError> {
    u32::try_from(cents).map(u64::from)
}

/// Collects the context that the model needs before it answers.
#[critical_process(id = "context_load", version = "1.0.0", sla = "50ms", criticality = medium)]
async fn load_context() {
    tokio::time::sleep(Duration::from_millis(80)).await;
}

#[tokio::main]
async fn main() {
    let installation = Install::new().expect(["payment", "context_load"]).start();

    println!("{:<14}{:<9}{:<7}handler", "process", "version", "SLA");
    for process in registry::all() {
        let (id, version, sla) = (process.id(), process.version(), process.sla());
        println!("{id:<14}{version:<9}{:<7}{}", format!("{sla:?}"), process.handler());
    }

    charge("acme", 4_200).await.expect("this one fits");
    let error = charge("acme", u64::MAX).await.expect_err("this one does not");
    println!("\nthe caller still gets the error: {error}");
    load_context().await;

    println!("\n{:<14}{:>8}{:>9}{:>9}{:>6}{:>8}", "process", "started", "success", "failure", "late", "p99");
    for process in registry::all() {
        let stats = registry::stats(process.id()).expect("it was just listed");
        let [minute, ..] = stats.windows;
        println!(
            "{:<14}{:>8}{:>9}{:>9}{:>6}{:>8}",
            process.id(),
            stats.started,
            stats.ended.count(process_runtime::Outcome::Success),
            stats.ended.count(process_runtime::Outcome::Failure),
            stats.ended.late(),
            format!("{:.0?}", minute.p99.unwrap_or_default()),
        );
    }
    installation.stop();
}
