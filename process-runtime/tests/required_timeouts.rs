//! A process must prove `timeout` only if its runs are futures. The record shows whether they are, if the tokens of
//! the return type show it. Otherwise, the return type itself shows it when the process first runs.

#![allow(dead_code, reason = "most of the processes are registered and never run")]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use process_model::{Case, Shape};
use process_runtime::testing::evidence::{Evidence, Proof};
use process_runtime::testing::matrix::{Matrix, State};
use process_runtime::testing::observe;
use process_runtime::testing::policy::Policy;
use process_runtime::testing::revision::Revision;
use process_runtime::{critical_process, registry};

type Reply<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct NamesAFuture;

struct Shop;

impl Shop {
    #[critical_process(id = "method_of_async_trait", version = "1.0.0", sla = "1s", criticality = critical)]
    fn method<'life, 'async_trait>(&'life self) -> Pin<Box<dyn Future<Output = u8> + Send + 'async_trait>>
    where
        'life: 'async_trait,
    {
        Box::pin(async move { 1 })
    }
}

#[critical_process(id = "async_function", version = "1.0.0", sla = "1s", criticality = critical)]
async fn async_function() {}

#[critical_process(id = "impl_future", version = "1.0.0", sla = "1s", criticality = critical)]
fn impl_future() -> impl Future<Output = u8> {
    std::future::ready(1)
}

#[critical_process(id = "boxed_future", version = "1.0.0", sla = "1s", criticality = critical)]
fn boxed_future() -> Pin<Box<dyn Future<Output = u8> + Send>> {
    reply()
}

fn reply() -> Reply<u8> {
    Box::pin(std::future::ready(1))
}

#[critical_process(id = "alias", version = "1.0.0", sla = "1s", criticality = critical)]
fn alias() -> Reply<u8> {
    reply()
}

#[critical_process(id = "alias_that_another_binary_runs", version = "1.0.0", sla = "1s", criticality = critical)]
fn alias_that_another_binary_runs() -> Reply<u8> {
    reply()
}

#[critical_process(id = "boolean_is_async", version = "1.0.0", sla = "1s", criticality = critical)]
fn boolean_is_async(is_async: bool) {
    assert!(is_async);
}

#[critical_process(id = "argument_async_fn", version = "1.0.0", sla = "1s", criticality = critical)]
fn argument_async_fn(async_fn: NamesAFuture, _future: &dyn Fn() -> Reply<u8>) {
    let NamesAFuture = async_fn;
}

#[critical_process(id = "result", version = "1.0.0", sla = "1s", criticality = critical)]
fn result(is_async: bool) -> Result<bool, String> {
    Ok(is_async)
}

fn shape(id: &str) -> Shape {
    registry::get(id).unwrap().shape()
}

fn must_time_out(id: &str) -> bool {
    Policy::default().cases(registry::get(id).unwrap()).contains(&Case::Timeout)
}

#[test]
fn a_future_that_the_signature_shows_must_prove_a_timeout() {
    for id in ["async_function", "impl_future", "boxed_future", "method_of_async_trait"] {
        assert_eq!((shape(id), must_time_out(id)), (Shape::Awaited, true), "{id}");
    }
}

#[test]
fn a_call_need_not_prove_a_timeout_whatever_its_arguments_are_called() {
    boolean_is_async(true);
    argument_async_fn(NamesAFuture, &reply);
    result(true).unwrap();
    for (id, recorded) in [
        ("boolean_is_async", Shape::Call),
        ("argument_async_fn", Shape::Call),
        // The tokens of a `Result` do not show whether the type is a future. Its run shows that it is not.
        ("result", Shape::ByType),
    ] {
        assert_eq!((shape(id), must_time_out(id)), (recorded, false), "{id}");
    }
}

#[tokio::test]
async fn an_alias_of_a_boxed_future_must_prove_a_timeout_once_it_has_run() {
    assert_eq!((shape("alias"), must_time_out("alias")), (Shape::ByType, false));
    assert_eq!(observe(alias()).await.into_value(), 1);
    assert_eq!((shape("alias"), must_time_out("alias")), (Shape::Awaited, true));
    let evidence = Evidence::new(registry::get("alias").unwrap(), Case::Happy, "it", Proof::Proven);
    assert!(evidence.is_future);
}

#[test]
fn a_matrix_learns_from_the_evidence_of_another_binary_that_an_alias_is_a_future() {
    let id = "alias_that_another_binary_runs";
    let process = registry::get(id).unwrap();
    let revision: Revision = "r1".parse().unwrap();
    let today = "2026-11-28".parse().unwrap();
    let waiver = format!(
        "[[waiver]]\nprocess = \"{id}\"\ncase = \"timeout\"\nowner = \"team\"\nreason = \"later\"\n\
         expires = \"2027-01-01\"\n"
    );
    let waived = Policy::parse(&waiver, Path::new("process.toml")).unwrap();
    let timeout = |is_future, policy: &Policy| {
        let mut evidence = Evidence::new(process, Case::Happy, "it", Proof::Failed("it failed".to_owned()));
        evidence.revision = revision.clone();
        evidence.is_future = is_future;
        let matrix = Matrix::new([process], policy, &[evidence], &revision, today).unwrap();
        matrix.cells().find(|cell| cell.case == Case::Timeout).map(|cell| (cell.required, cell.state))
    };
    assert_eq!(timeout(false, &Policy::default()), None);
    assert_eq!(timeout(true, &Policy::default()), Some((true, State::Unknown)));
    assert_eq!(timeout(false, &waived), None);
    assert_eq!(timeout(true, &waived), Some((true, State::Waived)));
}
