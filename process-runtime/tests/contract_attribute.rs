//! Tests of `#[contract]` with every form of a test runner's attribute. The body runs as it would without
//! `#[contract]`. The contract is registered, and its record is in the section of the test binary.

#[path = "shared/section.rs"]
mod section;

use std::collections::BTreeMap;
use std::time::Duration;

use process_runtime::registry::{self, Finding};
use process_runtime::testing::{Case, ContractDefinition, Fault, Load, contracts, observe};
use process_runtime::{contract, critical_process, dependency, timeout};
use rstest::rstest;

#[critical_process(id = "pay_invoice", version = "1.0.0", sla = "10s", depends_on("bank"))]
async fn pay(amount: u64) -> Result<u64, std::num::TryFromIntError> {
    let paid = dependency("bank", async { u32::try_from(amount) });
    // Nothing is paid if the bank does not answer.
    timeout(Duration::from_secs(5), paid).await.unwrap_or(Ok(0)).map(u64::from)
}

fn broken() -> Fault {
    Fault::error(|| u32::try_from(u64::MAX).unwrap_err())
}

#[contract(process = "pay_invoice", case = happy)]
#[test]
fn above_a_plain_test() {
    assert_eq!(block_on(observe(pay(1))).into_value(), Ok(1));
}

#[test]
#[contract(process = "pay_invoice", case = edge)]
fn below_a_plain_test() {
    assert_eq!(block_on(observe(pay(0))).into_value(), Ok(0));
}

#[contract(process = "pay_invoice", case = sla)]
#[tokio::test(start_paused = true)]
async fn above_an_async_test() {
    let late = Fault::delay(Duration::from_secs(11));
    assert_eq!(observe(pay(2)).fault("pay_invoice", late).await.into_value(), Ok(2));
}

#[tokio::test]
#[contract(process = "pay_invoice", case = context)]
async fn below_an_async_test() {
    assert!(observe(pay(3)).fault("bank", broken()).await.into_value().is_err());
}

#[contract(process = "pay_invoice", case = error("core::num::error::TryFromIntError"))]
#[tokio::test]
async fn a_test_that_returns_a_result() -> Result<(), Box<dyn std::error::Error>> {
    observe(pay(u64::MAX)).await.into_value().unwrap_err();
    observe(pay(4)).await.into_value()?;
    Ok(())
}

#[contract(process = "pay_invoice", case = dependency("bank"))]
#[test]
fn a_plain_test_that_returns_a_result() -> Result<(), std::num::TryFromIntError> {
    let late = Fault::delay(Duration::from_secs(11));
    block_on(observe(pay(5)).fault("bank", late)).into_value().map(drop)
}

#[contract(process = "pay_invoice", case = panic)]
#[test]
#[should_panic(expected = "as promised")]
fn a_test_that_should_panic() {
    block_on(pay(6)).unwrap();
    panic!("as promised");
}

#[tokio::test]
#[contract(process = "pay_invoice", case = cancelled)]
#[should_panic(expected = "as promised")]
async fn an_async_test_that_should_panic() {
    pay(7).await.unwrap();
    panic!("as promised");
}

#[contract(process = "pay_invoice", case = load)]
#[rstest]
#[case(8, 8)]
#[case(9, 9)]
fn above_a_table(#[case] amount: u64, #[case] paid: u64) {
    let call = async || assert_eq!(pay(amount).await, Ok(paid));
    block_on(async { drop(Load::new("pay_invoice").runs(8).error_rate(0.0).run(call).await) });
}

#[rstest]
#[case::small(10)]
#[case::large(11)]
#[tokio::test(start_paused = true)]
#[contract(process = "pay_invoice", case = timeout)]
async fn below_a_table(#[case] amount: u64) {
    assert_eq!(observe(pay(amount)).fault("bank", Fault::hang()).await.into_value(), Ok(0));
}

/// A contract of a process whose id is misspelt.
#[contract(process = "pay_invoices", case = happy)]
#[test]
#[should_panic(expected = "no process `pay_invoices` is registered; did you mean `pay_invoice`?")]
fn a_contract_of_a_process_that_is_not_linked_fails_with_the_nearest() {}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Returns the handlers of this binary's contracts for `pay_invoice`, by case.
fn handlers() -> BTreeMap<String, Vec<&'static str>> {
    let mut handlers = BTreeMap::<_, Vec<_>>::new();
    for contract in contracts().filter(|contract| contract.process() == "pay_invoice") {
        handlers.entry(contract.case().to_string()).or_default().push(contract.handler());
    }
    handlers
}

#[test]
fn every_contract_is_listed_with_its_case_and_its_function() {
    let wanted = [
        ("cancelled", vec!["contract_attribute::an_async_test_that_should_panic"]),
        ("context", vec!["contract_attribute::below_an_async_test"]),
        ("dependency(\"bank\")", vec!["contract_attribute::a_plain_test_that_returns_a_result"]),
        ("edge", vec!["contract_attribute::below_a_plain_test"]),
        (
            "error(\"core::num::error::TryFromIntError\")",
            vec!["contract_attribute::a_test_that_returns_a_result"],
        ),
        ("happy", vec!["contract_attribute::above_a_plain_test"]),
        ("load", vec!["contract_attribute::above_a_table"]),
        ("panic", vec!["contract_attribute::a_test_that_should_panic"]),
        ("sla", vec!["contract_attribute::above_an_async_test"]),
        // `#[rstest]` is expanded first here, so each case of its table is a function of its own when `#[contract]`
        // is expanded.
        (
            "timeout",
            vec![
                "contract_attribute::below_a_table::case_1_small",
                "contract_attribute::below_a_table::case_2_large",
            ],
        ),
    ];
    assert_eq!(handlers(), wanted.map(|(case, handlers)| (case.to_owned(), handlers)).into());
}

#[test]
fn contracts_are_sorted_and_have_their_place_in_the_source() {
    let order = |contract: &ContractDefinition| (contract.process().to_owned(), contract.case().clone());
    assert!(contracts().map(order).is_sorted());
    let happy = contracts().find(|contract| *contract.case() == Case::Happy).unwrap();
    assert!(happy.file().ends_with("contract_attribute.rs"), "{}", happy.file());
    let line = include_str!("contract_attribute.rs").lines().nth(happy.line() as usize - 1);
    assert_eq!(line, Some("fn above_a_plain_test() {"));
}

#[test]
fn the_section_has_the_contracts_beside_the_processes() {
    let mut known: Vec<_> = registry::all().map(|process| process.record()).collect();
    known.extend(contracts().map(ContractDefinition::record));
    assert_eq!(section::records(), section::sorted(known));
}

#[test]
fn a_contract_is_neither_a_process_nor_a_stage() {
    assert_eq!(registry::all().map(|process| process.id()).collect::<Vec<_>>(), ["pay_invoice"]);
    assert_eq!(registry::stages().count(), 0);
}

#[test]
fn validate_finds_the_contract_of_a_process_that_is_not_linked() {
    let [finding] = &registry::validate()[..] else { panic!("{:?}", registry::validate()) };
    let Finding::UnknownProcessOfContract { case, process, nearest, place } = finding else {
        panic!("{finding:?}");
    };
    assert_eq!((case.as_str(), process.as_str(), *nearest), ("happy", "pay_invoices", Some("pay_invoice")));
    assert!(place.contains("contract_attribute.rs:"), "{place}");
    assert!(finding.to_string().ends_with("is not registered; did you mean `pay_invoice`?"), "{finding}");
}

/// Runs contracts of this binary in a child, which writes evidence to this directory. Returns whether the contracts
/// passed, and the child's output.
fn run(arguments: &[&str], directory: &std::path::Path) -> (bool, String) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(arguments).env("PROCESS_EVIDENCE_DIR", directory).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn each_case_of_a_table_leaves_evidence_of_its_own() {
    for arguments in [&["above_a_table"][..], &["above_a_table", "--test-threads=1"]] {
        let directory = tempfile::tempdir().unwrap();
        assert!(run(arguments, directory.path()).0);
        let evidence = process_runtime::testing::evidence::read(directory.path()).evidence;
        let mut tests: Vec<_> = evidence.into_iter().map(|one| one.test).collect();
        tests.sort();
        assert_eq!(tests, ["above_a_table::case_1", "above_a_table::case_2"]);
    }
}

#[test]
fn a_contract_whose_evidence_cannot_be_written_fails() {
    let (passed, output) = run(&["--exact", "above_a_plain_test"], std::path::Path::new("here"));
    assert!(!passed && output.contains("it must be an absolute path"), "{output}");
}
