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

/// A trait whose objects may accept borrows.
trait Keeps<'a> {}

#[critical_process(id = "keep_in_object", version = "1.0.0", sla = "1s")]
fn keep_in_object<'a>(_: &'a str) -> Result<(), Box<dyn Keeps<'a> + 'a>> {
    Ok(())
}

#[critical_process(id = "keep_in_closure", version = "1.0.0", sla = "1s")]
fn keep_in_closure<'a, F: Fn(&'a str)>(_: &'a str, _: Option<F>) -> Result<(), Wrapped<F>> {
    Ok(())
}

/// An error with a hidden type inside.
struct Wrapped<T: ?Sized>(T);

#[critical_process(id = "keep_in_cell", version = "1.0.0", sla = "1s")]
fn keep_in_cell(_: &str) -> Result<(), std::rc::Rc<Mutex<Box<dyn std::error::Error + '_>>>> {
    Ok(())
}

/// Injects an error into a call with a borrowed text, and returns the message of the test's failure.
fn injected<R, E: 'static>(at: &str, make: fn() -> E, call: impl Fn(&str) -> R) -> String {
    message(std::panic::AssertUnwindSafe(|| {
        let letter = String::from("a letter");
        drop(observe_call(|| call(&letter)).fault(at, Fault::error(make)).run());
    }))
}

#[test]
fn an_error_that_hides_its_lifetime_is_not_injected() {
    fn closure<'a>() -> impl Fn(&'a str) + Copy {
        |_| {}
    }
    fn wrapped<F: Fn(&'static str) + Copy + 'static>(_: F) -> fn() -> Wrapped<F> {
        || unreachable!("the error is not made")
    }
    let object = || -> Box<dyn Keeps<'static>> { unreachable!("the error is not made") };
    let cell = || -> std::rc::Rc<Mutex<Box<dyn std::error::Error>>> { unreachable!("the error is not made") };
    let messages = [
        injected("keep_in_object", object, |letter| keep_in_object(letter).is_ok()),
        injected("keep_in_cell", cell, |letter| keep_in_cell(letter).is_ok()),
        injected("keep_in_closure", wrapped(closure()), |letter| {
            keep_in_closure(letter, Some(closure())).is_ok()
        }),
    ];
    for message in messages {
        assert!(message.contains("whose error type may borrow"), "{message}");
    }
}

#[critical_process(id = "fail_boxed", version = "1.0.0", sla = "1s")]
fn fail_boxed(_: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync + '_>> {
    Ok(())
}

#[test]
fn a_boxed_error_and_a_text_are_injected() {
    let letter = String::from("a letter");
    let make = || -> Box<dyn std::error::Error + Send + Sync> { "injected".into() };
    let run = observe_call(|| fail_boxed(&letter).map_err(|error| error.to_string()))
        .fault("fail_boxed", Fault::error(make))
        .run();
    assert_eq!(run.into_value(), Err("injected".to_owned()));
}
