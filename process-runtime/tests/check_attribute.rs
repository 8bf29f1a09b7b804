//! Tests of `#[health_check]` and `#[dependency_check]`. The checks are registered, their records are in the section
//! of the binary, and their functions are called with arguments from the application's state.

#[path = "shared/section.rs"]
mod section;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use process_runtime::health::{
    self, CheckDefinition, CheckTarget, CheckVerdict, IntoVerdict, MissingState, Setup, Status,
};
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
async fn bank_is_open(bank: Bank, _name: Arc<str>) -> CheckVerdict {
    if bank.is_open { CheckVerdict::Pass } else { CheckVerdict::Warn("it opens at nine".to_owned()) }
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
    let text = |target| {
        let check = check_of(&target);
        (check.timeout(), check.every(), check.cached_for())
    };
    let seconds = Duration::from_secs;
    assert_eq!(text(process("pay_invoice")), (seconds(20), Some(seconds(300)), seconds(300)));
    assert_eq!(text(process("pay_invoices")), (seconds(10), None, seconds(5)));
    assert_eq!(text(dependency("bank")), (seconds(2), None, seconds(5)));
    assert_eq!(text(dependency("ledger")), (Duration::from_millis(500), None, seconds(60)));
}

async fn report(setup: Setup, id: &str) -> (Status, Option<String>) {
    let report = setup.start().report(id).await.expect("the check is registered");
    (report.status, report.output)
}

#[tokio::test]
async fn a_check_without_its_argument_fails_and_names_the_type() {
    let missing = MissingState { type_name: "check_attribute::Bank" };
    assert_eq!(
        missing.to_string(),
        "missing state of type `check_attribute::Bank`; provide it with `health::Setup::with(…)`"
    );
    assert_eq!(report(Setup::new(), "bank").await, (Status::Fail, Some(missing.to_string())));
}

#[tokio::test]
async fn a_check_gets_its_arguments_by_their_types() {
    let with = |is_open| Setup::new().with::<Arc<str>>("national".into()).with(Bank { is_open });
    assert_eq!(report(with(true), "bank").await, (Status::Pass, None));
    let closed = (Status::Warn, Some("it opens at nine".to_owned()));
    assert_eq!(report(with(false), "bank").await, closed);
    // A later value replaces an earlier value of the same type.
    assert_eq!(report(with(true).with(Bank { is_open: false }), "bank").await, closed);
}

#[tokio::test]
async fn a_health_check_runs_its_process() {
    let health = Setup::new().with(7_u64).start();
    let passed = health.report("pay_invoice").await.expect("the process is registered");
    // A probe fails if it does not run its process. This probe passes and shows the stage that ran.
    assert_eq!((passed.output, passed.parts["post"].status), (None, Status::Pass));
    let failed = report(Setup::new().with(u64::MAX), "pay_invoice").await;
    assert_eq!(failed, (Status::Fail, Some("out of range integral type conversion attempted".to_owned())));
}

#[test]
fn a_return_is_judged_by_its_type() {
    struct Refused;

    impl fmt::Display for Refused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("refused")
        }
    }

    assert_eq!(().into_verdict(), CheckVerdict::Pass);
    assert_eq!(Ok::<_, Refused>(3).into_verdict(), CheckVerdict::Pass);
    assert_eq!(Ok::<_, Refused>(Rc::new(3)).into_verdict(), CheckVerdict::Pass);
    assert_eq!(Err::<u8, _>(Refused).into_verdict(), CheckVerdict::Fail("refused".to_owned()));
    let failed = CheckVerdict::Fail("empty".to_owned());
    assert_eq!(failed.clone().into_verdict(), failed);
    // A verdict inside `Ok` may be a failure.
    assert_eq!(Ok::<_, Refused>(failed.clone()).into_verdict(), failed);
}

#[test]
fn a_verdict_reads_as_its_word_and_its_reason() {
    let read =
        [CheckVerdict::Pass, CheckVerdict::Warn("slow".to_owned()), CheckVerdict::Fail("gone".to_owned())]
            .map(|verdict| verdict.to_string());
    assert_eq!(read, ["pass", "warn: slow", "fail: gone"]);
}

#[test]
fn a_set_up_prints_no_state() {
    let setup = Setup::new().with("a secret".to_owned());
    assert!(format!("{setup:?}").contains("States { values: 1 }"), "{setup:?}");
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
        of_no_process.to_string().ends_with(
            "belongs to process `pay_invoices`, which is not registered; did you mean `pay_invoice`?"
        ),
        "{of_no_process}"
    );
    let Finding::UnknownDependencyOfCheck { dependency, nearest, .. } = of_no_dependency else {
        panic!("{of_no_dependency:?}")
    };
    assert_eq!((dependency.as_str(), *nearest), ("banc", Some("bank")));
    assert!(
        of_no_dependency.to_string().ends_with(
            "belongs to `banc`, which no process or stage declares with `depends_on`; did you mean `bank`?"
        ),
        "{of_no_dependency}"
    );
}
