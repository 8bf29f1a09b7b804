//! Destinations that panic or never return on the toolkit's own threads. The threads are supervised: the problem is
//! reported by name, and the other work continues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{
    Histogram, HistogramBuilder, InstrumentProvider, Meter, MeterProvider, SyncInstrument,
};
use process_runtime::observe::{RunView, Sink};
use process_runtime::{Install, critical_process};
use process_tests::isolated::{eventually, isolated};

#[critical_process(id = "slow", version = "1.0.0", sla = "10ms")]
fn slow(lasts: Duration) {
    thread::sleep(lasts);
}

/// A sink that counts the late runs.
#[derive(Clone, Debug, Default)]
struct Late(Arc<AtomicUsize>);

impl Late {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Sink for Late {
    fn overdue(&self, _: &RunView<'_>, _: Duration) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A meter provider whose histograms do something for each measurement.
#[derive(Clone, Debug)]
struct Measures(fn());

impl MeterProvider for Measures {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(self.clone()))
    }
}

impl InstrumentProvider for Measures {
    fn f64_histogram(&self, _: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(Arc::new(self.clone()))
    }
}

impl SyncInstrument<f64> for Measures {
    fn measure(&self, _: f64, _: &[opentelemetry::KeyValue]) {
        (self.0)();
    }
}

/// Ends so many runs that the watchdog records their durations.
fn fill() {
    for _ in 0..10_000 {
        super::innocent(1);
    }
}

#[test]
fn a_meter_provider_that_panics_costs_neither_the_watchdog_nor_the_end() {
    isolated(|| {
        let late = Late::default();
        let provider = Measures(|| panic!("the provider's own"));
        let installation = Install::new().meter_provider(&provider).sink(late.clone()).start();
        fill();
        thread::spawn(|| slow(Duration::from_secs(60)));
        eventually("the late run is reported while it runs", || late.count() == 1);
        installation.stop();
        let report = installation.report();
        assert!(report.iter().any(|line| line.contains("meter provider panicked")), "{report:?}");
    });
}

#[test]
fn a_meter_provider_that_hangs_does_not_keep_the_program_from_stopping() {
    isolated(|| {
        let installation = Install::new().meter_provider(&Measures(park)).start();
        fill();
        let started = Instant::now();
        installation.stop();
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    });
}

fn park() {
    loop {
        thread::park();
    }
}

/// A sink that does not return from `overdue` until it is released.
#[derive(Clone, Debug, Default)]
struct Stuck {
    is_released: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl Sink for Stuck {
    fn overdue(&self, _: &RunView<'_>, _: Duration) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        while !self.is_released.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_sink_that_hangs_is_reported_by_name_and_the_next_late_run_goes_to_the_others() {
    isolated(|| {
        let (stuck, late) = (Stuck::default(), Late::default());
        let installation = Install::new().sink(stuck.clone()).sink(late.clone()).start();
        let mut runs = Vec::new();
        runs.push(thread::spawn(|| slow(Duration::from_secs(25))));
        eventually("the sink hangs", || stuck.calls.load(Ordering::SeqCst) == 1);
        runs.push(thread::spawn(|| slow(Duration::from_secs(20))));
        eventually("the second run is reported to the other sink", || late.count() >= 1);
        let report = installation.report();
        let name = std::any::type_name::<Stuck>();
        assert!(
            report.iter().any(|line| line.contains(name) && line.contains("has not returned")),
            "{report:?}"
        );
        assert_eq!(stuck.calls.load(Ordering::SeqCst), 1, "the sink is not called again");
        stuck.is_released.store(true, Ordering::SeqCst);
        // The first call returns and the first run reaches the other sink. Then the sink is called again.
        eventually("the first run is reported to the other sink", || late.count() == 2);
        thread::spawn(|| slow(Duration::from_secs(5)));
        eventually("the sink is called again", || stuck.calls.load(Ordering::SeqCst) == 2);
        installation.stop();
    });
}
