//! `#[health_check]` and `#[dependency_check]`: the checks are registered and in the section of the binary, and their
//! functions can be called with the application's state alone.

#[path = "shared/section.rs"]
mod section;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use process_runtime::health::{self, CheckDefinition, CheckTarget, Judged, MissingState, States, Verdict};
use process_runtime::registry::{self, Finding};
use process_runtime::{critical_process, dependency_check, health_check, stage};

#[critical_process(id = "pay_invoice", version = "1.0.0", sla = "10s", depends_on("bank"))]
async fn pay(amount: u64) -> Result<u64, std::num::TryFromIntError> {
    u32::try_from(amount).map(u64::from)
}

#[stage(id = "post", process = "pay_invoice", depends_on("ledger"))]
async fn post() {}

#[health_check(process = "pay_invoice", timeout = "20s", every = "5m")]
async fn payment_works(amount: u64) -> Result<u64, std::num::TryFromIntError> {
    post().await;
    pay(amount).await
}

#[derive(Clone)]
struct Bank {
    is_open: bool,
}

#[dependency_check(id = "bank")]
async fn bank_is_open(bank: Bank, _name: Arc<str>) -> Verdict {
    if bank.is_open { Verdict::Pass } else { Verdict::Warn("it opens at nine".to_owned()) }
}

/// A dependency that only a stage declares.
#[dependency_check(id = "ledger", timeout = "500ms", cached_for = "1m")]
async fn ledger_is_there() {}

#[health_check(process = "pay_invoices")]
async fn payments_work() {}

#[dependency_check(id = "banc")]
async fn bank_is_there() {}

mod elsewhere {
    use process_runtime::dependency_check;

    #[dependency_check(id = "ledger")]
    async fn ledger_is_there() {}
}

fn process(id: &str) -> CheckTarget {
    CheckTarget::Process(id.to_owned())
}

fn dependency(id: &str) -> CheckTarget {
    CheckTarget::Dependency(id.to_owned())
}

fn check_of(target: &CheckTarget) -> &'static CheckDefinition {
    health::checks().find(|check| check.target() == target).expect("the check is listed")
}

#[test]
fn every_check_is_listed_those_of_processes_first() {
    let listed: Vec<_> = health::checks().map(|check| (check.target().clone(), check.handler())).collect();
    let wanted = [
        (process("pay_invoice"), "check_attribute::payment_works"),
        (process("pay_invoices"), "check_attribute::payments_work"),
        (dependency("banc"), "check_attribute::bank_is_there"),
        (dependency("bank"), "check_attribute::bank_is_open"),
        (dependency("ledger"), "check_attribute::ledger_is_there"),
        (dependency("ledger"), "check_attribute::elsewhere::ledger_is_there"),
    ];
    assert_eq!(listed, wanted);
}

#[test]
fn a_check_has_its_place_in_the_source() {
    let check = check_of(&process("pay_invoice"));
    assert!(check.file().ends_with("check_attribute.rs"), "{}", check.file());
    let line = include_str!("check_attribute.rs").lines().nth(check.line() as usize - 1);
    assert!(line.unwrap().starts_with("async fn payment_works("), "{line:?}");
}

#[test]
fn a_key_that_is_absent_has_its_default() {
    let said = |target| {
        let check = check_of(&target);
        (check.timeout(), check.every(), check.cached_for())
    };
    let seconds = Duration::from_secs;
    assert_eq!(said(process("pay_invoice")), (seconds(20), Some(seconds(300)), seconds(300)));
    assert_eq!(said(process("pay_invoices")), (seconds(10), None, seconds(5)));
    assert_eq!(said(dependency("bank")), (seconds(2), None, seconds(5)));
    assert_eq!(said(dependency("ledger")), (Duration::from_millis(500), None, seconds(60)));
}

#[test]
fn a_check_without_its_state_names_the_missing_type() {
    let missing: MissingState = check_of(&dependency("bank")).begin(&States::default()).err().unwrap();
    assert_eq!(
        missing.to_string(),
        "it takes a `check_attribute::Bank`, which nobody gave: `health::Setup::with(…)`"
    );
}

#[tokio::test]
async fn a_check_gets_its_arguments_by_their_types() {
    let mut states = States::default();
    states.insert::<Arc<str>>("national".into());
    for is_open in [false, true] {
        // The later value of a type replaces the earlier one.
        states.insert(Bank { is_open });
    }
    let bank = check_of(&dependency("bank"));
    assert_eq!(bank.begin(&states).unwrap().await, Verdict::Pass);
    states.insert(Bank { is_open: false });
    // A check receives a clone, so the state stays.
    for _ in 0..2 {
        let verdict = bank.begin(&states).unwrap().await;
        assert_eq!(verdict, Verdict::Warn("it opens at nine".to_owned()));
    }
}

#[tokio::test]
async fn a_health_check_runs_its_process() {
    let mut states = States::default();
    states.insert(7_u64);
    let check = check_of(&process("pay_invoice"));
    assert_eq!(check.begin(&states).unwrap().await, Verdict::Pass);
    assert_eq!(registry::stats("pay_invoice").unwrap().ended.total(), 1);
    states.insert(u64::MAX);
    let verdict = check.begin(&states).unwrap().await;
    assert_eq!(verdict, Verdict::Fail("out of range integral type conversion attempted".to_owned()));
}

#[test]
fn a_return_is_judged_by_its_type() {
    struct Refused;

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("refused")
        }
    }

    assert_eq!(().judged(), Verdict::Pass);
    assert_eq!(Ok::<_, Refused>(3).judged(), Verdict::Pass);
    assert_eq!(Ok::<_, Refused>(Rc::new(3)).judged(), Verdict::Pass);
    assert_eq!(Err::<u8, _>(Refused).judged(), Verdict::Fail("refused".to_owned()));
    let failed = Verdict::Fail("empty".to_owned());
    assert_eq!(failed.clone().judged(), failed);
    // A failed run without an error is not a success.
    assert_eq!(Ok::<_, Refused>(failed.clone()).judged(), failed);
}

#[test]
fn a_verdict_reads_as_its_word_and_its_reason() {
    let read = [Verdict::Pass, Verdict::Warn("slow".to_owned()), Verdict::Fail("gone".to_owned())]
        .map(|verdict| verdict.to_string());
    assert_eq!(read, ["pass", "warn: slow", "fail: gone"]);
}

#[test]
fn states_print_no_values() {
    let mut states = States::default();
    states.insert("a secret".to_owned());
    assert_eq!(format!("{states:?}"), "States { values: 1 }");
}

#[test]
fn the_section_has_the_checks_beside_the_processes() {
    let mut known: Vec<_> = registry::all().map(|process| process.record()).collect();
    known.extend(registry::stages().map(|stage| stage.record()));
    known.extend(health::checks().map(CheckDefinition::record));
    assert_eq!(section::records(), section::sorted(known));
}

#[test]
fn validate_finds_checks_of_nothing_and_second_ones() {
    let findings = registry::validate();
    let [twice, of_no_process, of_no_dependency] = &findings[..] else { panic!("{findings:?}") };
    let Finding::DuplicateCheck { target, places } = twice else { panic!("{twice:?}") };
    assert_eq!((target, places.len()), (&dependency("ledger"), 2));
    assert!(
        twice.to_string().starts_with("dependency `ledger` has more than one check: at ")
            && places.iter().all(|place| place.contains("check_attribute.rs:")),
        "{twice}"
    );
    let Finding::UnknownProcessOfCheck { process, nearest, .. } = of_no_process else {
        panic!("{of_no_process:?}")
    };
    assert_eq!((process.as_str(), *nearest), ("pay_invoices", Some("pay_invoice")));
    assert!(
        of_no_process
            .to_string()
            .ends_with("is of process `pay_invoices`, which is not registered; did you mean `pay_invoice`?"),
        "{of_no_process}"
    );
    let Finding::UnknownDependencyOfCheck { dependency, nearest, .. } = of_no_dependency else {
        panic!("{of_no_dependency:?}")
    };
    assert_eq!((dependency.as_str(), *nearest), ("banc", Some("bank")));
    assert!(
        of_no_dependency.to_string().ends_with(
            "is of `banc`, which no process or stage declares with `depends_on`; did you mean `bank`?"
        ),
        "{of_no_dependency}"
    );
}
