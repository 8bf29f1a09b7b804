use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use process_runtime::testing::{Case, Fault, contracts, observe_call};
use process_runtime::{contract, critical_process, dependency_call};

#[critical_process(id = "greet", version = "1.0.0", sla = "2s", depends_on("memory"))]
fn greet(name: &str) -> Result<usize, String> {
    dependency_call("memory", || if name.is_empty() { Err("no name".to_owned()) } else { Ok(name.len()) })
}

#[contract(process = "greet", case = happy)]
fn is_greeted() {
    assert_eq!(observe_call(|| greet("you")).run().into_value(), Ok(3));
}

#[contract(process = "greet", case = error("alloc::string::String"))]
async fn an_empty_name_is_refused(name: impl AsRef<str>) -> Result<(), usize> {
    match observe_call(|| greet(name.as_ref())).run().into_value() {
        Ok(letters) => Err(letters),
        Err(_) => Ok(()),
    }
}

/// Its future is not `Send`.
#[contract(process = "greet", case = dependency("memory"), crate = ::process_runtime)]
async fn counts(mut names: Vec<&str>, count: Rc<Cell<usize>>) -> usize {
    names.push("you");
    for name in names {
        std::future::ready(()).await;
        let run = observe_call(|| greet(name)).fault("memory", Fault::delay(Duration::from_secs(3))).run();
        count.set(count.get() + run.into_value().unwrap());
    }
    count.get()
}

struct Greetings;

impl Greetings {
    #[contract(process = "greet", case = edge)]
    fn are_of(name: &'static str) -> impl Fn() -> usize {
        let _ = observe_call(|| greet(name)).run();
        move || greet(name).unwrap()
    }
}

#[contract(process = "greet", case = panic)]
fn ends() -> ! {
    std::panic::resume_unwind(Box::new(greet("")))
}

#[contract(process = "greet", case = cancelled)]
async fn never_ends() -> ! {
    loop {
        std::future::pending::<()>().await;
    }
}

/// Is never called.
#[contract(process = "greet", case = sla)]
#[expect(dead_code, reason = "it is registered all the same")]
fn of_any<T: AsRef<str>>(name: T) {
    greet(name.as_ref()).unwrap();
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn can_be_sent<F: Future + Send>(future: F) -> F {
    future
}

fn main() {
    is_greeted();
    assert_eq!(poll(can_be_sent(an_empty_name_is_refused(String::new()))), Poll::Ready(Ok(())));
    assert_eq!(poll(an_empty_name_is_refused("you")), Poll::Ready(Err(3)));
    assert_eq!(poll(counts(vec!["me"], Rc::default())), Poll::Ready(5));
    assert_eq!(Greetings::are_of("you")(), 3);
    assert!(std::panic::catch_unwind(|| ends()).is_err());
    assert!(poll(can_be_sent(never_ends())).is_pending());

    let cases: Vec<_> = contracts().map(|contract| contract.case().word()).collect();
    assert_eq!(cases, ["happy", "error", "dependency", "cancelled", "panic", "edge", "sla"]);
    let happy = contracts().find(|contract| *contract.case() == Case::Happy).unwrap();
    assert!(happy.handler().ends_with("::is_greeted"), "{}", happy.handler());
}
