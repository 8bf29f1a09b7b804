//! The telemetry of health checks: spans, Sentry, meters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use process_runtime::health::{Health, Request, Setup};
use process_runtime::sentry::Integration;
use process_runtime::{Install, critical_process, dependency, dependency_check, health_check, stage};
use process_tests::capture::Capture;
use process_tests::events::{Inbox, in_block, tag};
use process_tests::isolated::isolated;
use process_tests::readings::{Collected, Readings};
use sentry::protocol::{
    EnvelopeItem, MonitorCheckIn, MonitorCheckInStatus, MonitorIntervalUnit, MonitorSchedule,
};
use sentry::test::TestTransport;
use sentry::{Client, ClientOptions, Envelope, Hub, HubSwitchGuard, Transport};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// Whether the checked parts are broken.
#[derive(Clone, Default)]
struct Broken(Arc<AtomicBool>);

#[derive(Debug, thiserror::Error)]
#[error("the bell is missing")]
struct NoBell;

#[critical_process(id = "ring", version = "1.0.0", sla = "5s", context(bell), depends_on("rope"))]
async fn ring(bell: u8, broken: bool) -> Result<(), NoBell> {
    swing().await;
    dependency("rope", async { if broken { Err(NoBell) } else { Ok(()) } }).await
}

#[stage(id = "swing", process = "ring")]
async fn swing() {}

#[health_check(process = "ring")]
async fn it_rings(broken: Broken) -> Result<(), NoBell> {
    ring(3, broken.0.load(Ordering::SeqCst)).await
}

#[dependency_check(id = "rope", timeout = "1s")]
async fn the_rope_holds() {}

/// Whether the check blocks its thread.
#[derive(Clone, Default)]
struct Blocks(bool);

#[dependency_check(id = "bolt", timeout = "200ms")]
async fn the_bolt_moves(blocks: Blocks) {
    if blocks.0 {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[critical_process(id = "strike", version = "1.0.0", sla = "5s")]
async fn strike(broken: bool) -> Result<(), NoBell> {
    if broken { Err(NoBell) } else { Ok(()) }
}

#[health_check(process = "strike", timeout = "1s", every = "2s")]
async fn it_strikes(broken: Broken) -> Result<(), NoBell> {
    strike(broken.0.load(Ordering::SeqCst)).await
}

/// A process without a check.
#[critical_process(id = "unlock", version = "1.0.0", sla = "5s", depends_on("keys"))]
async fn unlock(right: bool) -> Result<(), NoBell> {
    if right { Ok(()) } else { Err(NoBell) }
}

fn health(broken: bool) -> Health {
    Setup::new().with(Broken(Arc::new(AtomicBool::new(broken)))).with(Blocks::default()).start()
}

async fn answer(health: &Health, path: &str) -> (u16, Value) {
    let answer = health.respond(Request { method: "GET", path, ..Request::default() }).await;
    (answer.status, serde_json::from_str(&answer.body).expect("it is JSON"))
}

async fn status(health: &Health, path: &str) -> u16 {
    answer(health, path).await.0
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("it can be made")
}

#[test]
fn spans_and_events_of_a_probe_say_that_it_was_one() {
    isolated(|| {
        let (capture, _subscriber) = Capture::installed();
        let (inbox, _bound) = Inbox::bound();
        runtime().block_on(async {
            assert_eq!(status(&health(true), "/ring").await, 503);
            for name in ["ring", "ring.swing", "ring.rope"] {
                assert_eq!(capture.only(name).field("critical_process.synthetic"), Some("true"), "{name}");
            }
            let events = inbox.events();
            let mut its = events.iter().filter(|event| tag(event, "process_id") == Some("ring"));
            let (event, more) = (its.next().expect("it failed"), its.next());
            assert!(more.is_none(), "{more:?}");
            assert_eq!(tag(event, "critical_process.synthetic"), Some("true"));
            assert_eq!(in_block(event, "bell"), Some(&3.into()));
            assert_eq!(
                event.fingerprint.last().map(|part| &**part),
                Some("synthetic"),
                "no real users' issue"
            );
            // A real run is not marked as synthetic.
            ring(4, true).await.unwrap_err();
            let real = capture.named("ring");
            assert_eq!(real.last().unwrap().field("critical_process.synthetic"), None);
            // The scheduled probe of `strike` may have failed meanwhile.
            let events = inbox.events();
            let its = events.iter().filter(|event| tag(event, "process_id") == Some("ring"));
            assert_eq!(its.map(|event| tag(event, "critical_process.synthetic")).collect::<Vec<_>>(), [None]);
        });
    });
}

/// Returns the one value of a gauge for this dependency or process, or `None` if the gauge does not have one.
fn gauge(collected: &Collected, name: &str, key: &str, id: &str) -> Option<f64> {
    let points = &collected.instruments.get(name)?.points;
    let mut its = points.iter().filter(|point| point.attributes.get(key).is_some_and(|known| known == id));
    let value = its.next()?.sum;
    assert!(its.next().is_none(), "one series for each check");
    Some(value)
}

const STATUS: &str = "critical_process.check.status";
const AGE: &str = "critical_process.check.age";
const ID: &str = "critical_process.id";

#[test]
fn gauges_tell_the_last_state_and_age_of_each_check_and_synthetic_runs_are_counted_apart() {
    isolated(|| {
        let readings = Readings::new();
        let installation = Install::new().meter_provider(readings.provider()).start();
        runtime().block_on(async {
            let health = health(true);
            assert_eq!((status(&health, "/ring").await, status(&health, "/rope").await), (503, 200));
            tokio::time::sleep(Duration::from_millis(100)).await;
            let collected = readings.collect();
            assert_eq!(gauge(&collected, STATUS, ID, "ring"), Some(0.0));
            assert_eq!(gauge(&collected, STATUS, "critical_process.dependency", "rope"), Some(1.0));
            let age = gauge(&collected, AGE, ID, "ring").expect("it was checked");
            assert!((0.1..30.0).contains(&age), "{age}");
            let failure = [("critical_process.outcome", "failure")];
            assert_eq!(collected.value("critical_process.synthetic.runs", "ring", &failure), 1);
            for name in ["started", "sli.valid", "sli.bad"] {
                assert_eq!(collected.value(&format!("critical_process.{name}"), "ring", &[]), 0, "{name}");
            }
            let runs = collected.points("critical_process.runs", "ring");
            assert!(runs.iter().all(|point| point.value == 0), "{runs:?}");
            assert!(collected.points("critical_process.errors", "ring").is_empty());
            assert!(
                collected.points("critical_process.duration", "ring").is_empty(),
                "no part of any objective"
            );
        });
        installation.stop();
    });
}

#[test]
fn a_check_without_a_result_has_no_sample_and_one_that_hangs_from_the_start_has_an_age() {
    isolated(|| {
        let readings = Readings::new();
        let installation = Install::new().meter_provider(readings.provider()).start();
        runtime().block_on(async {
            let health = Setup::new().with(Broken::default()).with(Blocks(true)).start();
            let measured = || {
                let collected = readings.collect();
                [STATUS, AGE].map(|name| gauge(&collected, name, "critical_process.dependency", "bolt"))
            };
            assert_eq!(measured(), [None, None]);
            assert_eq!(status(&health, "/bolt").await, 503);
            let [status, first] = measured();
            assert_eq!(status, Some(0.0));
            assert!(first.is_some_and(|age| age > 0.2), "{first:?}");
            assert!(measured()[1] > first, "it grows");
        });
        installation.stop();
    });
}

#[test]
fn a_fresh_service_is_green_and_failures_of_real_runs_leave_it_green() {
    isolated(|| {
        let readings = Readings::new();
        let installation = Install::new().meter_provider(readings.provider()).start();
        runtime().block_on(async {
            let health = health(false);
            let (code, body) = answer(&health, "").await;
            assert_eq!(
                (code, &body["status"], &body["checks"]["unlock"]),
                (200, &"healthy".into(), &"unknown".into()),
                "{body}"
            );
            let (code, body) = answer(&health, "/unlock").await;
            assert_eq!(
                (code, &body["status"], &body["reason"]),
                (200, &"unknown".into(), &"no_traffic".into()),
                "{body}"
            );
            for _ in 0..6 {
                unlock(false).await.unwrap_err();
            }
            for path in ["", "/unlock"] {
                let (code, body) = answer(&health, path).await;
                assert_eq!((code, &body["status"]), (200, &"degraded".into()), "{body}");
            }
            let collected = readings.collect();
            assert_eq!(gauge(&collected, STATUS, ID, "strike"), Some(1.0));
            assert_eq!(gauge(&collected, STATUS, ID, "unlock"), None, "it has no check");
        });
        installation.stop();
    });
}

#[test]
fn what_its_schedule_no_longer_refreshes_ages_to_a_warning_and_then_to_a_failure() {
    isolated(|| {
        let readings = Readings::new();
        let installation = Install::new().meter_provider(readings.provider()).start();
        let scheduled = runtime();
        let health = scheduled.block_on(async {
            let health = health(false);
            assert_eq!((status(&health, "/strike").await, status(&health, "/ring").await), (200, 200));
            health
        });
        // From now on, nothing refreshes the status of the scheduled check.
        drop(scheduled);
        let (began, mut seen) = (Instant::now(), Vec::new());
        while seen.last() != Some(&(0.0)) {
            let collected = readings.collect();
            seen.extend(gauge(&collected, STATUS, ID, "strike"));
            seen.dedup();
            // A check without a schedule keeps the status that it had at the last request.
            assert_eq!(gauge(&collected, STATUS, ID, "ring"), Some(1.0));
            assert!(began.elapsed() < Duration::from_secs(20), "{seen:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(seen, [1.0, 0.5, 0.0]);
        // The value changes to 0.5 after two periods of two seconds plus the timeout of the check, which is one
        // second. It changes to 0 after three periods plus the timeout.
        assert!((6_900..9_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        drop(health);
        installation.stop();
    });
}

#[test]
fn a_scheduled_probe_checks_in_with_sentry_no_more_than_six_times_a_minute() {
    let transport = TestTransport::new();
    let options = ClientOptions::new().dsn("https://public@sentry.invalid/1").environment("staging");
    let options = options.transport(transport.clone()).add_integration(Integration);
    let client = Arc::new(Client::with_options(options));
    let _bound = HubSwitchGuard::new(Arc::new(Hub::new(Some(client), Arc::default())));
    let paused = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let check_ins = || -> Vec<MonitorCheckIn> {
        let envelopes = transport.fetch_and_clear_envelopes();
        let items = envelopes.iter().flat_map(|envelope| envelope.items().cloned().collect::<Vec<_>>());
        items
            .filter_map(|item| if let EnvelopeItem::MonitorCheckIn(it) = item { Some(it) } else { None })
            .collect()
    };
    paused.block_on(async {
        let broken = Broken::default();
        let _health = Setup::new().with(broken.clone()).start();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let first = check_ins();
        assert_eq!(first.len(), 1, "{first:?}");
        assert_eq!(
            (first[0].monitor_slug.as_str(), first[0].environment.as_deref()),
            ("strike", Some("staging"))
        );
        assert_eq!(first[0].status, MonitorCheckInStatus::Ok);
        let config = first[0].monitor_config.as_ref().expect("the monitor is made of it");
        let schedule = MonitorSchedule::Interval { value: 1, unit: MonitorIntervalUnit::Minute };
        assert_eq!(config.schedule, schedule);
        broken.0.store(true, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let minute = check_ins();
        assert!((4..=6).contains(&minute.len()), "{}", minute.len());
        assert!(minute.iter().all(|it| it.status == MonitorCheckInStatus::Error), "{minute:?}");
    });
}

/// A transport that does not return from an envelope for this time, and counts the envelopes.
struct Slow(Duration, AtomicUsize);

impl Transport for Slow {
    fn send_envelope(&self, _: Envelope) {
        self.1.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(self.0);
    }
}

#[test]
fn a_client_that_blocks_does_not_block_the_runtime_of_a_probe() {
    // Check-ins of a process are limited for the whole program, and another test sends some.
    isolated(|| {
        let blocks = Duration::from_secs(4);
        let transport = Arc::new(Slow(blocks, AtomicUsize::new(0)));
        let options =
            ClientOptions::new().dsn("https://public@sentry.invalid/1").transport(Arc::clone(&transport));
        let client = Arc::new(Client::with_options(options));
        let _bound = HubSwitchGuard::new(Arc::new(Hub::new(Some(client), Arc::default())));
        // If the check-in blocked the only thread of this runtime, the test would go on only after it.
        let one_thread = Builder::new_current_thread().enable_time().build().unwrap();
        one_thread.block_on(async {
            let _health = Setup::new().with(Broken::default()).start();
            let began = Instant::now();
            while transport.1.load(Ordering::SeqCst) == 0 {
                assert!(began.elapsed() < Duration::from_secs(20), "nothing was sent");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(began.elapsed() < blocks, "{:?}", began.elapsed());
        });
    });
}

/// A transport that panics for the first envelope, and counts the others.
struct Fragile(AtomicUsize);

impl Transport for Fragile {
    fn send_envelope(&self, _: Envelope) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first envelope is too much");
    }
}

#[test]
fn a_client_that_panics_does_not_end_the_schedule_of_a_probe() {
    // Check-ins of a process are limited for the whole program, and another test sends some.
    isolated(|| {
        let transport = Arc::new(Fragile(AtomicUsize::new(0)));
        let own = Arc::clone(&transport);
        let make = move |_: &ClientOptions| -> Arc<dyn Transport> { Arc::clone(&own) as _ };
        let options = ClientOptions::new().dsn("https://public@sentry.invalid/1").transport(make);
        let client = Arc::new(Client::with_options(options));
        let _bound = HubSwitchGuard::new(Arc::new(Hub::new(Some(client), Arc::default())));
        let paused = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        paused.block_on(async {
            let _health = Setup::new().with(Broken::default()).start();
            tokio::time::sleep(Duration::from_secs(61)).await;
        });
        // The checks end as planned, and later check-ins are sent.
        let sent = transport.0.load(Ordering::SeqCst);
        assert!((2..=8).contains(&sent), "{sent}");
    });
}
