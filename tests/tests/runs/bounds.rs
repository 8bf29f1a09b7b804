//! The costs of runs and their bounds: the number of tracked runs, the size of a future, allocations, and the wakes
//! of the watchdog.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use process_runtime::context::Scope;
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Install, Outcome, critical_process, registry, stage};
use process_tests::isolated::{eventually, isolated};

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

/// Polls a run of `any_outcome_pending` once on this thread.
fn begun() -> Pin<Box<impl Future<Output = ()>>> {
    let mut run = Box::pin(any_outcome_pending());
    assert!(run.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    run
}

fn untracked() -> u64 {
    let dropped = process_runtime::__private::measure::dropped();
    dropped.iter().find(|(reason, _)| *reason == "untracked").expect("it is counted").1
}

#[test]
fn after_one_thread_has_filled_the_table_the_runs_of_other_threads_are_tracked_again() {
    const LIMIT: usize = 1 << 17;
    let printed = isolated(|| {
        let installation = Install::new().start();
        // Tasks of one thread, which stays alive.
        let mut runs: Vec<_> = (0..LIMIT).map(|_| begun()).collect();
        assert_eq!((untracked(), registry::in_flight().len()), (0, LIMIT));
        let elsewhere = |times| {
            let work = move || (0..times).map(|_| begun()).collect::<Vec<_>>().len();
            std::thread::spawn(work).join().unwrap()
        };
        // The table is full.
        elsewhere(3);
        assert_eq!(untracked(), 3);
        let is_reported = |end: &str| {
            let report = installation.report();
            let lines = report.iter().filter(|line| line.contains("the table of runs in flight is full"));
            lines.filter(|line| line.ends_with(end)).count() == 1
        };
        eventually("it is reported", || {
            is_reported("not tracked: 3 (the table has room for 131072) (1 time so far)")
        });
        // As soon as a single run of the first thread has ended, there is room for one run of another thread.
        drop(runs.remove(0));
        elsewhere(1);
        assert_eq!(untracked(), 3);
        drop(runs);
        assert_eq!(registry::in_flight().len(), 0);
        for _ in 0..20 {
            elsewhere(1000);
        }
        assert_eq!(untracked(), 3, "all of these are tracked");
        eventually("its end is reported", || is_reported("(ended: 1 time)"));
        installation.stop();
    });
    if let Some(printed) = printed {
        let lines = printed.lines().filter(|line| line.contains("the table of runs in flight is full"));
        let lines: Vec<_> = lines.collect();
        assert!(matches!(lines[..], [_, end] if end.contains("(ended: 1 time in ")), "{printed}");
    }
}

#[critical_process(id = "deep", version = "1.0.0", sla = "100s")]
fn deep(depth: u32) -> u32 {
    if depth == 0 { 0 } else { deep(depth - 1) + 1 }
}

#[stage(id = "deep_part")]
fn deep_stage(depth: u32) -> u32 {
    if depth == 0 { 0 } else { deep_stage(depth - 1) + 1 }
}

#[critical_process(id = "deep_with_stages", version = "1.0.0", sla = "100s")]
fn deep_stages(depth: u32) -> u32 {
    deep_stage(depth)
}

/// Carries the current run into each level, as a function that spawns a task does.
#[critical_process(id = "deep_carried", version = "1.0.0", sla = "100s")]
fn deep_carried(depth: u32) -> u32 {
    if depth == 0 { 0 } else { Carrier::current().run(|| deep_carried(depth - 1)) + 1 }
}

/// Scopes around scopes inside of a run, and a run inside of each of them.
#[critical_process(id = "deep_scoped", version = "1.0.0", sla = "100s")]
fn deep_scoped(depth: u32) -> u32 {
    fn scoped(depth: u32) -> u32 {
        switched();
        if depth == 0 { 0 } else { Scope::new().run(|| scoped(depth - 1)) + 1 }
    }
    scoped(depth)
}

#[test]
fn a_run_costs_the_same_at_any_depth() {
    isolated(|| {
        let measured = || {
            for (name, recursion) in [
                ("runs", deep as fn(u32) -> u32),
                ("stages", deep_stages),
                ("carriers", deep_carried),
                ("scopes", deep_scoped),
            ] {
                // The minimum of several measurements, because other tests run at the same time.
                let least = |depth| {
                    let once = |_| {
                        let start = Instant::now();
                        assert_eq!(recursion(depth), depth);
                        start.elapsed()
                    };
                    (0..4).map(once).min().unwrap()
                };
                let [once, four_times] = [20_000, 80_000].map(|depth| least(depth) / depth);
                println!("{name}: {once:?} for a level at a depth of 20,000, {four_times:?} at 80,000");
                // Deep frames are not in the cache of the processor, so a level costs more than at a small depth. A
                // level that looks at all levels around it costs more than 100 µs.
                assert!(four_times < Duration::from_micros(10), "{name}: {once:?}, {four_times:?}");
            }
        };
        let thread = std::thread::Builder::new().stack_size(1 << 30);
        thread.spawn(measured).unwrap().join().unwrap();
    });
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
