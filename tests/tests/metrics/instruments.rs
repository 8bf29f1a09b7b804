//! The instruments: their kinds, units, attributes, boundaries and values.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use process_runtime::{Outcome, critical_process, registry, stage};
use process_tests::isolated::{eventually, isolated};
use process_tests::readings::{Collected, Kind};

use super::{LATE, OUTCOME, every_outcome, measured_by, odd_sla};

#[critical_process(id = "endless", version = "1.0.0", sla = "1ms")]
async fn endless() {
    pending().await
}

#[test]
fn the_instruments_are_those_of_the_design_with_their_kinds_and_units() {
    isolated(|| {
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
                    ("critical_process.errors", Kind::Counter, "{run}"),
                    ("critical_process.overdue", Kind::Gauge, "{run}"),
                    ("critical_process.runs", Kind::Counter, "{run}"),
                    ("critical_process.sla.utilization", Kind::Histogram, "1"),
                    ("critical_process.sli.bad", Kind::Counter, "{run}"),
                    ("critical_process.sli.valid", Kind::Counter, "{run}"),
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
    isolated(|| {
        measured_by(|readings| {
            every_outcome();
            let collected = readings.collect();
            let id = "critical_process.id";
            for (name, attributes) in [
                ("critical_process.started", &[id][..]),
                ("critical_process.sli.valid", &[id]),
                ("critical_process.sli.bad", &[id]),
                ("critical_process.active", &[id]),
                ("critical_process.overdue", &[id]),
                ("critical_process.duration", &[id, OUTCOME]),
                ("critical_process.sla.utilization", &[id, OUTCOME]),
                ("critical_process.stage.duration", &[id, OUTCOME, "critical_process.stage"]),
                ("critical_process.runs", &[id, LATE, OUTCOME]),
                ("critical_process.errors", &[id, "error.type"]),
            ] {
                let expected: BTreeSet<String> = attributes.iter().map(ToString::to_string).collect();
                assert_eq!(attribute_names(&collected, name), expected, "{name}");
            }
            assert!(!collected.text.contains("1.0.0") && !collected.text.contains("order"));
        });
    });
}

#[test]
fn runs_are_counted_by_outcome_and_lateness_and_errors_by_type_as_the_statistics_have_them() {
    isolated(|| {
        measured_by(|readings| {
            every_outcome();
            let collected = readings.collect();
            let stats = registry::stats("measured").unwrap();
            let runs = "critical_process.runs";
            let errors = "critical_process.errors";
            for (outcome, error_type, expected) in [
                ("success", None, 2),
                ("degraded", None, 1),
                ("rejected", None, 1),
                ("failure", Some("ours"), 1),
                ("panic", Some("panic"), 1),
            ] {
                if let Some(error_type) = error_type {
                    let attributes = [("error.type", error_type)];
                    assert_eq!(collected.value(errors, "measured", &attributes), expected, "{outcome}");
                }
                let attributes = vec![(OUTCOME, outcome), (LATE, "false")];
                assert_eq!(collected.value(runs, "measured", &attributes), expected, "{outcome}");
                let counted = *Outcome::ALL.iter().find(|known| known.as_str() == outcome).unwrap();
                assert_eq!(stats.ended.count(counted), expected as u64);
                let attributes = &[(OUTCOME, outcome)];
                for name in ["critical_process.duration", "critical_process.sla.utilization"] {
                    assert_eq!(collected.value(name, "measured", attributes), expected, "{name} {outcome}");
                }
            }
            let total: i64 = collected.points(runs, "measured").iter().map(|point| point.value).sum();
            assert_eq!(total as u64, stats.ended.total());
            assert_eq!(collected.points(errors, "measured").len(), 2, "rejected runs have no error");
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
    isolated(|| {
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
    isolated(|| {
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
            // The utilization of a late run is over 1, so the buckets up to 1 are empty.
            let one = utilization.bounds.iter().position(|&bound| bound == 1.0).unwrap();
            assert_eq!(utilization.buckets[..=one].iter().sum::<u64>(), 0);
            let late = &[(OUTCOME, "success"), (LATE, "true")];
            assert_eq!(collected.value("critical_process.runs", "timed", late), 1);
        });
    });
}

#[test]
fn stages_are_in_the_duration_of_stages_alone() {
    isolated(|| {
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
fn running_processes_are_active_and_past_their_sla_overdue() {
    isolated(|| {
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
fn a_stage_that_has_no_sla_is_in_the_duration_of_stages_too() {
    isolated(|| {
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
