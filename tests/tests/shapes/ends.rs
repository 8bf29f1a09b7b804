//! Runs that are cancelled at each await, or that panic. Also futures that are never polled, or that are polled and
//! dropped on other threads.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::FutureExt as _;
use process_runtime::Outcome::{Cancelled, Failure, Panic, Success};
use process_runtime::critical_process;

use super::trial::Trial;

/// A future that is pending for this number of polls.
struct Pause(usize);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            None => Poll::Ready(()),
            Some(left) => {
                self.0 = left;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

#[critical_process(id = "end_async", version = "1.0.0", sla = "10s")]
async fn asynchronous(fails: bool) -> Result<u8, u8> {
    Pause(1).await;
    for _ in 0..2 {
        Pause(1).await;
    }
    async { Pause(1).await }.await;
    if fails { Err(1) } else { Ok(1) }
}

#[critical_process(id = "end_opaque", version = "1.0.0", sla = "10s")]
fn opaque() -> impl Future<Output = ()> + Send {
    Pause(4)
}

#[critical_process(id = "end_block", version = "1.0.0", sla = "10s")]
fn block() -> impl Future<Output = ()> + Send {
    async { Pause(4).await }
}

#[critical_process(id = "end_boxed", version = "1.0.0", sla = "10s")]
fn boxed() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async { Pause(4).await })
}

#[critical_process(id = "end_alias", version = "1.0.0", sla = "10s")]
fn alias() -> futures::future::BoxFuture<'static, ()> {
    Pause(4).boxed()
}

fn each() -> [(&'static str, Pin<Box<dyn Future<Output = ()> + Send>>); 5] {
    [
        ("end_async", asynchronous(false).map(drop).boxed()),
        ("end_opaque", opaque().boxed()),
        ("end_block", block().boxed()),
        ("end_boxed", boxed()),
        ("end_alias", alias()),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_run_dropped_at_any_of_its_awaits_is_cancelled_once() {
    for dropped_after in 0..=4 {
        for (id, mut future) in each() {
            let trial = Trial::new();
            trial.call(|| {
                let cx = &mut Context::from_waker(Waker::noop());
                for _ in 0..dropped_after {
                    assert!(future.as_mut().poll(cx).is_pending());
                }
            });
            assert_eq!(trial.active(), usize::from(dropped_after > 0));
            drop(future);
            trial.saw(&[(id, Cancelled)][..usize::from(dropped_after > 0)]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_not_counted_again_when_its_future_is_dropped_late() {
    for (id, mut future) in each() {
        let trial = Trial::new();
        trial.run(future.as_mut()).await;
        trial.saw(&[(id, Success)]);
        drop(future);
        trial.saw(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_may_change_threads_between_polls() {
    for (id, mut future) in each() {
        let trial = Trial::new();
        for poll in 0..=4 {
            let carrier = trial.carrier();
            let (back, ready) = std::thread::spawn(move || {
                let cx = &mut Context::from_waker(Waker::noop());
                let ready = carrier.run(|| future.as_mut().poll(cx).is_ready());
                (future, ready)
            })
            .join()
            .unwrap();
            future = back;
            assert_eq!(ready, poll == 4);
        }
        trial.saw(&[(id, Success)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_may_be_dropped_on_another_thread_than_it_ran_on() {
    for (id, mut future) in each() {
        let trial = Trial::new();
        trial.call(|| assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()));
        std::thread::spawn(move || drop(future)).join().unwrap();
        trial.saw(&[(id, Cancelled)]);
    }
}

#[tokio::test(start_paused = true)]
async fn runs_in_flight_together_end_each_on_its_own() {
    let trial = Trial::new();
    trial
        .run(async {
            let mut first = Box::pin(asynchronous(false));
            let mut second = Box::pin(asynchronous(true));
            assert!(futures::poll!(first.as_mut()).is_pending());
            assert!(futures::poll!(second.as_mut()).is_pending());
            drop(first);
            assert_eq!(second.await, Err(1));
            tokio::select! {
                biased;
                done = asynchronous(true) => assert_eq!(done, Err(1)),
                () = std::future::pending() => {}
            }
            let (left, right) = tokio::join!(asynchronous(true), asynchronous(false));
            assert_eq!((left, right), (Err(1), Ok(1)));
        })
        .await;
    let ended = [Cancelled, Failure, Failure, Failure, Success];
    trial.saw(&ended.map(|outcome| ("end_async", outcome)));
}

#[critical_process(id = "end_panics", version = "1.0.0", sla = "10s")]
async fn panics(after: usize) -> Result<u8, u8> {
    let _dropped_by_the_panic = scope();
    Pause(after).await;
    panic!("after {after}")
}

struct Scope;

impl Drop for Scope {
    fn drop(&mut self) {
        quiet();
    }
}

fn scope() -> Scope {
    Scope
}

#[critical_process(id = "end_quiet", version = "1.0.0", sla = "10s")]
fn quiet() {}

#[critical_process(id = "end_panics_sync", version = "1.0.0", sla = "10s")]
fn panics_sync(with: &'static str) -> Option<u8> {
    std::panic::resume_unwind(Box::new(with))
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_run_and_reaches_the_caller_unchanged() {
    for after in [0, 1, 3] {
        let trial = Trial::new();
        let panicked = trial.run(AssertUnwindSafe(panics(after)).catch_unwind()).await;
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&format!("after {after}")));
        trial.saw(&[("end_quiet", Success), ("end_panics", Panic)]);
        assert_eq!(trial.error_type(), Some("panic"));
    }
    let trial = Trial::new();
    let panicked = trial.call(|| catch_unwind(|| panics_sync("sync")));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"sync"));
    trial.saw(&[("end_panics_sync", Panic)]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_a_destructor_makes_during_unwinding_is_a_run_like_any_other() {
    let trial = Trial::new();
    let unwound = trial.call(|| {
        catch_unwind(|| {
            let _scope = scope();
            panic!("of the caller");
        })
    });
    assert!(unwound.is_err());
    trial.saw(&[("end_quiet", Success)]);
}

#[tokio::test(start_paused = true)]
async fn a_future_polled_again_after_its_panic_is_not_counted_again() {
    let trial = Trial::new();
    let mut future = Box::pin(panics(0));
    let poll = |future: &mut Pin<Box<dyn Future<Output = Result<u8, u8>>>>| {
        catch_unwind(AssertUnwindSafe(|| {
            let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }))
    };
    let future: &mut Pin<Box<dyn Future<Output = Result<u8, u8>>>> =
        &mut (std::mem::replace(&mut future, Box::pin(panics(9))) as _);
    assert!(trial.call(|| poll(future)).is_err());
    assert!(trial.call(|| poll(future)).is_err());
    trial.saw(&[("end_quiet", Success), ("end_panics", Panic)]);
}

#[critical_process(id = "end_boxed_statements", version = "1.0.0", sla = "10s")]
fn panics_before_its_future(of: Option<u8>) -> futures::future::BoxFuture<'static, u8> {
    let of = of.expect("some");
    async move { of }.boxed()
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_there_is_a_future_is_the_callers_and_no_run() {
    let trial = Trial::new();
    assert!(trial.call(|| catch_unwind(|| drop(panics_before_its_future(None)))).is_err());
    trial.saw(&[]);
    assert_eq!(trial.run(panics_before_its_future(Some(1))).await, 1);
    trial.saw(&[("end_boxed_statements", Success)]);
}

#[critical_process(id = "end_hangs", version = "1.0.0", sla = "10s")]
async fn hangs() {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_spawned_run_that_is_aborted_is_cancelled() {
    let trial = Trial::new();
    let task = tokio::spawn(trial.carrier().carry(hangs()));
    while trial.active() == 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    trial.saw(&[("end_hangs", Cancelled)]);
}
