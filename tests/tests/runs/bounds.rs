//! The costs of runs and their bounds: the number of tracked runs, the size of a future, allocations, and the wakes
//! of the watchdog.

use std::future::pending;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use process_runtime::testing::Domain;
use process_runtime::{Install, Outcome, critical_process, registry};
use process_tests::isolated::isolated;

use super::{How, Log, Trouble, any_outcome};

#[tokio::test(start_paused = true)]
async fn at_the_bound_runs_go_untracked_and_are_still_counted() {
    let log = Log::default();
    let domain = Domain::builder().in_flight_limit(3).sink(Arc::new(log.clone())).build();
    domain
        .run(async {
            let mut runs: Vec<_> = (0..10).map(|_| Box::pin(any_outcome(How::Hang))).collect();
            for run in &mut runs {
                assert!(futures::poll!(run.as_mut()).is_pending());
            }
            assert_eq!(registry::in_flight().len(), 3);
            assert_eq!(registry::stats("any_outcome").unwrap().active, 10);
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!(registry::stats("any_outcome").unwrap().overdue, 3);
        })
        .await;
    assert_eq!(domain.untracked(), 7);
    let stats = domain.stats("any_outcome").unwrap();
    assert_eq!((stats.active, stats.overdue), (0, 0));
    // Runs that are not tracked are reported as late when they end.
    assert_eq!((stats.ended.count_late(Outcome::Cancelled), log.overdue()), (10, 10));
    // After these runs have ended, the table has room for tracked runs again.
    domain.run(any_outcome(How::Succeed)).await.unwrap();
    assert_eq!(domain.untracked(), 7);
}

#[critical_process(id = "switched", version = "1.0.0", sla = "10s")]
fn switched() {}

#[test]
fn a_runs_future_grows_by_no_more_than_stated() {
    async fn bare(how: &How) -> Result<How, Trouble> {
        tokio::task::yield_now().await;
        Ok(*how)
    }
    #[critical_process(id = "measured", version = "1.0.0", sla = "10s", context(how = ?how))]
    async fn annotated(how: &How) -> Result<How, Trouble> {
        tokio::task::yield_now().await;
        Ok(*how)
    }
    // The arguments are stored twice: in the future of the function, and in the block that contains the body.
    let arguments = size_of::<&How>();
    let grown = size_of_val(&annotated(&How::Hang)) - size_of_val(&bare(&How::Hang)) - arguments;
    assert!(grown <= 64, "{grown} bytes beside the arguments");
}

#[test]
fn polls_allocate_nothing() {
    let mut run = Box::pin(any_outcome_pending());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut cx).is_pending());
    let before = allocations::on_this_thread();
    for _ in 0..100 {
        assert!(run.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(allocations::on_this_thread() - before, 0);
}

#[test]
fn a_run_without_a_destination_allocates_nothing() {
    switched();
    let before = allocations::on_this_thread();
    for _ in 0..100 {
        switched();
    }
    assert_eq!(allocations::on_this_thread() - before, 0);
}

#[critical_process(id = "never_ready", version = "1.0.0", sla = "10s")]
async fn any_outcome_pending() {
    pending::<()>().await;
}

mod allocations {
    //! Counts the allocations of each thread.

    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }

    struct Counting;

    // SAFETY: every call goes to the system's allocator unchanged.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            COUNT.set(COUNT.get() + 1);
            // SAFETY: the caller keeps the contract of `alloc`.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the caller keeps the contract of `dealloc`.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    pub(super) fn on_this_thread() -> u64 {
        COUNT.get()
    }
}

#[critical_process(id = "soon_late", version = "1.0.0", sla = "200ms")]
fn soon_late() {}

#[test]
fn runs_with_a_short_sla_do_not_wake_the_watchdog_time_and_again() {
    isolated(|| {
        let installation = Install::new().start();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            soon_late();
            std::thread::sleep(Duration::from_micros(100));
        }
        // The watchdog wakes up about once a second, even if there are many runs.
        let wakes = process_runtime::__private::measure::watchdog_wakes();
        assert!((1..20).contains(&wakes), "{wakes}");
        installation.stop();
    });
}
