//! `#[health_check]` and `#[dependency_check]`: what they say is registered, and what they stand on can be begun with
//! the application's state.

use std::sync::Arc;
use std::time::Duration;

use process_runtime::health::{self, CheckDefinition, CheckTarget, MissingState, States, Verdict};
use process_runtime::{critical_process, dependency_check, health_check};

#[critical_process(id = "pay_invoice", version = "1.0.0", sla = "10s", depends_on("bank"))]
async fn pay(amount: u64) -> Result<u64, std::num::TryFromIntError> {
    u32::try_from(amount).map(u64::from)
}

#[health_check(process = "pay_invoice", timeout = "20s", every = "5m")]
async fn payment_works(amount: u64) -> Result<u64, std::num::TryFromIntError> {
    pay(amount).await
}

#[derive(Clone)]
struct Bank {
    open: bool,
}

#[dependency_check(id = "bank")]
async fn bank_is_open(bank: Bank, _name: Arc<str>) -> Verdict {
    if bank.open { Verdict::Pass } else { Verdict::Warn("it opens at nine".to_owned()) }
}

fn check_of(target: &CheckTarget) -> &'static CheckDefinition {
    health::checks().find(|check| check.target() == target).expect("the check is listed")
}

#[test]
fn every_check_is_listed_with_its_times_and_its_function() {
    let process = check_of(&CheckTarget::Process("pay_invoice".to_owned()));
    assert_eq!(process.timeout(), Duration::from_secs(20));
    assert_eq!(process.every(), Some(Duration::from_secs(300)));
    assert_eq!(process.cached_for(), Duration::from_secs(300));
    assert_eq!(process.handler(), "check_attribute::payment_works");
    let dependency = check_of(&CheckTarget::Dependency("bank".to_owned()));
    assert_eq!(dependency.timeout(), Duration::from_secs(2));
    assert_eq!((dependency.every(), dependency.cached_for()), (None, Duration::from_secs(5)));
}

#[tokio::test]
async fn a_check_gets_its_arguments_by_their_types() {
    let mut states = States::default();
    let bank = check_of(&CheckTarget::Dependency("bank".to_owned()));
    let missing: MissingState = bank.begin(&states).err().expect("nothing was given");
    assert_eq!(
        missing.to_string(),
        "it takes a `check_attribute::Bank`, which nobody gave: `Health::with(…)`"
    );
    states.insert(Bank { open: false });
    states.insert::<Arc<str>>("national".into());
    let verdict = bank.begin(&states).unwrap().await;
    assert_eq!(verdict, Verdict::Warn("it opens at nine".to_owned()));
}
