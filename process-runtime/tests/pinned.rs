//! Runs that are futures or calls, in each way in which a run can end or move. The tests exercise the unsafe code
//! that pins a future, drops it in place, and finds frames on the stack. CI also runs them under Miri if the
//! toolchain has it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use process_runtime::context::Scope;
use process_runtime::observe::{End, RunView, Sink};
use process_runtime::{Carrier, Install, Outcome, critical_process, registry, stage};

/// The process, the outcome and the value of `order_id` of each run of a process that has ended.
static ENDS: Mutex<Vec<(&str, Outcome, String)>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Ends;

impl Sink for Ends {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        let (Some(process), None) = (run.process(), run.stage()) else { return };
        let context = run.context();
        let order_id = context.iter().find(|(name, _)| *name == "order_id");
        let order_id = order_id.map(|(_, value)| value.to_string()).unwrap_or_default();
        ENDS.lock().unwrap().push((process.id(), end.outcome, order_id));
    }
}

/// Lets one test run at a time, because the program has a single list of runs in flight.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static INSTALLED: Once = Once::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The installation is stopped at once, so that no watchdog runs beside the test.
    INSTALLED.call_once(|| Install::new().sink(Ends).start().stop());
    alone
}

/// Returns the ends since the last call. No run may be in flight.
fn ends() -> Vec<(&'static str, Outcome, String)> {
    assert_eq!(registry::in_flight().len(), 0);
    std::mem::take(&mut *ENDS.lock().unwrap())
}

fn end(id: &'static str, outcome: Outcome) -> Vec<(&'static str, Outcome, String)> {
    vec![(id, outcome, String::new())]
}

/// A value that is counted while it is alive. Its drop asserts that exactly one run is in flight, so that the value
/// is dropped inside of that run.
struct Alive<'a>(&'a AtomicUsize, Box<u64>);

impl<'a> Alive<'a> {
    fn new(count: &'a AtomicUsize) -> Alive<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Alive(count, Box::new(7))
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        assert_eq!((*self.1, registry::in_flight().len()), (7, 1));
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Is pending once, and holds a reference to a local variable while it is pending.
async fn yields() -> u64 {
    let (local, mut polls) = ([1, 2, 3], 0);
    let reference = &local;
    poll_fn(|_| {
        polls += 1;
        if polls > 1 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    reference.iter().sum()
}

#[critical_process(id = "pinned", version = "1.0.0", sla = "1h", context(inherit(order_id)))]
async fn pinned(alive: &AtomicUsize, panics: bool) -> Result<u64, &'static str> {
    let _alive = Alive::new(alive);
    let sum = yields().await;
    if panics {
        panic!("on purpose");
    }
    Ok(sum)
}

#[critical_process(id = "boxed", version = "1.0.0", sla = "1h")]
fn boxed(alive: &AtomicUsize) -> Pin<Box<dyn Future<Output = Result<u64, &'static str>> + Send + '_>> {
    Box::pin(async move {
        let _alive = Alive::new(alive);
        Err(if yields().await == 6 { "on purpose" } else { "wrong" })
    })
}

#[critical_process(id = "called", version = "1.0.0", sla = "1h", context(order_id))]
fn called(order_id: u64) -> u64 {
    if order_id == 0 { 0 } else { 1 + twice(order_id) }
}

#[stage(id = "twice", process = "called")]
fn twice(order_id: u64) -> u64 {
    called(order_id - 1)
}

#[test]
fn a_future_that_is_ready_is_dropped_once_inside_of_its_run() {
    let (_alone, alive) = (alone(), AtomicUsize::new(0));
    {
        let mut future = pin!(pinned(&alive, false));
        assert_eq!(poll(future.as_mut()), Poll::Pending);
        assert_eq!((alive.load(Ordering::Relaxed), registry::in_flight().len()), (1, 1));
        assert_eq!(poll(future.as_mut()), Poll::Ready(Ok(6)));
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
    assert_eq!(ends(), end("pinned", Outcome::Success));
}

#[test]
fn a_future_that_is_dropped_early_is_dropped_inside_of_its_run() {
    let (_alone, alive) = (alone(), AtomicUsize::new(0));
    drop(pinned(&alive, false));
    assert_eq!(ends(), []);
    let mut future = Box::pin(pinned(&alive, false));
    assert_eq!(poll(future.as_mut()), Poll::Pending);
    drop(future);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(ends(), end("pinned", Outcome::Cancelled));
}

#[test]
fn a_future_that_panics_is_dropped_once() {
    let (_alone, alive) = (alone(), AtomicUsize::new(0));
    let mut future = Box::pin(pinned(&alive, true));
    assert_eq!(poll(future.as_mut()), Poll::Pending);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()))).is_err());
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    drop(future);
    assert_eq!(ends(), end("pinned", Outcome::Panic));
}

#[test]
fn a_future_that_moves_between_threads_ends_on_the_last() {
    let (_alone, alive) = (alone(), AtomicUsize::new(0));
    let mut future = boxed(&alive);
    assert_eq!(poll(future.as_mut()), Poll::Pending);
    thread::scope(|threads| {
        let polled = threads.spawn(move || poll(future.as_mut()));
        assert_eq!(polled.join().unwrap(), Poll::Ready(Err("on purpose")));
    });
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(ends(), end("boxed", Outcome::Failure));
}

#[test]
fn calls_that_nest_find_the_frame_around_them_again() {
    let _alone = alone();
    assert_eq!(called(3), 3);
    let ended = ends();
    let order_ids: Vec<_> = ended.iter().map(|(_, _, order_id)| order_id.as_str()).collect();
    assert_eq!(order_ids, ["0", "1", "2", "3"]);
}

#[test]
fn a_carrier_carries_a_scope_to_a_future_on_another_thread_and_to_its_drop() {
    let (_alone, alive) = (alone(), AtomicUsize::new(0));
    let carrier = Scope::new().set("order_id", "a-1").run(Carrier::current);
    thread::scope(|threads| {
        let other = carrier.clone();
        threads.spawn(|| {
            let mut carried = Box::pin(other.carry(pinned(&alive, false)));
            assert_eq!(poll(carried.as_mut()), Poll::Pending);
            assert_eq!(poll(carried.as_mut()), Poll::Ready(Ok(6)));
        });
    });
    let mut carried = Box::pin(carrier.carry(pinned(&alive, false)));
    assert_eq!(poll(carried.as_mut()), Poll::Pending);
    drop(carried);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    let of = |outcome| ("pinned", outcome, "a-1".to_owned());
    assert_eq!(ends(), [of(Outcome::Success), of(Outcome::Cancelled)]);
}
