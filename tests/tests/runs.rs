//! One run, accounted for exactly once: every way to end, lateness at the deadline, the bounds.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use process_runtime::observe::{End, RunView, Sink};
use process_runtime::registry::Finding;
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Install, Outcome, Verdict, critical_process, record, registry, stage};
use process_tests::isolated::isolated;

/// Every outcome on demand.
#[critical_process(
    id = "any_outcome",
    version = "1.0.0",
    sla = "10s",
    rejects(Trouble::Yours),
    degraded = is_fallback,
    error_type = Trouble::kind,
)]
async fn any_outcome(how: How) -> Result<How, Trouble> {
    tokio::task::yield_now().await;
    match how {
        How::Succeed | How::FallBack => Ok(how),
        How::Reject => Err(Trouble::Yours),
        How::Fail => Err(Trouble::Ours),
        How::Panic => panic!("on demand"),
        How::Hang => pending().await,
        How::BeLate => {
            tokio::time::sleep(Duration::from_secs(11)).await;
            Ok(how)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Succeed,
    FallBack,
    Reject,
    Fail,
    Panic,
    Hang,
    BeLate,
}

fn is_fallback(how: &How) -> bool {
    *how == How::FallBack
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("yours")]
    Yours,
    #[error("ours")]
    Ours,
}

impl Trouble {
    fn kind(&self) -> &'static str {
        match self {
            Trouble::Yours => "yours",
            Trouble::Ours => "ours",
        }
    }
}

/// Keeps what a domain told.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<Told>>);

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Started(u64),
    Overdue(u64),
    Ended(u64, End),
}

impl Sink for Log {
    fn started(&self, run: &RunView<'_>) {
        self.0.lock().unwrap().push(Told::Started(run.id()));
    }

    fn overdue(&self, run: &RunView<'_>, _: Duration) {
        self.0.lock().unwrap().push(Told::Overdue(run.id()));
    }

    fn ended(&self, run: &RunView<'_>, end: &End) {
        self.0.lock().unwrap().push(Told::Ended(run.id(), *end));
    }
}

impl Log {
    fn ends(&self) -> Vec<End> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter_map(|told| if let Told::Ended(_, end) = told { Some(*end) } else { None })
            .collect()
    }

    fn overdue(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|told| matches!(told, Told::Overdue(_))).count()
    }
}

fn logged() -> (Domain, Arc<Log>) {
    let log = Arc::new(Log::default());
    (Domain::builder().sink(log.clone()).build(), log)
}

#[tokio::test(start_paused = true)]
async fn each_way_to_end_is_one_outcome() {
    for (how, outcome) in [
        (How::Succeed, Outcome::Success),
        (How::FallBack, Outcome::Degraded),
        (How::Reject, Outcome::Rejected),
        (How::Fail, Outcome::Failure),
        (How::Panic, Outcome::Panic),
    ] {
        let (domain, log) = logged();
        let run = AssertUnwindSafe(domain.run(any_outcome(how))).catch_unwind().await;
        assert_eq!(run.is_err(), how == How::Panic);
        let [end] = log.ends()[..] else { panic!("{:?}", log) };
        assert_eq!((end.outcome, end.late), (outcome, false));
        let stats = domain.stats("any_outcome").unwrap();
        assert_eq!((stats.started, stats.ended.total(), stats.ended.with(outcome)), (1, 1, 1));
        assert_eq!((stats.active, stats.overdue), (0, 0));
        assert!(domain.in_flight().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn error_types_are_named_by_the_rules_and_absent_on_success() {
    let (domain, log) = logged();
    domain
        .run(async {
            let _ = any_outcome(How::Succeed).await;
            let _ = any_outcome(How::Reject).await;
            let _ = any_outcome(How::Fail).await;
            let _ = AssertUnwindSafe(any_outcome(How::Panic)).catch_unwind().await;
        })
        .await;
    let types: Vec<_> = log.ends().iter().map(|end| end.error_type).collect();
    assert_eq!(types, [None, Some("yours"), Some("ours"), Some("panic")]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_is_cancelled_once() {
    let (domain, log) = logged();
    domain
        .run(async {
            let mut run = Box::pin(any_outcome(How::Hang));
            assert!(futures::poll!(run.as_mut()).is_pending());
            assert!(futures::poll!(run.as_mut()).is_pending());
            assert_eq!(registry::stats("any_outcome").unwrap().active, 1);
        })
        .await;
    let [end] = log.ends()[..] else { panic!("{log:?}") };
    assert_eq!((end.outcome, end.late, end.error_type), (Outcome::Cancelled, false, None));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_was_never_polled_never_ran() {
    let (domain, log) = logged();
    domain.run(async { drop(any_outcome(How::Succeed)) }).await;
    assert!(log.0.lock().unwrap().is_empty());
    assert_eq!(domain.stats("any_outcome").unwrap().started, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_dropped_by_somebody_elses_panic_is_cancelled_and_not_a_panic() {
    let (domain, log) = logged();
    let unwound = domain.run(async {
        AssertUnwindSafe(async {
            let mut run = Box::pin(any_outcome(How::Hang));
            assert!(futures::poll!(run.as_mut()).is_pending());
            panic!("of the caller");
        })
        .catch_unwind()
        .await
    });
    assert!(unwound.await.is_err());
    let [end] = log.ends()[..] else { panic!("{log:?}") };
    assert_eq!(end.outcome, Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_told_of_as_late_at_its_deadline_and_once() {
    let (domain, log) = logged();
    let started = tokio::time::Instant::now();
    domain
        .run(async {
            let mut run = Box::pin(any_outcome(How::BeLate));
            let mut watched = std::pin::pin!(async {
                // Nothing but the domain's own timer wakes this task up at the deadline.
                std::future::poll_fn(|cx| match run.as_mut().poll(cx) {
                    Poll::Ready(_) => Poll::Ready(()),
                    Poll::Pending if started.elapsed() > Duration::from_secs(10) => Poll::Ready(()),
                    Poll::Pending => Poll::Pending,
                })
                .await
            });
            watched.as_mut().await;
            tokio::task::yield_now().await;
            // At its SLA a run is not late yet, and the next time that tokio's timers know is a millisecond on.
            assert_eq!(started.elapsed(), Duration::from_millis(10_001));
            tokio::task::yield_now().await;
            let [run_in_flight] = &registry::in_flight()[..] else { panic!() };
            assert!(run_in_flight.overdue);
            let _ = run.await;
        })
        .await;
    assert_eq!(log.overdue(), 1);
    let [end] = log.ends()[..] else { panic!("{log:?}") };
    assert_eq!((end.outcome, end.late, end.duration), (Outcome::Success, true, Duration::from_secs(11)));
}

/// Exactly its SLA is not late.
#[critical_process(id = "to_the_point", version = "1.0.0", sla = "10s")]
async fn to_the_point(takes: Duration) {
    tokio::time::sleep(takes).await;
}

#[tokio::test(start_paused = true)]
async fn lateness_starts_past_the_sla() {
    for (takes, late) in [(9_999, 0), (10_000, 0), (10_002, 1)] {
        let domain = Domain::new();
        domain.call(|| to_the_point(Duration::from_millis(takes))).now_or_never();
        domain.run(to_the_point(Duration::from_millis(takes))).await;
        assert_eq!(domain.stats("to_the_point").unwrap().ended.late(), late, "{takes} ms");
        // The same where the domain looks for late runs before the run itself gets its turn.
        let domain = Domain::new();
        let run = domain.carrier().carry(to_the_point(Duration::from_millis(takes)));
        domain.run(async { tokio::spawn(run).await.unwrap() }).await;
        assert_eq!(domain.stats("to_the_point").unwrap().ended.late(), late, "{takes} ms, in another task");
    }
}

#[critical_process(id = "at_the_end", version = "1.0.0", sla = "10s")]
fn at_the_end() -> u8 {
    1
}

#[test]
fn a_thread_can_run_processes_until_its_very_end() {
    struct Ends(mpsc::Sender<u8>);
    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.send(at_the_end());
        }
    }
    thread_local! {
        static ENDS: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
        static ENDS_TOO: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
    }
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // One is made before the runtime's own thread-locals, one after.
        ENDS.with_borrow_mut(|ends| ends.push(Ends(sender.clone())));
        at_the_end();
        ENDS_TOO.with_borrow_mut(|ends| ends.push(Ends(sender)));
    });
    thread.join().unwrap();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 1]);
}

fn is_bad(_: &u8) -> bool {
    panic!("the rule itself is broken")
}

fn kind(_: &Trouble) -> &'static str {
    panic!("the rule itself is broken")
}

#[critical_process(id = "misjudged", version = "1.0.0", sla = "10s", degraded = is_bad, error_type = kind)]
async fn misjudged(how: How) -> Result<u8, Trouble> {
    match how {
        How::Fail => Err(Trouble::Ours),
        _ => Ok(1),
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_panics_leaves_the_result_and_what_its_type_says() {
    let (domain, log) = logged();
    assert_eq!(domain.run(misjudged(How::Succeed)).await.unwrap(), 1);
    assert!(domain.run(misjudged(How::Fail)).await.is_err());
    let outcomes: Vec<_> = log.ends().iter().map(|end| (end.outcome, end.error_type)).collect();
    let trouble = std::any::type_name::<Trouble>();
    assert_eq!(outcomes, [(Outcome::Success, None), (Outcome::Failure, Some(trouble))]);
}

struct Unprintable;

impl std::fmt::Display for Unprintable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("cannot be printed")
    }
}

#[critical_process(id = "recording", version = "1.0.0", sla = "10s", context(later(what)))]
fn recording() -> u8 {
    record!(what = Unprintable);
    1
}

#[tokio::test(start_paused = true)]
async fn a_recorded_value_that_panics_is_left_out() {
    let (domain, log) = logged();
    assert_eq!(domain.call(recording), 1);
    assert_eq!(log.ends()[0].outcome, Outcome::Success);
}

#[stage(id = "shared_part")]
fn shared_part() {}

#[critical_process(id = "carrying", version = "1.0.0", sla = "10s")]
fn carrying() {
    let carrier = Carrier::current();
    std::thread::spawn(move || carrier.run(shared_part)).join().unwrap();
}

#[test]
fn a_carrier_takes_the_process_along_though_nobody_watches() {
    carrying();
    assert_eq!(registry::stage_stats("carrying").unwrap()["shared_part"].started, 1);
}

macro_rules! twice {
    ($($function:tt)*) => {
        const _: () = {
            #[allow(dead_code, reason = "as `#[debug_handler]` does")]
            $($function)*
        };
        $($function)*
    };
}

twice! {
    #[critical_process(id = "expanded_twice", version = "1.0.0", sla = "10s")]
    fn expanded_twice() {}
}

#[test]
fn a_function_that_another_macro_emits_twice_is_one_process() {
    expanded_twice();
    assert_eq!(registry::stats("expanded_twice").unwrap().started, 1);
    assert_eq!(registry::all().filter(|process| process.id() == "expanded_twice").count(), 1);
    let said_twice = |finding: &Finding| finding.to_string().contains("expanded_twice");
    assert!(!registry::validate().iter().any(said_twice));
}

#[tokio::test(start_paused = true)]
async fn a_hung_run_is_overdue_until_it_is_dropped() {
    let (domain, log) = logged();
    let carrier = domain.carrier();
    let hung = tokio::spawn(carrier.carry(any_outcome(How::Hang)));
    domain.run(tokio::time::sleep(Duration::from_secs(60))).await;
    assert_eq!(log.overdue(), 1);
    assert_eq!(domain.stats("any_outcome").unwrap().overdue, 1);
    hung.abort();
    assert!(hung.await.unwrap_err().is_cancelled());
    let stats = domain.stats("any_outcome").unwrap();
    assert_eq!((stats.overdue, stats.active), (0, 0));
    assert_eq!(stats.ended.late_with(Outcome::Cancelled), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_makes_what_it_stops_a_failure() {
    let (domain, log) = logged();
    let limit = Duration::from_secs(3);
    let stopped = domain.run(process_runtime::timeout(limit, any_outcome(How::Hang))).await;
    assert_eq!(stopped.unwrap_err().after, limit);
    let [end] = log.ends()[..] else { panic!("{log:?}") };
    assert_eq!((end.outcome, end.error_type), (Outcome::Failure, Some("timeout")));
    assert_eq!(end.duration, limit);
}

#[critical_process(id = "guarded", version = "1.0.0", sla = "10s")]
async fn guarded() -> Result<(), process_runtime::TimedOut> {
    process_runtime::timeout(Duration::from_secs(1), any_outcome(How::Hang)).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_a_run_leaves_the_outer_run_to_judge() {
    let (domain, log) = logged();
    let _ = domain.run(guarded()).await;
    let ends: Vec<_> = log.ends().iter().map(|end| (end.outcome, end.error_type)).collect();
    let timed_out = std::any::type_name::<process_runtime::TimedOut>();
    assert_eq!(ends, [(Outcome::Failure, Some("timeout")), (Outcome::Failure, Some(timed_out))]);
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_runs_go_untracked_and_are_still_counted() {
    let log = Arc::new(Log::default());
    let domain = Domain::builder().in_flight_limit(3).sink(log.clone()).build();
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
    // Untracked runs are told of as late when they end.
    assert_eq!((stats.ended.late_with(Outcome::Cancelled), log.overdue()), (10, 10));
    // The room is there again.
    domain.run(any_outcome(How::Succeed)).await.unwrap();
    assert_eq!(domain.untracked(), 7);
}

#[stage(id = "first", process = "staged", sla = "1s")]
async fn first_stage(seconds: u64) -> Result<(), Trouble> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    if seconds == 0 { Err(Trouble::Ours) } else { Ok(()) }
}

#[stage(id = "shared")]
fn shared_stage() {}

#[critical_process(id = "staged", version = "1.0.0", sla = "10s")]
async fn staged(seconds: u64) -> bool {
    shared_stage();
    first_stage(seconds).await.is_ok()
}

#[critical_process(id = "also_staged", version = "1.0.0", sla = "10s")]
fn also_staged() {
    shared_stage();
}

#[tokio::test(start_paused = true)]
async fn stages_have_their_own_account_for_each_process() {
    let domain = Domain::new();
    domain
        .run(async {
            assert!(!staged(0).await);
            assert!(staged(2).await);
            also_staged();
        })
        .await;
    let stages = domain.call(|| registry::stage_stats("staged")).unwrap();
    assert_eq!(stages["first"].ended.with(Outcome::Failure), 1);
    assert_eq!(stages["first"].ended.late_with(Outcome::Success), 1);
    assert_eq!(stages["shared"].ended.total(), 2);
    let stages = domain.call(|| registry::stage_stats("also_staged")).unwrap();
    assert_eq!(stages["shared"].ended.total(), 1);
    // The process mended what its stage could not do.
    assert_eq!(domain.stats("staged").unwrap().ended.on_time(Outcome::Success), 2);
}

#[critical_process(id = "judged", version = "1.0.0", sla = "10s", outcome = judge)]
fn judged(rows: usize) -> usize {
    rows
}

fn judge(rows: &usize) -> Verdict {
    match rows {
        0 => Verdict::Rejected("no_rows"),
        1 => Verdict::Degraded,
        13 => Verdict::Failure("unlucky"),
        _ => Verdict::Success,
    }
}

#[tokio::test(start_paused = true)]
async fn a_judge_of_ones_own_decides() {
    let (domain, log) = logged();
    domain.call(|| [0, 1, 13, 2].map(judged));
    let ends: Vec<_> = log.ends().iter().map(|end| (end.outcome, end.error_type)).collect();
    assert_eq!(
        ends,
        [
            (Outcome::Rejected, Some("no_rows")),
            (Outcome::Degraded, None),
            (Outcome::Failure, Some("unlucky")),
            (Outcome::Success, None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn domains_do_not_see_each_other() {
    let (one, other) = (Domain::new(), Domain::new());
    one.run(other.run(any_outcome(How::Succeed))).await.unwrap();
    one.run(any_outcome(How::Fail)).await.unwrap_err();
    assert_eq!(one.stats("any_outcome").unwrap().ended.with(Outcome::Success), 0);
    assert_eq!(one.stats("any_outcome").unwrap().ended.with(Outcome::Failure), 1);
    assert_eq!(other.stats("any_outcome").unwrap().ended.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_takes_the_domain_across_spawn_thread_and_channel() {
    let domain = Domain::new();
    domain
        .run(async {
            let spawned = tokio::spawn(Carrier::current().carry(any_outcome(How::Succeed)));
            spawned.await.unwrap().unwrap();
            let carrier = Carrier::current();
            std::thread::spawn(move || carrier.run(|| judged(2))).join().unwrap();
            let (sender, receiver) = std::sync::mpsc::channel();
            sender.send((Carrier::current(), 2)).unwrap();
            let worker = std::thread::spawn(move || {
                let (carrier, rows) = receiver.recv().unwrap();
                carrier.run(|| judged(rows))
            });
            worker.join().unwrap();
        })
        .await;
    assert_eq!(domain.stats("any_outcome").unwrap().ended.total(), 1);
    assert_eq!(domain.stats("judged").unwrap().ended.total(), 2);
}

/// A sink that always panics.
#[derive(Debug)]
struct Broken;

impl Sink for Broken {
    fn started(&self, _: &RunView<'_>) {
        panic!("a sink's own");
    }

    fn ended(&self, _: &RunView<'_>, _: &End) {
        panic!("a sink's own");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_harms_neither_the_result_nor_other_sinks() {
    let log = Arc::new(Log::default());
    let domain = Domain::builder().sink(Arc::new(Broken)).sink(log.clone()).build();
    for _ in 0..3 {
        assert_eq!(domain.run(any_outcome(How::Succeed)).await.unwrap(), How::Succeed);
    }
    assert_eq!(log.ends().len(), 3);
}

#[critical_process(id = "bad_context", version = "1.0.0", sla = "10s", context(part = &text[..100], size = text.len()))]
fn bad_context(text: &str) -> usize {
    text.len()
}

#[tokio::test(start_paused = true)]
async fn a_context_expression_that_panics_harms_only_itself() {
    let (domain, log) = logged();
    assert_eq!(domain.call(|| bad_context("short")), 5);
    assert_eq!(log.ends().len(), 1);
}

thread_local! {
    static DROPPED_INSIDE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Says in whose run it is dropped.
struct Witness;

impl Drop for Witness {
    fn drop(&mut self) {
        let inside = registry::in_flight().last().and_then(|run| run.process);
        DROPPED_INSIDE.with_borrow_mut(|all| all.push(inside.map_or("none", |process| process.id())));
        judged(2);
    }
}

#[critical_process(id = "with_witness", version = "1.0.0", sla = "10s")]
async fn with_witness() {
    let _witness = Witness;
    pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_cancelled_run_drops_is_dropped_inside_of_it() {
    let domain = Domain::new();
    domain
        .run(async {
            let mut run = Box::pin(with_witness());
            assert!(futures::poll!(run.as_mut()).is_pending());
        })
        .await;
    assert_eq!(DROPPED_INSIDE.take(), ["with_witness"]);
    assert_eq!(domain.stats("judged").unwrap().ended.total(), 1);
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
    // The arguments are held twice: by the function's future, and by the block that is the run.
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
fn a_run_that_nobody_watches_allocates_nothing() {
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
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise.
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
    isolated("runs_with_a_short_sla_do_not_wake_the_watchdog_time_and_again", || {
        let installation = Install::new().start();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            soon_late();
            std::thread::sleep(Duration::from_micros(100));
        }
        // Once a second or so, and not for every other run.
        let wakes = process_runtime::__private::measure::watchdog_wakes();
        assert!((1..20).contains(&wakes), "{wakes}");
        installation.stop();
    });
}
