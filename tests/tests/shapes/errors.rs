//! Errors of every kind: reports, boxes, borrowed errors, and errors whose chain is searched for a type.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use process_runtime::Outcome::{Failure, Rejected, Success};
use process_runtime::critical_process;

use super::trial::{Trial, called, ran};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum Login {
    #[error("expired")]
    Expired,
    #[error("locked {0}")]
    Locked(u8),
}

#[derive(Debug, thiserror::Error)]
#[error("wrapped")]
struct Wrapped(#[source] Login);

type Boxed = Box<dyn Error + Send + Sync>;

#[critical_process(id = "err_anyhow", version = "1.0.0", sla = "10s", rejects(as Login: Login::Expired))]
async fn by_anyhow(with: Option<anyhow::Error>) -> anyhow::Result<u8> {
    tokio::task::yield_now().await;
    with.map_or(Ok(1), Err)
}

#[tokio::test(start_paused = true)]
async fn a_type_is_found_in_the_chain_of_an_anyhow_error() {
    use anyhow::{Context as _, anyhow};
    let context = |error: Login| Err::<u8, _>(error).context("outer").context("outermost").unwrap_err();
    assert_eq!(ran("err_anyhow", Success, by_anyhow(None)).await.unwrap(), 1);
    for (with, outcome) in [
        (Login::Expired.into(), Rejected),
        (Login::Locked(1).into(), Failure),
        (anyhow!("expired"), Failure),
        (anyhow!(Wrapped(Login::Expired)), Rejected),
        (context(Login::Expired), Rejected),
        (context(Login::Locked(1)), Failure),
    ] {
        assert!(ran("err_anyhow", outcome, by_anyhow(Some(with))).await.is_err());
    }
}

#[critical_process(
    id = "err_box",
    version = "1.0.0",
    sla = "10s",
    rejects(as Login: Login::Expired, as Login: Login::Locked(tries) if *tries > 1, as fmt::Error: _, error if error.to_string() == "text"),
)]
fn by_box(with: Boxed) -> Result<(), Boxed> {
    Err(with)
}

#[critical_process(id = "err_box_local", version = "1.0.0", sla = "10s", rejects(as Login: Login::Expired))]
async fn by_local_box(with: Box<dyn Error>) -> Result<(), Box<dyn Error>> {
    Err(with)?
}

#[critical_process(id = "err_typed_chain", version = "1.0.0", sla = "10s", rejects(as Login: Login::Expired, Wrapped(Login::Locked(9))))]
fn by_typed_chain(with: Login) -> Result<(), Wrapped> {
    Err(Wrapped(with))
}

#[tokio::test(start_paused = true)]
async fn a_type_is_found_in_the_chain_of_a_boxed_or_typed_error() {
    for (with, outcome) in [
        (Boxed::from(Login::Expired), Rejected),
        (Wrapped(Login::Expired).into(), Rejected),
        (Login::Locked(1).into(), Failure),
        (Wrapped(Login::Locked(2)).into(), Rejected),
        (fmt::Error.into(), Rejected),
        ("text".into(), Rejected),
        ("other".into(), Failure),
    ] {
        assert!(called("err_box", outcome, || by_box(with)).is_err());
    }
    assert!(ran("err_box_local", Rejected, by_local_box(Wrapped(Login::Expired).into())).await.is_err());
    assert!(ran("err_box_local", Failure, by_local_box("expired".into())).await.is_err());
    assert!(called("err_typed_chain", Rejected, || by_typed_chain(Login::Expired)).is_err());
    assert!(called("err_typed_chain", Rejected, || by_typed_chain(Login::Locked(9))).is_err());
    assert!(called("err_typed_chain", Failure, || by_typed_chain(Login::Locked(1))).is_err());
}

#[critical_process(id = "err_generic_opaque", version = "1.0.0", sla = "10s")]
async fn by_generic_opaque<E>(with: E) -> Result<u8, E> {
    Err(with)
}

#[critical_process(id = "err_generic_text", version = "1.0.0", sla = "10s")]
async fn by_generic_text<E: fmt::Display>(with: E) -> Result<u8, Vec<E>> {
    Err(vec![with])
}

#[tokio::test(start_paused = true)]
async fn an_error_may_be_of_any_type_that_the_caller_chooses() {
    assert_eq!(ran("err_generic_opaque", Failure, by_generic_opaque(1)).await, Err(1));
    assert_eq!(ran("err_generic_text", Failure, by_generic_text(1)).await, Err(vec![1]));
}

#[critical_process(id = "err_kind", version = "1.0.0", sla = "10s", error_type = kind, rejects(as Login: _))]
async fn by_kind(with: Login) -> anyhow::Result<()> {
    Err(with)?;
    Ok(())
}

fn kind(error: &anyhow::Error) -> &'static str {
    if error.is::<Login>() { "login" } else { "other" }
}

#[critical_process(id = "err_default_kind", version = "1.0.0", sla = "10s")]
fn by_default_kind(with: Login) -> Result<(), Login> {
    Err(with)
}

#[critical_process(id = "err_kind_of_status", version = "1.0.0", sla = "10s", error_type = http::StatusCode::as_str)]
fn by_status_name() -> Result<(), &'static http::StatusCode> {
    Err(&http::StatusCode::CONFLICT)
}

#[tokio::test(start_paused = true)]
async fn error_type_is_a_function_of_the_error_and_else_the_types_name() {
    let trial = Trial::new();
    assert!(trial.run(by_kind(Login::Locked(1))).await.is_err());
    trial.saw(&[("err_kind", Rejected)]);
    assert_eq!(trial.error_type(), Some("login"));
    assert!(trial.call(|| by_default_kind(Login::Expired)).is_err());
    assert_eq!(trial.error_type(), Some(std::any::type_name::<Login>()));
    assert!(trial.call(by_status_name).is_err());
    assert_eq!(trial.error_type(), Some("409"));
}

#[derive(Debug, PartialEq)]
struct Unexpected<'a>(&'a str);

impl fmt::Display for Unexpected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Unexpected<'_> {}

#[critical_process(id = "err_borrowed", version = "1.0.0", sla = "10s", rejects(Unexpected("?")))]
fn by_borrowed(of: &str) -> Result<u8, Unexpected<'_>> {
    of.parse().map_err(|_| Unexpected(of))
}

#[critical_process(id = "err_borrowed_async", version = "1.0.0", sla = "10s")]
async fn by_borrowed_async<'a>(of: &'a str) -> Result<u8, Unexpected<'a>> {
    of.parse().map_err(|_| Unexpected(of))
}

#[critical_process(id = "err_poison", version = "1.0.0", sla = "10s")]
fn by_poison<T>(of: &Mutex<T>) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
    of.lock()
}

#[critical_process(id = "err_reference", version = "1.0.0", sla = "10s")]
fn by_reference(of: &Login) -> Result<u8, &Login> {
    Err(of)
}

#[critical_process(id = "err_reference_dyn", version = "1.0.0", sla = "10s")]
fn by_dyn_reference<'a>(of: &'a (dyn Error + 'static)) -> Result<u8, &'a (dyn Error + 'static)> {
    Err(of)
}

#[critical_process(id = "err_generic", version = "1.0.0", sla = "10s")]
fn by_generic<E: Error>(with: E) -> Result<u8, E> {
    Err(with)
}

#[critical_process(id = "err_generic_boxed", version = "1.0.0", sla = "10s")]
fn by_generic_boxed<'a, E: Error + Send + 'a>(with: E) -> futures::future::BoxFuture<'a, Result<u8, E>> {
    Box::pin(async { Err(with) })
}

#[tokio::test(start_paused = true)]
async fn an_error_may_borrow() {
    assert_eq!(called("err_borrowed", Success, || by_borrowed("1")), Ok(1));
    assert_eq!(called("err_borrowed", Failure, || by_borrowed("!")), Err(Unexpected("!")));
    assert_eq!(called("err_borrowed", Rejected, || by_borrowed("?")), Err(Unexpected("?")));
    let text = "x".to_owned();
    assert_eq!(ran("err_borrowed_async", Failure, by_borrowed_async(&text)).await, Err(Unexpected("x")));
    let mutex = Mutex::new(1);
    assert_eq!(*called("err_poison", Success, || by_poison(&mutex)).unwrap(), 1);
    assert_eq!(called("err_reference", Failure, || by_reference(&Login::Expired)), Err(&Login::Expired));
    assert!(called("err_reference_dyn", Failure, || by_dyn_reference(&Login::Expired)).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_generic_type_needs_not_be_static() {
    assert_eq!(called("err_generic", Failure, || by_generic(fmt::Error)), Err(fmt::Error));
    assert_eq!(ran("err_generic_boxed", Failure, by_generic_boxed(fmt::Error)).await, Err(fmt::Error));
}

#[cfg(any())]
mod pointers {
    use std::sync::Arc;

    use super::*;

    #[critical_process(id = "err_box_typed", version = "1.0.0", sla = "10s", rejects(as Login: Login::Expired))]
    fn by_box_of_a_type(with: Login) -> Result<(), Box<Login>> {
        Err(Box::new(with))
    }

    #[critical_process(id = "err_arc", version = "1.0.0", sla = "10s", rejects(as Login: Login::Expired))]
    fn by_arc(with: Login) -> Result<(), Arc<dyn Error + Send + Sync>> {
        Err(Arc::new(with))
    }

    #[critical_process(id = "err_arc_typed", version = "1.0.0", sla = "10s", rejects(as Login: Login::Expired))]
    async fn by_arc_of_a_type(with: Login) -> Result<(), Arc<Login>> {
        Err(Arc::new(with))
    }

    #[tokio::test(start_paused = true)]
    async fn a_type_is_found_in_an_error_behind_any_pointer() {
        assert!(called("err_box_typed", Rejected, || by_box_of_a_type(Login::Expired)).is_err());
        assert!(called("err_arc", Rejected, || by_arc(Login::Expired)).is_err());
        assert!(ran("err_arc_typed", Rejected, by_arc_of_a_type(Login::Expired)).await.is_err());
    }
}

#[cfg(any())]
mod anyhow_context {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_type_is_found_where_anyhow_holds_it_as_context() {
        let with = anyhow::anyhow!("no chain").context(Login::Expired);
        assert!(with.is::<Login>());
        assert!(ran("err_anyhow", Rejected, by_anyhow(Some(with))).await.is_err());
    }
}

#[critical_process(id = "err_boxed_borrowed", version = "1.0.0", sla = "10s")]
fn by_boxed_borrowed<'a>(of: &'a str) -> Result<u8, Box<dyn Error + 'a>> {
    Err(Box::new(Unexpected(of)))
}

#[tokio::test(start_paused = true)]
async fn an_error_may_be_a_box_that_borrows() {
    let text = "x".to_owned();
    assert!(called("err_boxed_borrowed", Failure, || by_boxed_borrowed(&text)).is_err());
}

#[critical_process(id = "err_box_send", version = "1.0.0", sla = "10s", rejects(as Login: Login::Expired))]
fn by_box_send(with: Login) -> Result<(), Box<dyn Error + Send>> {
    Err(Box::new(with))
}

#[tokio::test(start_paused = true)]
async fn a_type_is_found_in_a_box_that_can_only_be_sent() {
    assert!(called("err_box_send", Rejected, || by_box_send(Login::Expired)).is_err());
    assert!(called("err_box_send", Failure, || by_box_send(Login::Locked(1))).is_err());
}
