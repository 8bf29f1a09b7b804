//! A function that cannot be stopped, the cases that a policy therefore requires of it, and an error that cannot be
//! injected.

use std::sync::{Arc, Mutex};

use process_runtime::testing::policy::Policy;
use process_runtime::testing::{Case, Fault, observe_call};
use process_runtime::{critical_process, registry};

use super::message;

/// A plain function, which cannot be stopped in the middle.
#[critical_process(id = "seal_letter", version = "1.0.0", sla = "1s", criticality = critical)]
fn seal() {}

#[test]
fn a_plain_function_need_not_prove_that_it_can_be_stopped() {
    let cases = Policy::default().cases(registry::get("seal_letter").unwrap());
    assert_eq!(cases, [Case::Happy, Case::Sla, Case::Context]);
    seal();
}

/// An error that shares its value with the code that created the error.
#[derive(Clone, Debug)]
struct Shared<'a>(Arc<Mutex<Vec<&'a str>>>);

#[critical_process(id = "borrow_letter", version = "1.0.0", sla = "1s")]
fn borrow(letter: &str) -> Result<(), Shared<'_>> {
    Err(Shared(Arc::new(Mutex::new(vec![letter]))))
}

#[test]
fn an_error_that_may_hold_borrows_is_not_injected() {
    let kept = Shared(Arc::default());
    let given = kept.clone();
    let message = message(std::panic::AssertUnwindSafe(|| {
        let letter = String::from("a letter");
        let fault = Fault::error(move || given.clone());
        let run = observe_call(|| borrow(&letter)).fault("borrow_letter", fault).run();
        drop(run);
    }));
    assert!(message.contains("whose error type may borrow"), "{message}");
    assert!(kept.0.lock().unwrap().is_empty());
}
