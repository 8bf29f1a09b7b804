//! What runs tell OpenTelemetry's meters. A meter provider is one for a process, so each test has a process
//! of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::panic::catch_unwind;
use std::time::Duration;

use opentelemetry::global;
use process_runtime::testing::Domain;
use process_runtime::{Install, Outcome, critical_process, registry, stage};
use process_tests::isolated::{eventually, isolated};
use process_tests::readings::{Collected, Kind, Readings};

#[derive(Clone, Copy, Debug)]
enum How {
    Succeed,
    FallBack,
    Reject,
    Fail,
    Panic,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("yours")]
    Yours,
    #[error("ours")]
    Ours,
}

fn is_fallback(how: &How) -> bool {
    matches!(how, How::FallBack)
}

#[critical_process(
    id = "measured",
    version = "1.0.0",
    sla = "77s",
    context(order),
    rejects(Trouble::Yours),
    degraded = is_fallback,
    error_type = kind_of,
)]
fn measured(order: u8, how: How) -> Result<How, Trouble> {
    let _ = order;
    part();
    match how {
        How::Succeed | How::FallBack => Ok(how),
        How::Reject => Err(Trouble::Yours),
        How::Fail => Err(Trouble::Ours),
        How::Panic => panic!("on demand"),
    }
}

fn kind_of(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Yours => "yours",
        Trouble::Ours => "ours",
    }
}

#[stage(id = "part", process = "measured", sla = "33s")]
fn part() {}

#[critical_process(id = "odd_sla", version = "1.0.0", sla = "1234ms")]
fn odd_sla() {}

#[critical_process(id = "endless", version = "1.0.0", sla = "1ms")]
async fn endless() {
    pending().await
}

/// Each outcome once, and success twice.
fn every_outcome() {
    for how in [How::Succeed, How::Succeed, How::FallBack, How::Reject, How::Fail] {
        let _ = measured(1, how);
    }
    catch_unwind(|| measured(1, How::Panic)).unwrap_err();
    poll_once_and_drop();
}

fn poll_once_and_drop() {
    let mut run = Box::pin(cancelled());
    assert!(run.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
}

#[critical_process(id = "cancelled", version = "1.0.0", sla = "10s")]
async fn cancelled() {
    pending().await
}

fn measured_by(body: impl FnOnce(&Readings)) {
    let readings = Readings::new();
    let installation = Install::new().meter_provider(readings.provider()).start();
    body(&readings);
    installation.stop();
}

const OUTCOME: &str = "critical_process.outcome";
const LATE: &str = "critical_process.late";

#[test]
fn the_instruments_are_those_of_the_design_with_their_kinds_and_units() {
    isolated("the_instruments_are_those_of_the_design_with_their_kinds_and_units", || {
        measured_by(|readings| {
            every_outcome();
            let collected = readings.collect();
            let found: Vec<_> = collected
                .instruments
                .iter()
                .map(|(name, instrument)| (name.as_str(), instrument.kind, instrument.unit.as_str()))
                .collect();
            assert_eq!(
                found,
                [
                    ("critical_process.active", Kind::UpDownCounter, "{run}"),
                    ("critical_process.duration", Kind::Histogram, "s"),
                    ("critical_process.overdue", Kind::Gauge, "{run}"),
                    ("critical_process.runs", Kind::Counter, "{run}"),
                    ("critical_process.sla.utilization", Kind::Histogram, "1"),
                    ("critical_process.stage.duration", Kind::Histogram, "s"),
                    ("critical_process.started", Kind::Counter, "{run}"),
                    ("critical_process.telemetry.dropped", Kind::Counter, "{item}"),
                ]
            );
        });
    });
}

fn attribute_names(collected: &Collected, name: &str) -> BTreeSet<String> {
    let points = &collected.instrument(name).points;
    points.iter().flat_map(|point| point.attributes.keys().cloned()).collect()
}

#[test]
fn attributes_are_exactly_those_of_the_design_and_never_business_context() {
    isolated("attributes_are_exactly_those_of_the_design_and_never_business_context", || {
        measured_by(|readings| {
            every_outcome();
            let collected = readings.collect();
            let id = "critical_process.id";
            for (name, attributes) in [
                ("critical_process.started", &[id][..]),
                ("critical_process.active", &[id]),
                ("critical_process.overdue", &[id]),
                ("critical_process.duration", &[id, OUTCOME]),
                ("critical_process.sla.utilization", &[id, OUTCOME]),
                ("critical_process.stage.duration", &[id, OUTCOME, "critical_process.stage"]),
                ("critical_process.runs", &[id, LATE, OUTCOME, "error.type"]),
            ] {
                let expected: BTreeSet<String> = attributes.iter().map(ToString::to_string).collect();
                assert_eq!(attribute_names(&collected, name), expected, "{name}");
            }
            // Absent on success, not empty.
            for point in collected.points("critical_process.runs", "measured") {
                let is_error = ["failure", "panic", "rejected"].contains(&&*point.attributes[OUTCOME]);
                assert_eq!(point.attributes.contains_key("error.type"), is_error, "{point:?}");
            }
            assert!(!collected.text.contains("1.0.0") && !collected.text.contains("order"));
        });
    });
}

#[test]
fn runs_are_counted_by_outcome_lateness_and_error_type_as_the_statistics_have_them() {
    isolated("runs_are_counted_by_outcome_lateness_and_error_type_as_the_statistics_have_them", || {
        measured_by(|readings| {
            every_outcome();
            let collected = readings.collect();
            let stats = registry::stats("measured").unwrap();
            let runs = "critical_process.runs";
            for (outcome, error_type, expected) in [
                ("success", None, 2),
                ("degraded", None, 1),
                ("rejected", Some("yours"), 1),
                ("failure", Some("ours"), 1),
                ("panic", Some("panic"), 1),
            ] {
                let mut attributes = vec![(OUTCOME, outcome), (LATE, "false")];
                attributes.extend(error_type.map(|kind| ("error.type", kind)));
                assert_eq!(collected.value(runs, "measured", &attributes), expected, "{outcome}");
                let counted = *Outcome::ALL.iter().find(|known| known.as_str() == outcome).unwrap();
                assert_eq!(stats.ended.with(counted), expected as u64);
                let attributes = &[(OUTCOME, outcome)];
                for name in ["critical_process.duration", "critical_process.sla.utilization"] {
                    assert_eq!(collected.value(name, "measured", attributes), expected, "{name} {outcome}");
                }
            }
            let total: i64 = collected.points(runs, "measured").iter().map(|point| point.value).sum();
            assert_eq!(total as u64, stats.ended.total());
            assert_eq!(collected.value("critical_process.started", "measured", &[]) as u64, stats.started);
            assert_eq!(collected.value("critical_process.active", "measured", &[]), 0);
            let attributes = &[(OUTCOME, "cancelled"), (LATE, "false")];
            assert_eq!(collected.value(runs, "cancelled", attributes), 1);
            assert_eq!(
                collected.value("critical_process.duration", "cancelled", &[(OUTCOME, "cancelled")]),
                1
            );
        });
    });
}

#[test]
fn every_registered_sla_is_an_exact_boundary_and_utilization_has_one_at_1() {
    isolated("every_registered_sla_is_an_exact_boundary_and_utilization_has_one_at_1", || {
        measured_by(|readings| {
            odd_sla();
            every_outcome();
            let collected = readings.collect();
            for process in ["measured", "odd_sla"] {
                for point in collected.points("critical_process.duration", process) {
                    for known in registry::all() {
                        let sla = known.sla().as_secs_f64();
                        assert!(
                            point.bounds.contains(&sla),
                            "{sla} of {} is not in {:?}",
                            known.id(),
                            point.bounds
                        );
                    }
                    assert!(point.bounds.len() <= 40);
                    assert!(point.bounds.is_sorted());
                }
                for point in collected.points("critical_process.sla.utilization", process) {
                    assert!(point.bounds.contains(&1.0) && point.bounds.len() <= 12, "{:?}", point.bounds);
                }
            }
            for point in collected.points("critical_process.stage.duration", "measured") {
                assert!(point.bounds.contains(&33.0), "{:?}", point.bounds);
            }
        });
    });
}

#[critical_process(id = "timed", version = "1.0.0", sla = "20ms")]
fn timed(takes: Duration) {
    let until = std::time::Instant::now() + takes;
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}

#[test]
fn durations_are_seconds_and_utilization_is_their_share_of_the_sla() {
    isolated("durations_are_seconds_and_utilization_is_their_share_of_the_sla", || {
        measured_by(|readings| {
            let takes = Duration::from_millis(30);
            let around = std::time::Instant::now();
            timed(takes);
            let around = around.elapsed().as_secs_f64();
            let collected = readings.collect();
            let success = |name: &str| collected.points(name, "timed").remove(0);
            let duration = success("critical_process.duration").sum;
            assert!((takes.as_secs_f64() * 0.99..=around * 1.01).contains(&duration), "{duration}");
            let utilization = success("critical_process.sla.utilization");
            assert!((utilization.sum - duration / 0.020).abs() < 1e-6, "{}", utilization.sum);
            // What is over 1 is what is late.
            let one = utilization.bounds.iter().position(|&bound| bound == 1.0).unwrap();
            assert_eq!(utilization.buckets[..=one].iter().sum::<u64>(), 0);
            let late = &[(OUTCOME, "success"), (LATE, "true")];
            assert_eq!(collected.value("critical_process.runs", "timed", late), 1);
        });
    });
}

#[test]
fn stages_are_in_the_duration_of_stages_alone() {
    isolated("stages_are_in_the_duration_of_stages_alone", || {
        measured_by(|readings| {
            every_outcome();
            let collected = readings.collect();
            let attributes = &[("critical_process.stage", "part"), (OUTCOME, "success")];
            assert_eq!(collected.value("critical_process.stage.duration", "measured", attributes), 6);
            for (name, instrument) in &collected.instruments {
                let has_stage = |point: &process_tests::readings::Point| {
                    point.attributes.contains_key("critical_process.stage")
                        || point.attributes.values().any(|value| value.contains("part"))
                };
                let expected = name == "critical_process.stage.duration";
                assert_eq!(instrument.points.iter().any(has_stage), expected, "{name}");
            }
        });
    });
}

#[test]
fn runs_that_go_on_are_active_and_past_their_sla_overdue() {
    isolated("runs_that_go_on_are_active_and_past_their_sla_overdue", || {
        measured_by(|readings| {
            let mut runs: Vec<_> = (0..3).map(|_| Box::pin(endless())).collect();
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            for run in &mut runs {
                assert!(run.as_mut().poll(&mut context).is_pending());
            }
            eventually("all are overdue", || registry::stats("endless").unwrap().overdue == 3);
            let collected = readings.collect();
            assert_eq!(collected.value("critical_process.active", "endless", &[]), 3);
            assert_eq!(collected.value("critical_process.overdue", "endless", &[]), 3);
            drop(runs);
            let collected = readings.collect();
            assert_eq!(collected.value("critical_process.active", "endless", &[]), 0);
            assert_eq!(collected.value("critical_process.overdue", "endless", &[]), 0);
            let late = &[(OUTCOME, "cancelled"), (LATE, "true")];
            assert_eq!(collected.value("critical_process.runs", "endless", late), 3);
        });
    });
}

#[test]
fn a_global_provider_that_is_installed_late_receives_what_comes_after() {
    isolated("a_global_provider_that_is_installed_late_receives_what_comes_after", || {
        let installation = Install::new().start();
        every_outcome();
        let readings = Readings::new();
        global::set_meter_provider(readings.provider().clone());
        // The watchdog finds it; a run that ends after that is a sample of its.
        let mut runs = 0;
        eventually("a sample arrives at the late provider", || {
            odd_sla();
            runs += 1;
            let attributes = &[(OUTCOME, "success")];
            readings.collect().value("critical_process.duration", "odd_sla", attributes) > 0
        });
        let before =
            readings.collect().value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
        (0..10).for_each(|_| odd_sla());
        let collected = readings.collect();
        let after = collected.value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
        assert_eq!(after - before, 10);
        // Counters are since the start of the process.
        assert_eq!(collected.value("critical_process.started", "odd_sla", &[]), runs + 10);
        assert_eq!(collected.value("critical_process.started", "measured", &[]), 6);
        installation.stop();
    });
}

#[test]
fn a_second_provider_takes_over() {
    isolated("a_second_provider_takes_over", || {
        let (first, second) = (Readings::new(), Readings::new());
        let installation = Install::new().meter_provider(first.provider()).start();
        odd_sla();
        let _again = Install::new().meter_provider(second.provider()).start();
        (0..5).for_each(|_| odd_sla());
        let samples = |readings: &Readings| {
            readings.collect().value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")])
        };
        assert_eq!((samples(&first), samples(&second)), (1, 5));
        installation.stop();
    });
}

#[test]
fn no_sample_is_lost_between_threads() {
    isolated("no_sample_is_lost_between_threads", || {
        measured_by(|readings| {
            let work = || (0..10_000).for_each(|_| odd_sla());
            let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            let collected = readings.collect();
            let samples = collected.value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
            let dropped = &collected.instrument("critical_process.telemetry.dropped").points;
            let lost: i64 =
                dropped.iter().filter(|point| point.attributes["reason"] == "sample").map(|p| p.value).sum();
            assert_eq!(samples + lost, 40_000, "each is recorded or counted as dropped");
            let attributes = &[(OUTCOME, "success"), (LATE, "false")];
            assert_eq!(collected.value("critical_process.runs", "odd_sla", attributes), 40_000);
        });
    });
}

#[test]
fn threads_beyond_those_with_a_lane_of_their_own_lose_no_sample_either() {
    isolated("threads_beyond_those_with_a_lane_of_their_own_lose_no_sample_either", || {
        measured_by(|readings| {
            let (leave, stay) = std::sync::mpsc::channel::<()>();
            let stay = std::sync::Arc::new(std::sync::Mutex::new(stay));
            let others: Vec<_> = (0..16)
                .map(|_| {
                    let stay = std::sync::Arc::clone(&stay);
                    std::thread::spawn(move || {
                        odd_sla();
                        let _ = stay.lock().unwrap().recv();
                    })
                })
                .collect();
            eventually("every lane is taken", || registry::stats("odd_sla").unwrap().ended.total() == 16);
            let work = || {
                for _ in 0..5 {
                    (0..3000).for_each(|_| odd_sla());
                    eventually("the watchdog drains", || {
                        process_runtime::__private::measure::samples_waiting() < 2048
                    });
                }
            };
            std::thread::spawn(work).join().unwrap();
            drop(leave);
            others.into_iter().for_each(|thread| thread.join().unwrap());
            let collected = readings.collect();
            let samples = collected.value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
            assert_eq!(samples, 15_016);
        });
    });
}

macro_rules! many {
    ($($name:ident = $id:literal),+ $(,)?) => {
        $(
            #[critical_process(id = $id, version = "1.0.0", sla = "10s", context(user))]
            fn $name(user: u64, fails: bool) -> Result<u64, Trouble> {
                if fails { Err(Trouble::Ours) } else { Ok(user) }
            }
        )+

        const MANY: &[(&str, fn(u64, bool) -> Result<u64, Trouble>)] = &[$(($id, $name)),+];
    };
}

many!(
    m00 = "m00",
    m01 = "m01",
    m02 = "m02",
    m03 = "m03",
    m04 = "m04",
    m05 = "m05",
    m06 = "m06",
    m07 = "m07",
    m08 = "m08",
    m09 = "m09",
    m10 = "m10",
    m11 = "m11",
    m12 = "m12",
    m13 = "m13",
    m14 = "m14",
    m15 = "m15",
    m16 = "m16",
    m17 = "m17",
    m18 = "m18",
    m19 = "m19",
    m20 = "m20",
    m21 = "m21",
    m22 = "m22",
    m23 = "m23",
    m24 = "m24",
    m25 = "m25",
    m26 = "m26",
    m27 = "m27",
    m28 = "m28",
    m29 = "m29",
    m30 = "m30",
    m31 = "m31",
    m32 = "m32",
    m33 = "m33",
    m34 = "m34",
    m35 = "m35",
    m36 = "m36",
    m37 = "m37",
    m38 = "m38",
    m39 = "m39",
    m40 = "m40",
    m41 = "m41",
    m42 = "m42",
    m43 = "m43",
    m44 = "m44",
    m45 = "m45",
    m46 = "m46",
    m47 = "m47",
    m48 = "m48",
    m49 = "m49",
);

/// Prometheus stores one series for each bucket, the one at infinity, the sum and the count.
fn series(collected: &Collected, process: &str) -> usize {
    let of = |name: &String| -> usize {
        let points = collected.points(name, process);
        points.iter().map(|point| if point.bounds.is_empty() { 1 } else { point.bounds.len() + 3 }).sum()
    };
    collected.instruments.keys().map(of).sum()
}

#[test]
fn fifty_processes_with_a_thousand_users_are_a_bounded_number_of_series() {
    isolated("fifty_processes_with_a_thousand_users_are_a_bounded_number_of_series", || {
        measured_by(|readings| {
            for (_, run) in MANY {
                for user in 0..1000 {
                    let _ = run(user, user % 10 == 0);
                }
                // More at once than the buffers hold is dropped, and counted as that.
                readings.collect();
            }
            let collected = readings.collect();
            let mut counts = BTreeMap::new();
            for (id, _) in MANY {
                // Started, active, overdue; success and failure; both in both histograms.
                let points: usize =
                    collected.instruments.keys().map(|name| collected.points(name, id).len()).sum();
                assert_eq!(points, 3 + 2 + 2 * 2, "{id}");
                counts.insert(*id, series(&collected, id));
            }
            let all: usize = counts.values().sum();
            assert!(all <= 50 * (5 + 2 * (40 + 3) + 2 * (11 + 3)), "{all}");
            // What a free Grafana tier holds.
            assert!(all < 10_000, "{all}");
        });
    });
}

#[test]
fn error_types_are_a_bounded_number_of_series() {
    isolated("error_types_are_a_bounded_number_of_series", || {
        measured_by(|readings| {
            for kind in 0..100 {
                let _ = kinds(kind);
            }
            let points = readings.collect().points("critical_process.runs", "kinds");
            assert_eq!(points.len(), 33);
            let other = points.iter().find(|point| point.attributes["error.type"] == "_OTHER").unwrap();
            assert_eq!(other.value, 100 - 32);
        });
    });
}

#[critical_process(id = "kinds", version = "1.0.0", sla = "10s", error_type = leaked)]
fn kinds(kind: u32) -> Result<(), u32> {
    Err(kind)
}

fn leaked(kind: &u32) -> &'static str {
    format!("kind-{kind}").leak()
}

#[test]
fn without_install_runs_are_counted_and_nothing_is_kept_for_a_meter() {
    isolated("without_install_runs_are_counted_and_nothing_is_kept_for_a_meter", || {
        (0..10_000).for_each(|_| odd_sla());
        assert_eq!(registry::stats("odd_sla").unwrap().ended.total(), 10_000);
        // A provider that comes now has the counters, and no sample of before.
        measured_by(|readings| {
            let collected = readings.collect();
            assert_eq!(collected.value("critical_process.started", "odd_sla", &[]), 10_000);
            assert!(collected.points("critical_process.duration", "odd_sla").is_empty());
            let dropped = &collected.instrument("critical_process.telemetry.dropped").points;
            assert!(dropped.iter().all(|point| point.value == 0), "{dropped:?}");
        });
    });
}

#[test]
fn runs_of_a_tests_own_domain_are_in_no_meter() {
    let test = "runs_of_a_tests_own_domain_are_in_no_meter";
    isolated(test, || {
        measured_by(|readings| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async { Domain::new().call(odd_sla) });
            let collected = readings.collect();
            assert_eq!(collected.value("critical_process.started", "odd_sla", &[]), 0);
            assert!(collected.points("critical_process.duration", "odd_sla").is_empty());
        });
    });
}

#[test]
fn a_stage_that_has_no_sla_is_in_the_duration_of_stages_too() {
    isolated("a_stage_that_has_no_sla_is_in_the_duration_of_stages_too", || {
        measured_by(|readings| {
            around_free();
            let collected = readings.collect();
            let attributes = &[("critical_process.stage", "free"), (OUTCOME, "success")];
            assert_eq!(collected.value("critical_process.stage.duration", "around_free", attributes), 1);
        });
    });
}

#[stage(id = "free")]
fn free() {}

#[critical_process(id = "around_free", version = "1.0.0", sla = "10s")]
fn around_free() {
    free();
}

#[test]
fn without_a_provider_runs_are_counted_all_the_same() {
    isolated("without_a_provider_runs_are_counted_all_the_same", || {
        let installation = Install::new().start();
        every_outcome();
        assert_eq!(registry::stats("measured").unwrap().ended.total(), 6);
        installation.stop();
    });
}
