//! Counters that an alert may use: they exist at zero from `Install`, and the objective's counters agree in every
//! collection.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use opentelemetry_sdk::metrics::reader::MetricReader as _;
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, InMemoryMetricExporterBuilder, Instrument, PeriodicReader,
    SdkMeterProvider, Stream, Temporality,
};
use process_runtime::{Install, Outcome, critical_process, registry};
use process_tests::isolated::{eventually, isolated};
use process_tests::readings::{Collected, Readings};
use process_tests::ways::{How, Trouble};

use super::{LATE, OUTCOME, every_outcome, measured, measured_by, odd_sla};

const VALID: &str = "critical_process.sli.valid";
const BAD: &str = "critical_process.sli.bad";
const RUNS: &str = "critical_process.runs";
const ERRORS: &str = "critical_process.errors";
const STARTED: &str = "critical_process.started";

#[test]
fn every_counter_of_an_alert_is_zero_before_the_first_run() {
    isolated(|| {
        measured_by(|readings| {
            let collected = readings.collect();
            for process in registry::all().map(|process| process.id()) {
                for name in [STARTED, VALID, BAD] {
                    let points = collected.points(name, process);
                    assert_eq!(points.len(), 1, "{name} of {process}");
                    assert_eq!(points[0].value, 0, "{name} of {process}");
                }
                let points = collected.points(RUNS, process);
                for outcome in Outcome::ALL {
                    for late in ["false", "true"] {
                        let is_it = |point: &&process_tests::readings::Point| {
                            point.attributes[OUTCOME] == outcome.as_str() && point.attributes[LATE] == late
                        };
                        assert_eq!(points.iter().filter(is_it).count(), 1, "{process} {outcome} {late}");
                    }
                }
                assert_eq!(points.len(), 2 * Outcome::ALL.len());
                assert!(points.iter().all(|point| point.value == 0));
                // The types of errors are not known before the first error.
                assert!(collected.points(ERRORS, process).is_empty());
            }
        });
    });
}

/// Takes longer than its SLA if `slowly` is true.
#[critical_process(
    id = "judged",
    version = "1.0.0",
    sla = "50ms",
    rejects(Trouble::Yours),
    degraded = How::is_fallback,
    error_type = Trouble::kind,
)]
async fn judged(how: How, slowly: bool) -> Result<How, Trouble> {
    if slowly {
        std::thread::sleep(Duration::from_millis(60));
    }
    if how == How::Hang { std::future::pending().await } else { how.end_now() }
}

/// Does the same as [`judged`]. Every cancelled run counts against its objective.
#[critical_process(
    id = "judged_strictly",
    version = "1.0.0",
    sla = "50ms",
    rejects(Trouble::Yours),
    degraded = How::is_fallback,
    error_type = Trouble::kind,
    cancelled = bad,
)]
async fn judged_strictly(how: How, slowly: bool) -> Result<How, Trouble> {
    if slowly {
        std::thread::sleep(Duration::from_millis(60));
    }
    if how == How::Hang { std::future::pending().await } else { how.end_now() }
}

/// Polls a future once and drops it.
fn poll_once(future: impl Future) {
    let mut future = Box::pin(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn each_way_to_end_counts_in_both_counters_of_the_objective_or_in_valid_or_in_neither() {
    isolated(|| {
        measured_by(|readings| {
            std::panic::set_hook(Box::new(|_| ()));
            let (mut lenient, mut strict) = ([0, 0], [0, 0]);
            for (how, slowly, expected) in [
                (How::Succeed, false, [1, 0]),
                (How::Succeed, true, [1, 1]),
                (How::FallBack, false, [1, 0]),
                (How::FallBack, true, [1, 1]),
                (How::Reject, false, [0, 0]),
                (How::Reject, true, [0, 0]),
                (How::Fail, false, [1, 1]),
                (How::Fail, true, [1, 1]),
                (How::Panic, false, [1, 1]),
                (How::Panic, true, [1, 1]),
                // These runs are cancelled.
                (How::Hang, false, [0, 0]),
                (How::Hang, true, [1, 1]),
            ] {
                let _ = catch_unwind(|| poll_once(judged(how, slowly)));
                let _ = catch_unwind(|| poll_once(judged_strictly(how, slowly)));
                let cancelled = (how == How::Hang).then_some([1, 1]);
                for (sums, added) in [(&mut lenient, expected), (&mut strict, cancelled.unwrap_or(expected))]
                {
                    *sums = [sums[0] + added[0], sums[1] + added[1]];
                }
                let collected = readings.collect();
                let both = |id| [VALID, BAD].map(|name| collected.value(name, id, &[]));
                assert_eq!(both("judged"), lenient, "{how:?}, slowly: {slowly}");
                assert_eq!(both("judged_strictly"), strict, "{how:?}, slowly: {slowly}");
                for name in [VALID, BAD, ERRORS] {
                    let points = collected.points(name, "judged");
                    let has_outcome = |point: &process_tests::readings::Point| {
                        point.attributes.contains_key(OUTCOME) || point.attributes.contains_key(LATE)
                    };
                    assert!(!points.iter().any(has_outcome), "{name}");
                }
            }
            let collected = readings.collect();
            let kind = |kind| collected.value(ERRORS, "judged", &[("error.type", kind)]);
            assert_eq!((kind("ours"), kind("panic"), kind("yours")), (2, 2, 0));
            assert_eq!(collected.points(ERRORS, "judged").len(), 2, "only failures and panics");
        });
    });
}

#[test]
fn a_run_counts_for_the_objective_when_it_ends_and_is_overdue_until_then() {
    isolated(|| {
        measured_by(|readings| {
            let mut hung = Box::pin(judged(How::Hang, false));
            let _ = hung.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            eventually("it is overdue", || registry::stats("judged").unwrap().overdue == 1);
            let values = |names: [&str; 3]| {
                let collected = readings.collect();
                names.map(|name| collected.value(name, "judged", &[]))
            };
            assert_eq!(values([VALID, BAD, "critical_process.overdue"]), [0, 0, 1]);
            drop(hung);
            assert_eq!(values([VALID, BAD, "critical_process.overdue"]), [1, 1, 0]);
        });
    });
}

#[test]
fn in_no_collection_is_a_part_greater_than_its_whole() {
    isolated(|| {
        measured_by(|readings| {
            let is_done = AtomicBool::new(false);
            std::thread::scope(|threads| {
                // The scope waits for its threads, also after a failed assertion.
                let _done = Done(&is_done);
                for _ in 0..3 {
                    threads.spawn(|| {
                        while !is_done.load(Ordering::Relaxed) {
                            let _ = measured(1, How::Fail);
                        }
                    });
                }
                for _ in 0..100 {
                    let collected = readings.collect();
                    let value = |name| collected.value(name, "measured", &[]);
                    let sum = |name| sum(&collected, name, "measured");
                    // Every run fails.
                    assert_eq!(value(BAD), value(VALID));
                    assert_eq!(value(VALID), sum(RUNS));
                    assert!(sum(ERRORS) <= sum(RUNS), "{} > {}", sum(ERRORS), sum(RUNS));
                    assert!(sum(RUNS) <= value(STARTED), "{} > {}", sum(RUNS), value(STARTED));
                }
            });
            let collected = readings.collect();
            let value = |name| collected.value(name, "measured", &[]);
            assert_eq!(value(BAD), value(VALID));
            assert_eq!(value(VALID) as u64, registry::stats("measured").unwrap().ended.total());
        });
    });
}

/// Ends the threads that measure until this is set, when it is dropped.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn sum(collected: &Collected, name: &str, process: &str) -> i64 {
    collected.points(name, process).iter().map(|point| point.value).sum()
}

mod first {
    #[process_runtime::critical_process(id = "twice", version = "1.0.0", sla = "10s")]
    pub(super) fn run() -> Result<(), &'static str> {
        Err("on demand")
    }
}

mod second {
    #[process_runtime::critical_process(id = "twice", version = "1.0.0", sla = "10s")]
    pub(super) fn run() -> Result<(), &'static str> {
        Err("on demand")
    }
}

#[test]
fn two_functions_with_one_id_are_added_up_and_hide_no_failure_of_each_other() {
    isolated(|| {
        measured_by(|readings| {
            assert!(first::run().is_err());
            let failed = [(OUTCOME, "failure"), (LATE, "false")];
            assert_eq!(readings.collect().value(RUNS, "twice", &failed), 1);
            assert!(second::run().is_err());
            let collected = readings.collect();
            assert_eq!(collected.value(RUNS, "twice", &failed), 2);
            assert_eq!([STARTED, VALID, BAD].map(|name| collected.value(name, "twice", &[])), [2; 3]);
            assert_eq!(sum(&collected, ERRORS, "twice"), 2);
        });
    });
}

/// Returns an exporter that keeps what it exports, and a reader that only collects on demand.
fn reader(temporality: Temporality) -> (InMemoryMetricExporter, PeriodicReader<InMemoryMetricExporter>) {
    let exporter = InMemoryMetricExporterBuilder::new().with_temporality(temporality).build();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(86_400));
    (exporter, reader.build())
}

/// Installs a provider with a reader for each temporality, has it collect, and returns the notices about temporality.
/// `between` is called before each collection.
fn noticed(temporalities: &[Temporality], between: impl Fn(&[InMemoryMetricExporter])) -> Vec<String> {
    let readers = temporalities.iter().map(|temporality| reader(*temporality));
    let (exporters, readers): (Vec<_>, Vec<_>) = readers.unzip();
    let builder = SdkMeterProvider::builder();
    let provider = readers.into_iter().fold(builder, |builder, reader| builder.with_reader(reader)).build();
    let installation = Install::new().meter_provider(&provider).start();
    std::panic::set_hook(Box::new(|_| ()));
    for _ in 0..20 {
        between(&exporters);
        provider.force_flush().unwrap();
    }
    installation.stop();
    installation.report().into_iter().filter(|line| line.contains("temporality")).collect()
}

/// What happens between two collections: nothing, or runs of all series, or runs of one series under an exporter that
/// keeps nothing.
const BETWEEN: [fn(&[InMemoryMetricExporter]); 3] = [
    |_| (),
    |_| {
        every_outcome();
        odd_sla();
    },
    |exporters| {
        odd_sla();
        exporters.iter().for_each(InMemoryMetricExporter::reset);
    },
];

fn assert_counters_are_reported(temporalities: &[Temporality], between: fn(&[InMemoryMetricExporter])) {
    let noticed = noticed(temporalities, between);
    let is_it = |one: &String| one.contains("counters") && one.contains("`increase()`");
    assert!(matches!(&noticed[..], [one] if is_it(one)), "{noticed:?}");
}

#[test]
fn a_provider_with_delta_temporality_is_reported_once_without_a_run() {
    isolated(|| assert_counters_are_reported(&[Temporality::Delta], BETWEEN[0]));
}

#[test]
fn a_provider_with_delta_temporality_is_reported_once_under_traffic() {
    isolated(|| assert_counters_are_reported(&[Temporality::Delta], BETWEEN[1]));
}

#[test]
fn a_provider_with_delta_temporality_is_reported_once_if_its_exporter_keeps_nothing() {
    isolated(|| assert_counters_are_reported(&[Temporality::Delta], BETWEEN[2]));
}

#[test]
fn one_of_two_readers_with_delta_temporality_is_reported() {
    isolated(|| assert_counters_are_reported(&[Temporality::Cumulative, Temporality::Delta], BETWEEN[1]));
}

#[test]
fn a_provider_whose_histograms_have_delta_temporality_is_reported_too() {
    isolated(|| {
        every_outcome();
        let noticed = noticed(&[Temporality::LowMemory], |exporters| {
            static IS_FIRST: AtomicBool = AtomicBool::new(true);
            if IS_FIRST.swap(false, Ordering::Relaxed) {
                every_outcome();
            }
            BETWEEN[2](exporters);
        });
        assert!(matches!(&noticed[..], [one] if one.contains("histograms")), "{noticed:?}");
    });
}

#[test]
fn a_provider_with_cumulative_temporality_is_not_reported() {
    isolated(|| {
        for between in BETWEEN {
            assert_eq!(noticed(&[Temporality::Cumulative], between), Vec::<String>::new());
        }
        assert_eq!(noticed(&[Temporality::Cumulative; 2], BETWEEN[1]), Vec::<String>::new());
    });
}

#[test]
fn two_readers_that_collect_at_the_same_time_are_not_taken_for_a_problem() {
    isolated(|| {
        let (readers, builder) =
            ([0, 1].map(|_| reader(Temporality::Cumulative)), SdkMeterProvider::builder());
        let [(_, first), (_, second)] = &readers;
        let provider = builder.with_reader(first.clone()).with_reader(second.clone()).build();
        let installation = Install::new().meter_provider(&provider).start();
        std::thread::scope(|threads| {
            for (exporter, reader) in &readers {
                threads.spawn(move || {
                    for _ in 0..60 {
                        reader.force_flush().unwrap();
                        exporter.reset();
                    }
                });
            }
            (0..2000).for_each(|_| odd_sla());
        });
        let report = installation.report();
        let is_wrong =
            |line: &&String| line.contains("temporality") || line.contains("with_cardinality_limit");
        assert_eq!(report.iter().filter(is_wrong).count(), 0, "{report:?}");
    });
}

#[test]
fn a_provider_that_keeps_too_few_series_is_reported_with_their_number() {
    isolated(|| {
        let (exporter, reader) = reader(Temporality::Cumulative);
        let few = |instrument: &Instrument| {
            let is_it = instrument.name() == RUNS;
            is_it.then(|| Stream::builder().with_cardinality_limit(20).build().ok()).flatten()
        };
        let provider = SdkMeterProvider::builder().with_reader(reader).with_view(few).build();
        let installation = Install::new().meter_provider(&provider).start();
        for _ in 0..3 {
            provider.force_flush().unwrap();
        }
        let needed = 12 * registry::all().map(|process| process.id()).collect::<BTreeSet<_>>().len();
        let report = installation.report();
        let lines: Vec<_> = report.iter().filter(|line| line.contains("with_cardinality_limit")).collect();
        let is_it = |line: &str| {
            line.contains(&format!("20 of the {needed} series of {RUNS}"))
                && line.contains(&format!("at least {needed}"))
        };
        assert!(matches!(lines[..], [line] if is_it(line)), "{report:?}");
        drop(exporter);
    });
}

#[test]
fn a_view_that_drops_a_counter_affects_no_other_instrument() {
    isolated(|| {
        for dropped in [BAD, VALID, "critical_process.overdue"] {
            let (exporter, reader) = reader(Temporality::Cumulative);
            let without = move |instrument: &Instrument| {
                let drop = || Stream::builder().with_aggregation(Aggregation::Drop).build().ok();
                (instrument.name() == dropped).then(drop).flatten()
            };
            let provider = SdkMeterProvider::builder().with_reader(reader).with_view(without).build();
            let readings = Readings::of(exporter, provider);
            let installation = Install::new().meter_provider(readings.provider()).start();
            let values = || {
                let collected = readings.collect();
                [STARTED, VALID, "critical_process.active"].map(|name| collected.value(name, "odd_sla", &[]))
            };
            let [before, ..] = values();
            for runs in 1..4 {
                odd_sla();
                let valid = if dropped == VALID { 0 } else { before + runs };
                assert_eq!(values(), [before + runs, valid, 0], "without {dropped}");
            }
            let samples =
                |collected: Collected| collected.points("critical_process.duration", "odd_sla")[0].value;
            assert_eq!(samples(readings.collect()), 3, "without {dropped}");
            installation.stop();
        }
    });
}

#[test]
fn a_provider_that_keeps_the_attributes_of_one_series_only_is_not_taken_for_one_with_delta_temporality() {
    isolated(|| {
        let (exporter, reader) = reader(Temporality::Cumulative);
        let one = |_: &Instrument| Stream::builder().with_cardinality_limit(1).build().ok();
        let provider = SdkMeterProvider::builder().with_reader(reader).with_view(one).build();
        let installation = Install::new().meter_provider(&provider).start();
        every_outcome();
        for _ in 0..6 {
            exporter.reset();
            provider.force_flush().unwrap();
        }
        let report = installation.report();
        assert!(!report.iter().any(|line| line.contains("temporality")), "{report:?}");
    });
}

#[test]
fn the_variable_that_asks_for_delta_temporality_is_reported_at_the_start() {
    for (preference, exporters, is_reported) in [
        ("delta", "", true),
        ("LowMemory", "otlp,prometheus", true),
        ("cumulative", "otlp", false),
        ("delta", "prometheus", false),
    ] {
        let output = process_tests::isolated::child("births::installs")
            .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
            .env("OTEL_METRICS_EXPORTER", exporters)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is `";
        assert_eq!(text.matches(name).count(), usize::from(is_reported), "{preference}, {exporters}: {text}");
    }
}

#[test]
#[ignore = "child of the_variable_that_asks_for_delta_temporality_is_reported_at_the_start"]
fn installs() {
    Install::new().start().stop();
}

/// What Prometheus stores: the value of each series of the counters, by name and attributes.
fn stored(collected: &Collected) -> BTreeMap<(String, String), i64> {
    let counters = [STARTED, VALID, BAD, RUNS];
    let points = counters.iter().flat_map(|name| {
        let points = &collected.instrument(name).points;
        points.iter().map(|point| (((*name).to_owned(), format!("{:?}", point.attributes)), point.value))
    });
    points.collect()
}

#[test]
fn every_first_failure_is_an_increase_of_a_series_that_the_first_collection_has() {
    isolated(|| {
        measured_by(|readings| {
            std::panic::set_hook(Box::new(|_| ()));
            let before = stored(&readings.collect());
            every_outcome();
            let after = stored(&readings.collect());
            assert!(before.values().all(|value| *value == 0));
            assert_eq!(
                before.keys().collect::<Vec<_>>(),
                after.keys().collect::<Vec<_>>(),
                "no series is born later"
            );
            assert!(after.values().any(|value| *value > 0));
        });
    });
}
