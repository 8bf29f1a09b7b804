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
use process_tests::events::Inbox;
use process_tests::isolated::{eventually, isolated};
use sentry::{ClientOptions, Hub};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

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
        let report = installation.report();
        let name = "the waiting samples are not recorded, because no call returned in time from the OpenTelemetry meter \
                    provider";
        assert!(report.iter().any(|line| line.starts_with(name)), "{report:?}");
    });
}

fn park<T>() -> T {
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
            report.iter().any(|line| line.contains(name) && line.contains("has waited 10 s")),
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

/// Returns whether a report names the destination in a call that has not returned.
fn is_reported(report: &[String], destination: &str) -> bool {
    let line = format!("a thread of the toolkit has waited 10 s for a call of {destination}");
    report.iter().any(|reported| reported.starts_with(&line))
}

/// A late run that is reported to a destination that hangs, and then another one that is reported to a sink.
fn hang(destination: &str, late_run: fn()) {
    let late = Late::default();
    let installation = Install::new().sink(late.clone()).start();
    thread::spawn(late_run);
    eventually("the call is reported by name", || is_reported(&installation.report(), destination));
    let before = late.count();
    thread::spawn(|| slow(Duration::from_secs(60)));
    eventually("the next late run is reported to the sink", || late.count() > before);
    installation.stop();
}

#[test]
fn a_sentry_client_that_hangs_is_reported_by_name() {
    isolated(|| {
        hang("the Sentry client", || {
            let inbox = Inbox::of(ClientOptions::new().before_send(|_| park()));
            let _hub = inbox.bind();
            slow(Duration::from_secs(60));
        });
    });
}

/// A layer that hangs in each event, and has no other effect.
struct Parks;

impl<S: tracing::Subscriber> Layer<S> for Parks {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        park()
    }
}

#[test]
fn a_subscriber_that_hangs_is_reported_by_name() {
    isolated(|| {
        hang("the tracing subscriber", || {
            let subscriber = tracing_subscriber::registry().with(Parks);
            tracing::subscriber::with_default(subscriber, || slow(Duration::from_secs(60)));
        });
    });
}

impl Drop for Parks {
    fn drop(&mut self) {
        if thread::current().name() == Some("process-watchdog") {
            park()
        }
    }
}

/// A sink that does not return from `overdue` before a run is over and its client is dropped.
#[derive(Debug)]
struct Waits(Arc<AtomicBool>);

impl Sink for Waits {
    fn overdue(&self, _: &RunView<'_>, _: Duration) {
        eventually("the run is over", || self.0.load(Ordering::SeqCst));
    }
}

#[test]
fn a_client_that_hangs_when_the_watchdog_drops_it_is_reported_by_name() {
    isolated(|| {
        let (late, is_over) = (Late::default(), Arc::new(AtomicBool::new(false)));
        let install = Install::new().sink(late.clone()).sink(Waits(Arc::clone(&is_over)));
        let installation = install.start();
        let client = Parks;
        let before_send = move |event| {
            let _ = &client;
            Some(event)
        };
        let hub = Arc::clone(Inbox::of(ClientOptions::new().before_send(before_send)).hub());
        Hub::run(hub, || {
            slow(Duration::from_millis(20));
            eventually("the watchdog reports the run", || late.count() == 1);
        });
        is_over.store(true, Ordering::SeqCst);
        eventually("the drop is reported by name", || {
            is_reported(&installation.report(), "the Sentry client")
        });
        thread::spawn(|| slow(Duration::from_secs(60)));
        eventually("the next late run is reported to the sink", || late.count() == 2);
        installation.stop();
    });
}

#[test]
fn a_sink_that_hangs_does_not_mute_another_sink_of_its_type() {
    isolated(|| {
        let (stuck, other) = (Stuck::default(), Stuck::default());
        other.is_released.store(true, Ordering::SeqCst);
        let installation = Install::new().sink(stuck.clone()).sink(other.clone()).start();
        thread::spawn(|| slow(Duration::from_secs(60)));
        eventually("the sink hangs", || stuck.calls.load(Ordering::SeqCst) == 1);
        thread::spawn(|| slow(Duration::from_secs(60)));
        eventually("the second run is reported to the other sink", || {
            other.calls.load(Ordering::SeqCst) == 1
        });
        stuck.is_released.store(true, Ordering::SeqCst);
        // The end of the hang is noticed.
        let has_ended = || installation.report().iter().any(|line| line.contains("(ended: 1 time)"));
        eventually("the call has returned", has_ended);
        installation.stop();
    });
}

/// A meter provider that panics when it is asked for a meter, and counts this.
#[derive(Debug)]
struct Refuses(Arc<AtomicUsize>);

impl MeterProvider for Refuses {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("no meter")
    }
}

#[test]
fn a_global_meter_provider_that_panics_is_asked_once() {
    isolated(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let set = || opentelemetry::global::set_meter_provider(Refuses(Arc::clone(&asked)));
        set();
        let late = Late::default();
        let installation = Install::new().sink(late.clone()).start();
        // The watchdog goes through several rounds, each of which looks at the global provider.
        for run in 1..=5 {
            slow(Duration::from_millis(20));
            assert_eq!(late.count(), run);
        }
        installation.stop();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // Another provider is asked again.
        set();
        Install::new().start().stop();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    });
}
