//! What the code of a check may do on the real clock, where an execution has a thread of its own.

#[path = "shared/asking.rs"]
mod asking;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use process_runtime::dependency_check;
use process_runtime::health::{Detail, Health, Setup};
use rstest::rstest;
use tokio::runtime::{Builder, Handle, Runtime};
use tracing::dispatcher::{self, Dispatch};
use tracing::subscriber::NoSubscriber;

use asking::get;

type Printing = Pin<Box<dyn Future<Output = ()> + Send>>;

type Doing = Arc<dyn Fn() -> Printing + Send + Sync>;

/// The behaviour of the check.
#[derive(Clone)]
struct Press(Doing);

fn boxed<F: Future<Output = ()> + Send + 'static>(check: impl Fn() -> F + Send + Sync + 'static) -> Doing {
    Arc::new(move || Box::pin(check()))
}

#[dependency_check(id = "press", timeout = "300ms")]
async fn the_press_prints(press: Press) {
    (press.0)().await
}

/// Receives whether the thread of a scheduled execution has a subscriber.
#[derive(Clone)]
struct Observer(Sender<bool>);

#[dependency_check(id = "observed", timeout = "10s", every = "5m")]
async fn it_is_observed(observer: Observer) {
    let _ = observer.0.send(!dispatcher::get_default(Dispatch::is::<NoSubscriber>));
}

fn runtime(workers: usize) -> Runtime {
    let mut builder = if workers == 0 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(workers.max(1)).enable_all().build().unwrap()
}

/// Returns the endpoints of a program whose check does this.
fn health(check: Doing) -> Health {
    Setup::new().with(Press(check)).detail(Detail::Always).start()
}

async fn sleeps() {
    tokio::time::sleep(Duration::from_millis(5)).await;
    tokio::time::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.unwrap_err();
}

async fn spawns() {
    Handle::current().spawn(sleeps()).await.unwrap();
    assert_eq!(tokio::spawn(async { 7 }).await.unwrap(), 7);
    assert_eq!(tokio::task::spawn_blocking(|| 8).await.unwrap(), 8);
}

async fn blocks_in_place() {
    tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(1)));
    assert_eq!(tokio::task::block_in_place(|| Handle::current().block_on(async { 9 })), 9);
}

async fn blocks_on() {
    assert_eq!(Handle::current().block_on(async { 10 }), 10);
    drop(Builder::new_current_thread().build().unwrap());
}

async fn yields() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        tokio::task::consume_budget().await;
    }
}

#[rstest]
#[case(boxed(sleeps))]
#[case(boxed(spawns))]
#[case(boxed(blocks_in_place))]
#[case(boxed(blocks_on))]
#[case(boxed(yields))]
fn a_check_may_do_what_a_thread_inside_the_runtime_may_do(#[case] check: Doing) {
    for workers in [0, 1] {
        runtime(workers).block_on(async {
            let (status, body) = get(&health(Arc::clone(&check)), "/press").await;
            // On a busy machine, the check may be late. It must not panic.
            let is_late = body["reason"] == "check_timed_out";
            assert!(status == 200 || is_late, "{workers}: {body}");
        });
    }
}

/// Says when it is dropped, and then blocks for this time.
struct Dropped(Arc<AtomicBool>, Duration);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        std::thread::sleep(self.1);
    }
}

#[test]
fn a_check_whose_parts_are_always_ready_is_stopped() {
    let was_dropped = Arc::new(AtomicBool::new(false));
    let dropped = Arc::clone(&was_dropped);
    let runtime = runtime(1);
    let body = runtime.block_on(async move {
        let health = health(boxed(move || {
            let dropped = Dropped(Arc::clone(&dropped), Duration::ZERO);
            async move {
                let _dropped = dropped;
                loop {
                    tokio::task::consume_budget().await;
                }
            }
        }));
        get(&health, "/press").await.1
    });
    assert_eq!(body["reason"], "check_timed_out", "{body}");
    assert!(!body["error"].as_str().unwrap().contains("blocks its thread"), "{body}");
    let began = Instant::now();
    while !was_dropped.load(Ordering::SeqCst) {
        assert!(began.elapsed() < Duration::from_secs(10), "it is still running");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_check_that_blocks_while_it_is_dropped_delays_no_answer_and_is_named() {
    let was_dropped = Arc::new(AtomicBool::new(false));
    let runtime = runtime(0);
    runtime.block_on(async move {
        let health = health(boxed(move || {
            let dropped = Dropped(Arc::clone(&was_dropped), Duration::from_secs(3600));
            async move {
                let _dropped = dropped;
                std::future::pending().await
            }
        }));
        let (status, body) = get(&health, "/press").await;
        assert_eq!((status, &body["reason"]), (503, &"check_timed_out".into()), "{body}");
        // On a busy machine, the thread may not have dropped the future yet.
        let began = Instant::now();
        while !get(&health, "/press").await.1["error"].as_str().unwrap().contains("blocks its thread") {
            assert!(began.elapsed() < Duration::from_secs(10), "it is not named");
        }
        assert_eq!(get(&health, "/live").await.0, 200);
    });
}

#[test]
fn a_scheduled_execution_has_the_subscriber_of_the_thread_that_started_the_set_up() {
    let (sender, receiver) = channel();
    let runtime = runtime(1);
    let subscriber = tracing_subscriber::registry();
    let _guard = tracing::subscriber::set_default(subscriber);
    let _health = {
        let _inside = runtime.enter();
        Setup::new().with(Observer(sender)).start()
    };
    assert!(receiver.recv_timeout(Duration::from_secs(10)).unwrap());
}
