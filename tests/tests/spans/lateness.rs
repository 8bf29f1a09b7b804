//! The event that a late run adds to its span while it still runs.

use std::time::Duration;

use process_runtime::testing::Domain;
use process_runtime::{Install, critical_process, registry};
use process_tests::capture::Capture;
use process_tests::isolated::{eventually, isolated};
use tokio::time::sleep;
use tracing::Level;

#[critical_process(id = "slow", version = "1.0.0", sla = "10s", owner = "billing", runbook = "docs/slow.md")]
async fn slow(takes: Duration) {
    sleep(takes).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_run_has_one_event_in_its_span_while_it_still_runs() {
    let (capture, _guard) = Capture::installed();
    let domain = Domain::new();
    let watched = async {
        sleep(Duration::from_secs(9)).await;
        assert!(capture.only("slow").events.is_empty());
        sleep(Duration::from_secs(2)).await;
        let span = capture.only("slow");
        assert!(!span.closed);
        let [(level, fields)] = &span.events[..] else { panic!("{span:#?}") };
        assert_eq!(*level, Level::WARN);
        assert_eq!(fields["critical_process.id"], "slow");
        assert_eq!(fields["sla_s"], "10.0");
        assert_eq!((&*fields["owner"], &*fields["runbook"]), ("billing", "docs/slow.md"));
        let elapsed: f64 = fields["elapsed_s"].parse().unwrap();
        assert!((10.0..11.0).contains(&elapsed), "{elapsed}");
    };
    domain.run(async { tokio::join!(slow(Duration::from_secs(25)), watched) }).await;
    let span = capture.only("slow");
    assert_eq!(span.events.len(), 1);
    assert_eq!(span.field("critical_process.late"), Some("true"));
    // A late run is not an error.
    assert_eq!(
        (span.field("critical_process.outcome"), span.field("otel.status_code")),
        (Some("success"), None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_on_time_has_no_event() {
    let (capture, _guard) = Capture::installed();
    Domain::new().run(slow(Duration::from_secs(9))).await;
    let span = capture.only("slow");
    assert!(span.events.is_empty());
    assert_eq!(span.field("critical_process.late"), Some("false"));
}

#[critical_process(id = "hung", version = "1.0.0", sla = "1ms")]
fn hung(capture: &Capture) {
    eventually("an event in the span of a hung run", || capture.only("hung").events.len() == 1);
    // While it is running, the run is counted as overdue.
    assert_eq!(registry::stats("hung").unwrap().overdue, 1);
}

#[test]
fn the_watchdog_runs_for_as_long_as_an_installation() {
    isolated(|| {
        let (first, second) = (Install::new().start(), Install::new().start());
        second.stop();
        second.stop();
        let (capture, _guard) = Capture::installed();
        hung(&capture);
        first.stop();
    });
}

#[test]
fn the_watchdog_reports_a_hung_run_from_its_own_thread() {
    isolated(|| {
        let installation = Install::new().start();
        let (capture, _guard) = Capture::installed();
        hung(&capture);
        let span = capture.only("hung");
        assert_eq!(span.events.len(), 1);
        assert_eq!((span.field("critical_process.late"), span.closed), (Some("true"), true));
        assert_eq!(registry::stats("hung").unwrap().overdue, 0);
        installation.stop();
    });
}
