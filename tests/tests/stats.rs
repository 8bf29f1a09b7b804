//! The built-in statistics, which need no backend. Time is virtual.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use process_runtime::stats::{PERCENTILE_ERROR, WINDOWS, Window};
use process_runtime::testing::Domain;
use process_runtime::{Outcome, critical_process, registry, stage};
use process_tests::ways::{How, Trouble};
use tokio::time::{advance, sleep};

#[critical_process(id = "takes", version = "1.0.0", sla = "10s")]
async fn takes(duration: Duration) {
    sleep(duration).await;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn window(domain: &Domain, length: u64) -> Window {
    let windows = domain.stats("takes").unwrap().windows;
    windows.into_iter().find(|window| window.length == seconds(length)).unwrap()
}

/// Lets time pass in steps of a second, so that each slice of the statistics is closed when it is due.
async fn pass(domain: &Domain, length: u64) {
    for _ in 0..length {
        advance(seconds(1)).await;
        domain.stats("takes").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn percentiles_are_nearest_rank_within_the_stated_error_and_the_maximum_is_exact() {
    let domain = Domain::new();
    domain.run(join_all((1..=1000).map(|millis| takes(Duration::from_millis(millis))))).await;
    for window in domain.stats("takes").unwrap().windows {
        for (percentile, millis) in
            [(window.p50, 500.0), (window.p75, 750.0), (window.p95, 950.0), (window.p99, 990.0)]
        {
            let found = percentile.unwrap().as_secs_f64() * 1000.0;
            assert!((found - millis).abs() <= millis * PERCENTILE_ERROR + 1.0, "{found} for {millis} ms");
        }
        let max = window.max.unwrap();
        assert!(max >= Duration::from_millis(1000) && max <= Duration::from_millis(1001), "{max:?}");
        assert!(window.p99 <= window.max);
    }
}

#[tokio::test(start_paused = true)]
async fn percentiles_hold_from_microseconds_to_hours() {
    for millis in [1, 7, 90, 1_500, 61_000, 3_599_000] {
        let domain = Domain::new();
        domain.run(takes(Duration::from_millis(millis))).await;
        let window = window(&domain, 3600);
        let found = window.p50.unwrap().as_secs_f64() * 1000.0;
        let error = (found - millis as f64).abs();
        assert!(error <= millis as f64 * PERCENTILE_ERROR + 1.0, "{found} for {millis} ms");
        assert!(window.max.unwrap().as_millis() >= u128::from(millis));
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_ended_run_there_is_no_figure_and_no_division_by_zero() {
    let domain = Domain::new();
    let stats = domain.stats("takes").unwrap();
    assert_eq!((stats.started, stats.ended.total(), stats.active, stats.overdue), (0, 0, 0, 0));
    for window in stats.windows {
        assert_eq!((window.p50, window.p99, window.max), (None, None, None));
        assert_eq!((window.error_rate, window.throughput), (None, 0.0));
        assert!(window.throughput.is_finite());
    }
}

#[tokio::test(start_paused = true)]
async fn windows_are_of_1_5_and_60_minutes() {
    assert_eq!(WINDOWS, [seconds(60), seconds(300), seconds(3600)]);
    let domain = Domain::new();
    let lengths = domain.stats("takes").unwrap().windows.map(|window| window.length);
    assert_eq!(lengths, WINDOWS);
}

#[tokio::test(start_paused = true)]
async fn a_run_leaves_each_window_at_its_length_to_within_a_slice() {
    let domain = Domain::new();
    domain.stats("takes").unwrap();
    domain.run(takes(seconds(1))).await;
    let mut gone_after = [None; WINDOWS.len()];
    for second in 0..4200 {
        for (window, gone) in domain.stats("takes").unwrap().windows.iter().zip(&mut gone_after) {
            match window.ended.total() {
                0 => _ = gone.get_or_insert(second),
                1 => assert_eq!(*gone, None, "it came back to the window of {:?}", window.length),
                more => panic!("{more} runs"),
            }
            let slice = if window.length == seconds(60) { 5 } else { window.length.as_secs() / 10 };
            assert!(window.covered <= window.length + seconds(slice), "{window:?}");
        }
        advance(seconds(1)).await;
    }
    for ((gone, length), slice) in gone_after.into_iter().zip(WINDOWS).zip([5, 30, 300]) {
        let (gone, length) = (gone.unwrap(), length.as_secs());
        assert!((length - slice..=length + slice).contains(&gone), "{gone} s for the window of {length} s");
    }
    // The totals since the start include every run.
    assert_eq!(domain.stats("takes").unwrap().ended.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_steady_load_reads_as_steady_over_every_window() {
    let domain = Domain::new();
    for _ in 0..4000 {
        domain.run(takes(Duration::from_millis(900))).await;
        advance(Duration::from_millis(100)).await;
        domain.stats("takes").unwrap();
    }
    for window in domain.stats("takes").unwrap().windows {
        assert!((window.throughput - 1.0).abs() < 0.1, "{window:?}");
        assert!(
            (window.covered.as_secs_f64() / window.length.as_secs_f64() - 1.0).abs() < 0.11,
            "{window:?}"
        );
        assert_eq!(window.ended.total(), window.ended.count_on_time(Outcome::Success));
        let p95 = window.p95.unwrap().as_secs_f64();
        assert!((p95 - 0.9).abs() <= 0.9 * PERCENTILE_ERROR + 0.001, "{p95}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_run_of_long_ago_is_not_the_longest_of_the_last_minute() {
    let domain = Domain::new();
    domain.run(takes(seconds(9))).await;
    pass(&domain, 120).await;
    domain.run(takes(seconds(2))).await;
    let (minute, hour) = (window(&domain, 60), window(&domain, 3600));
    assert!(minute.max.unwrap() < seconds(3), "{minute:?}");
    assert!(hour.max.unwrap() >= seconds(9), "{hour:?}");
    assert_eq!((minute.ended.total(), hour.ended.total()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_young_process_covers_less_than_the_window() {
    let domain = Domain::new();
    domain.stats("takes").unwrap();
    domain.run(join_all((0..10).map(|_| takes(seconds(2))))).await;
    for window in domain.stats("takes").unwrap().windows {
        assert!(window.covered >= seconds(2) && window.covered < seconds(3), "{window:?}");
        assert!((window.throughput - 5.0).abs() < 0.1, "{window:?}");
    }
}

#[critical_process(id = "ends", version = "1.0.0", sla = "10s", rejects(Trouble::Yours), degraded = How::is_fallback)]
async fn ends(how: How) -> Result<How, Trouble> {
    staged(how).await;
    how.end().await
}

#[stage(id = "staged", process = "ends", sla = "1s")]
async fn staged(how: How) {
    if matches!(how, How::FallBack) {
        sleep(seconds(2)).await;
    }
}

async fn end(domain: &Domain, how: How) {
    let mut run = Box::pin(AssertUnwindSafe(domain.run(ends(how))).catch_unwind());
    match how {
        How::Hang => assert!(futures::poll!(run.as_mut()).is_pending()),
        _ => drop(run.await),
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_rate_is_failures_and_panics_over_all_but_the_cancelled() {
    let domain = Domain::new();
    end(&domain, How::Hang).await;
    assert_eq!(domain.stats("ends").unwrap().ended.error_rate(), None);
    for (how, rate) in [
        (How::Succeed, 0.0),
        (How::Fail, 1.0 / 2.0),
        (How::Reject, 1.0 / 3.0),
        (How::FallBack, 1.0 / 4.0),
        (How::Panic, 2.0 / 5.0),
        (How::Hang, 2.0 / 5.0),
    ] {
        end(&domain, how).await;
        let stats = domain.stats("ends").unwrap();
        assert_eq!(stats.ended.error_rate(), Some(rate), "{how:?}");
        for window in stats.windows {
            assert_eq!(window.error_rate, Some(rate), "{how:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_counted_once_and_nothing_stays_active() {
    let domain = Domain::new();
    for how in [How::Succeed, How::FallBack, How::Reject, How::Fail, How::Panic, How::Hang] {
        end(&domain, how).await;
    }
    let stats = domain.stats("ends").unwrap();
    for outcome in Outcome::ALL {
        assert_eq!((stats.ended.count(outcome), stats.ended.count_late(outcome)), (1, 0), "{outcome}");
    }
    assert_eq!((stats.started, stats.ended.total(), stats.active), (6, 6, 0));
    let stages = domain.call(|| registry::stage_stats("ends")).unwrap();
    let stage = &stages["staged"];
    assert_eq!((stage.started, stage.ended.total(), stage.ended.late()), (6, 6, 1));
    assert_eq!(stage.windows[0].max.unwrap().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn running_processes_are_active_and_past_their_sla_overdue_until_they_end() {
    let domain = Domain::new();
    let watched = async {
        let started = tokio::time::Instant::now();
        for (second, active, overdue) in [(9, 3, 0), (11, 3, 3), (21, 1, 1), (31, 0, 0)] {
            tokio::time::sleep_until(started + seconds(second)).await;
            let stats = registry::stats("takes").unwrap();
            assert_eq!((stats.active, stats.overdue), (active, overdue), "at {second} s");
        }
    };
    let runs = join_all([seconds(20), seconds(20), seconds(30)].map(takes));
    domain.run(async { tokio::join!(runs, watched) }).await;
    assert_eq!(domain.stats("takes").unwrap().ended.count_late(Outcome::Success), 3);
}

#[test]
fn an_unknown_process_is_answered_with_the_nearest() {
    let error = registry::stats("take").unwrap_err();
    assert_eq!((error.nearest, error.to_string().contains("did you mean `takes`?")), (Some("takes"), true));
}

#[tokio::test(start_paused = true)]
async fn runs_that_just_ended_are_in_the_windows_after_hours_without_a_look() {
    let domain = Domain::new();
    domain.run(takes(Duration::ZERO)).await;
    sleep(seconds(2 * 60 * 60)).await;
    for _ in 0..49 {
        domain.run(takes(Duration::ZERO)).await;
    }
    for window in domain.stats("takes").unwrap().windows {
        assert_eq!(window.ended.total(), 50, "{:?}", window.length);
        assert_eq!(window.covered, seconds(2 * 60 * 60), "the window covers the time since the start");
    }
}
