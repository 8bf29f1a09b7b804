//! Every way in which a run ends, with its outcome and its error type.

use std::cell::RefCell;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use process_runtime::testing::Domain;
use process_runtime::{Outcome, critical_process, registry};

use super::{How, any_outcome, judged, logged};

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
        assert_eq!((stats.started, stats.ended.total(), stats.ended.count(outcome)), (1, 1, 1));
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
    assert!(log.entries().is_empty());
    assert_eq!(domain.stats("any_outcome").unwrap().started, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_dropped_by_a_panic_of_its_caller_is_cancelled_and_not_a_panic() {
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

thread_local! {
    static DROPPED_INSIDE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Records the run in which it is dropped.
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
