//! When a run is late, and when it is reported as late.

use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use process_runtime::testing::Domain;
use process_runtime::{Outcome, critical_process, registry};

use super::{How, any_outcome, logged};

#[tokio::test(start_paused = true)]
async fn a_run_is_reported_as_late_at_its_deadline_and_once() {
    let (domain, log) = logged();
    let started = tokio::time::Instant::now();
    domain
        .run(async {
            let mut run = Box::pin(to_the_point(Duration::from_secs(11)));
            let mut watched = std::pin::pin!(async {
                // Only the timer of the domain wakes this task up at the deadline.
                std::future::poll_fn(|cx| match run.as_mut().poll(cx) {
                    Poll::Ready(_) => Poll::Ready(()),
                    Poll::Pending if started.elapsed() > Duration::from_secs(10) => Poll::Ready(()),
                    Poll::Pending => Poll::Pending,
                })
                .await
            });
            watched.as_mut().await;
            tokio::task::yield_now().await;
            // A run that has taken exactly its SLA is not late. The timer therefore ends one millisecond later, which
            // is the resolution of tokio's timers.
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

/// A run that takes exactly its SLA is not late.
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
        // The result is the same if the domain looks for late runs before the run is polled.
        let domain = Domain::new();
        let run = domain.carrier().carry(to_the_point(Duration::from_millis(takes)));
        domain.run(async { tokio::spawn(run).await.unwrap() }).await;
        assert_eq!(domain.stats("to_the_point").unwrap().ended.late(), late, "{takes} ms, in another task");
    }
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
    assert_eq!(stats.ended.count_late(Outcome::Cancelled), 1);
}
