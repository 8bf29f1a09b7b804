//! Meter providers that are absent, installed late, or replaced, and runs that no meter provider receives.

use opentelemetry::global;
use process_runtime::testing::Domain;
use process_runtime::{Install, registry};
use process_tests::isolated::{eventually, isolated};
use process_tests::readings::Readings;

use super::{OUTCOME, every_outcome, measured_by, odd_sla};

#[test]
fn a_global_provider_that_is_installed_late_receives_what_comes_after() {
    isolated(|| {
        let installation = Install::new().start();
        every_outcome();
        let readings = Readings::new();
        global::set_meter_provider(readings.provider().clone());
        // The watchdog finds the provider. From then on, the provider receives the runs that end.
        let mut runs = 0;
        eventually("a sample arrives at the late provider", || {
            odd_sla();
            runs += 1;
            let attributes = &[(OUTCOME, "success")];
            readings.collect().value("critical_process.duration", "odd_sla", attributes) > 0
        });
        // The series of every process exist, also of one that has never run.
        assert_eq!(readings.collect().points("critical_process.sli.bad", "judged").len(), 1);
        let before =
            readings.collect().value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
        (0..10).for_each(|_| odd_sla());
        let collected = readings.collect();
        let after = collected.value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")]);
        assert_eq!(after - before, 10);
        // Counters include all runs since the start of the process.
        assert_eq!(collected.value("critical_process.started", "odd_sla", &[]), runs + 10);
        assert_eq!(collected.value("critical_process.started", "measured", &[]), 6);
        installation.stop();
    });
}

#[test]
fn a_second_provider_takes_over() {
    isolated(|| {
        let (first, second) = (Readings::new(), Readings::new());
        let installation = Install::new().meter_provider(first.provider()).start();
        odd_sla();
        let _again = Install::new().meter_provider(second.provider()).start();
        // The series of every process exist in both, also of one that has never run.
        for (collected, started) in [(first.collect(), 1), (second.collect(), 1)] {
            for counter in ["sli.bad", "sli.valid", "started"] {
                let points = collected.points(&format!("critical_process.{counter}"), "judged");
                assert!(matches!(&points[..], [point] if point.value == 0), "{counter}");
            }
            assert_eq!(collected.points("critical_process.runs", "judged").len(), 12);
            assert_eq!(collected.value("critical_process.started", "odd_sla", &[]), started);
        }
        (0..5).for_each(|_| odd_sla());
        let samples = |readings: &Readings| {
            readings.collect().value("critical_process.duration", "odd_sla", &[(OUTCOME, "success")])
        };
        assert_eq!((samples(&first), samples(&second)), (1, 5));
        installation.stop();
    });
}

#[test]
fn without_install_runs_are_counted_and_nothing_is_kept_for_a_meter() {
    isolated(|| {
        (0..10_000).for_each(|_| odd_sla());
        assert_eq!(registry::stats("odd_sla").unwrap().ended.total(), 10_000);
        // A provider that is installed now has the values of the counters, but no earlier sample.
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
    isolated(|| {
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
fn without_a_provider_runs_are_counted_all_the_same() {
    isolated(|| {
        let installation = Install::new().start();
        every_outcome();
        assert_eq!(registry::stats("measured").unwrap().ended.total(), 6);
        installation.stop();
    });
}
