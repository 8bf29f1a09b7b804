//! The wrapper has exactly the auto traits of the future that it wraps.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use process_runtime::Outcome::Success;
use process_runtime::critical_process;

use super::trial::Trial;

fn assert_send<T: Send>(value: T) -> T {
    value
}

fn assert_sync<T: Sync>(value: T) -> T {
    value
}

fn assert_static<T: 'static>(value: T) -> T {
    value
}

#[critical_process(id = "send_args", version = "1.0.0", sla = "10s", context(of, later(seen)))]
async fn plain(of: String, by: &[u8]) -> Result<usize, String> {
    tokio::task::yield_now().await;
    process_runtime::record!(seen = of.len());
    if by.is_empty() { Err(of) } else { Ok(by.len()) }
}

#[critical_process(id = "send_if_inner", version = "1.0.0", sla = "10s")]
async fn as_inner<F: Future>(inner: F) -> Result<F::Output, std::fmt::Error> {
    Ok(inner.await)
}

#[critical_process(id = "send_cell", version = "1.0.0", sla = "10s")]
async fn send_but_not_sync(of: Cell<u8>) -> u8 {
    tokio::task::yield_now().await;
    of.get()
}

#[critical_process(id = "send_not_across", version = "1.0.0", sla = "10s")]
async fn local_between_awaits(of: u8) -> u8 {
    tokio::task::yield_now().await;
    let doubled = {
        let local = Rc::new(RefCell::new(of));
        *local.borrow_mut() *= 2;
        let of = *local.borrow();
        of
    };
    tokio::task::yield_now().await;
    doubled
}

#[critical_process(id = "send_returns_local", version = "1.0.0", sla = "10s")]
async fn returns_what_is_not_send() -> Rc<u8> {
    tokio::task::yield_now().await;
    Rc::new(1)
}

#[critical_process(id = "send_boxed_error", version = "1.0.0", sla = "10s", rejects(as std::fmt::Error: std::fmt::Error))]
async fn returns_an_error_that_is_not_send(of: bool) -> Result<u8, Box<dyn std::error::Error>> {
    tokio::task::yield_now().await;
    if of {
        Err(std::fmt::Error)?
    }
    Ok(1)
}

#[critical_process(id = "send_stream", version = "1.0.0", sla = "10s")]
async fn streams(words: Vec<String>) -> usize {
    use futures::StreamExt as _;
    let lengths = words.into_iter().map(|word| async move { word.len() });
    futures::stream::iter(lengths)
        .buffer_unordered(2)
        .fold(0, |sum, length| async move { sum + length })
        .await
}

#[critical_process(id = "send_callback", version = "1.0.0", sla = "10s")]
async fn calls(back: impl for<'a> Fn(&'a str) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>>) -> usize {
    back("ab").await
}

fn back(text: &str) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    Box::pin(async move { text.len() })
}

#[critical_process(id = "send_recursive", version = "1.0.0", sla = "10s")]
async fn recursive(depth: u8) -> u8 {
    if depth == 0 { 0 } else { Box::pin(recursive(depth - 1)).await + 1 }
}

trait Repository {
    fn find(&self, id: u8) -> impl Future<Output = Option<u8>> + Send;
}

struct Memory;

impl Repository for Memory {
    #[critical_process(id = "send_in_trait", version = "1.0.0", sla = "10s")]
    async fn find(&self, id: u8) -> Option<u8> {
        tokio::task::yield_now().await;
        Some(id)
    }
}

#[critical_process(id = "send_generic_repository", version = "1.0.0", sla = "10s")]
async fn service<R: Repository + Sync>(repository: &R) -> Option<u8> {
    repository.find(1).await
}

#[tokio::test]
async fn a_future_that_could_be_sent_still_can() {
    let bytes = [1];
    let _ = assert_sync(assert_send(as_inner(std::future::ready(1))));
    let _ = assert_sync(assert_send(plain(String::new(), &bytes)));
    let _ = assert_send(send_but_not_sync(Cell::new(1)));
    let _ = assert_send(local_between_awaits(1));
    let _ = assert_send(recursive(1));
    let _ = assert_send(service(&Memory));
    let text = String::new();
    let _ = assert_send(as_inner(async { text.len() }));
}

#[tokio::test(start_paused = true)]
async fn runs_are_spawned_like_any_future() {
    let trial = Trial::new();
    let carrier = trial.carrier();
    let words = vec!["a".to_owned(), "bc".to_owned()];
    let spawned = tokio::spawn(carrier.clone().carry(assert_static(streams(words))));
    assert_eq!(spawned.await.unwrap(), 3);
    assert_eq!(tokio::spawn(carrier.clone().carry(calls(back))).await.unwrap(), 2);
    assert_eq!(tokio::spawn(carrier.clone().carry(recursive(1))).await.unwrap(), 1);
    let found = tokio::spawn(carrier.carry(async { service(&Memory).await }));
    assert_eq!(found.await.unwrap(), Some(1));
    trial.saw(&[
        ("send_stream", Success),
        ("send_callback", Success),
        ("send_recursive", Success),
        ("send_recursive", Success),
        ("send_in_trait", Success),
        ("send_generic_repository", Success),
    ]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_runs_where_it_is() {
    let trial = Trial::new();
    let local = tokio::task::LocalSet::new();
    let carrier = trial.carrier();
    local
        .run_until(async {
            let shared = Rc::new(Cell::new(1));
            let inner = Rc::clone(&shared);
            let task = tokio::task::spawn_local(carrier.carry(as_inner(async move {
                tokio::task::yield_now().await;
                inner.set(2);
            })));
            task.await.unwrap().unwrap();
            assert_eq!(shared.get(), 2);
        })
        .await;
    trial.saw(&[("send_if_inner", Success)]);
    assert_eq!(*trial.run(returns_what_is_not_send()).await, 1);
    assert!(trial.run(returns_an_error_that_is_not_send(true)).await.is_err());
    trial.saw(&[("send_returns_local", Success), ("send_boxed_error", process_runtime::Outcome::Rejected)]);
}

#[test]
fn a_future_that_could_cross_an_unwind_still_can() {
    fn assert_unwind_safe<T: std::panic::UnwindSafe>(value: T) -> T {
        value
    }
    let _ = assert_unwind_safe(as_inner(std::future::ready(1)));
}
