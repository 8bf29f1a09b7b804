//! The OpenTelemetry instruments. Counters and gauges cost a run nothing: when a reader of OpenTelemetry collects the
//! metrics, their callbacks read the accounts, which hold the counts of each process. Histograms need the duration of
//! every run. Each run therefore adds its duration as a sample to a bounded buffer. The watchdog and each collection
//! record the samples in the histograms. If the buffer is full, the sample is dropped and counted as dropped; the
//! statistics in memory still include the run. An instrument that belongs to a single feature is not defined here. The
//! feature adds it through [`InstrumentsOfFeature`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry::{KeyValue, global};
use process_model::Outcome;

use crate::base::lane::{LANES, Lane};
use crate::base::lock::lock;
use crate::base::sizes::SAMPLES;
use crate::observe::samples::Samples;
use crate::run::domain::Core;
use crate::run::unit::Unit;

const ID: &str = "critical_process.id";
const STAGE: &str = "critical_process.stage";
const OUTCOME: &str = "critical_process.outcome";
const LATE: &str = "critical_process.late";
const ERROR_TYPE: &str = "error.type";
const REASON: &str = "reason";

/// The number of waiting samples at which a run wakes the watchdog to drain the buffer.
const WORTH_A_DRAIN: usize = SAMPLES / 2;
/// The minimum time between two drains by the watchdog. It limits the load that drains cause on a busy machine.
pub(crate) const BETWEEN_DRAINS: Duration = Duration::from_millis(50);
/// The maximum time between the attachment of a meter provider and the first collection of its metrics. If no reader
/// has collected the metrics by then, the missing reader is reported. Readers collect every minute by default.
const UNCOLLECTED: Duration = Duration::from_secs(150);

/// The default boundaries of the duration histograms in seconds. They range from a fast query to a long batch.
const BOUNDARIES: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0,
    3600.0,
];
/// The maximum number of boundaries of a histogram. Each boundary adds a series for every process and outcome.
const MOST_BOUNDARIES: usize = 40;
/// The boundaries of the histogram of the duration divided by the SLA. The boundary 1 separates late runs from runs on
/// time.
const UTILIZATION: [f64; 11] = [0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0, 5.0, 10.0];

/// Whether a meter provider is attached. Until then, runs add no samples.
static ON: AtomicBool = AtomicBool::new(false);
static ATTACHED: Mutex<Option<Attached>> = Mutex::new(None);
static BUFFERS: [Samples<Sample>; LANES] = [const { Samples::new() }; LANES];

/// The meter provider that receives the measurements, and its histograms.
struct Attached {
    provider: usize,
    /// Keeps the global provider alive, so that no new provider gets the address that is in `provider`.
    _global: Option<Arc<dyn MeterProvider + Send + Sync>>,
    since: Instant,
    collected: Arc<AtomicBool>,
    duration: Histogram<f64>,
    utilization: Histogram<f64>,
    stage_duration: Histogram<f64>,
}

fn attached() -> MutexGuard<'static, Option<Attached>> {
    lock(&ATTACHED)
}

/// Sends measurements to this provider from now on. It replaces the provider that was attached before.
pub(crate) fn attach(provider: &dyn MeterProvider) {
    attach_as(provider, std::ptr::from_ref(provider).addr(), None);
}

/// Attaches the global provider, unless it is already attached. If the application sets its global provider after the
/// first call, the next call attaches it. The provider then receives the measurements from that time on.
pub(crate) fn attach_global() {
    let provider = global::meter_provider();
    let id = Arc::as_ptr(&provider).addr();
    if attached().as_ref().is_none_or(|attached| attached.provider != id) {
        attach_as(&*provider, id, Some(Arc::clone(&provider)));
    }
}

fn attach_as(provider: &dyn MeterProvider, id: usize, global: Option<Arc<dyn MeterProvider + Send + Sync>>) {
    let meter = provider.meter("critical_process");
    let collected = Arc::new(AtomicBool::new(false));
    // `ATTACHED` is locked only after the instruments are created. A provider may hold a lock of its own while it
    // creates an instrument, and also while it calls our callback. The callback locks `ATTACHED` to drain the samples.
    // If `ATTACHED` were locked before the instruments are created, two threads could wait for each other for ever.
    let new = Attached {
        provider: id,
        _global: global,
        since: Instant::now(),
        collected: Arc::clone(&collected),
        duration: meter
            .f64_histogram("critical_process.duration")
            .with_unit("s")
            .with_description("Duration of process runs")
            .with_boundaries(boundaries(crate::catalog::registry::all().map(|process| process.sla())))
            .build(),
        utilization: meter
            .f64_histogram("critical_process.sla.utilization")
            .with_unit("1")
            .with_description("Duration of process runs divided by their SLA")
            .with_boundaries(UTILIZATION.to_vec())
            .build(),
        stage_duration: meter
            .f64_histogram("critical_process.stage.duration")
            .with_unit("s")
            .with_description("Duration of stage runs")
            .with_boundaries(boundaries(crate::catalog::registry::stages().filter_map(|stage| stage.sla())))
            .build(),
    };
    drain();
    *attached() = Some(new);
    ON.store(true, Ordering::Release);
    observe(&meter, &collected);
}

/// Returns a boundary for every SLA, and adds as many of [`BOUNDARIES`] as fit. If there are more than
/// [`MOST_BOUNDARIES`] different SLAs, only the shortest become boundaries, and this is reported.
fn boundaries(slas: impl Iterator<Item = Duration>) -> Vec<f64> {
    let mut all: Vec<f64> = slas.map(|sla| sla.as_secs_f64()).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    if all.len() > MOST_BOUNDARIES {
        crate::base::notices::once(format!(
            "{} different SLAs: only the {MOST_BOUNDARIES} shortest are boundaries of the duration histogram; use \
             `critical_process.sla.utilization` to see how many runs exceed the others",
            all.len()
        ));
        all.truncate(MOST_BOUNDARIES);
    }
    let room = MOST_BOUNDARIES - all.len();
    let base = BOUNDARIES.iter().copied().filter(|base| !all.contains(base)).take(room).collect::<Vec<_>>();
    all.extend(base);
    all.sort_by(f64::total_cmp);
    all
}

/// A function that creates the instruments of a feature. The feature submits it to `inventory`.
pub(crate) struct InstrumentsOfFeature(pub(crate) fn(&Meter));

inventory::collect!(InstrumentsOfFeature);

/// A callback that receives the readings of an instrument. Each reading is a value and its attributes.
pub(crate) type Reading<'a> = &'a mut dyn FnMut(u64, &[KeyValue]);

/// Reads `critical_process.started`.
pub(crate) fn started(core: &Core, read: Reading<'_>) {
    for (process, unit) in processes() {
        read(core.account(unit).counts().0, &[KeyValue::new(ID, process)]);
    }
}

/// Reads `critical_process.runs`.
pub(crate) fn runs(core: &Core, read: Reading<'_>) {
    for (process, unit) in processes() {
        each_end(core, unit, |outcome, late, error_type, runs| {
            let mut attributes = vec![
                KeyValue::new(ID, process),
                KeyValue::new(OUTCOME, outcome.as_str()),
                KeyValue::new(LATE, late),
            ];
            attributes.extend(error_type.map(|kind| KeyValue::new(ERROR_TYPE, kind)));
            read(runs, &attributes);
        });
    }
}

/// Reads `critical_process.active`.
pub(crate) fn active(core: &Core, read: Reading<'_>) {
    for (process, unit) in processes() {
        let (started, ended) = core.account(unit).counts();
        read(started.saturating_sub(ended.iter().sum()), &[KeyValue::new(ID, process)]);
    }
}

/// Reads `critical_process.overdue`.
pub(crate) fn overdue(core: &Core, read: Reading<'_>) {
    for (process, unit) in processes() {
        read(core.account(unit).overdue(), &[KeyValue::new(ID, process)]);
    }
}

/// Registers the counters and gauges. Their callbacks must not panic, because a panic would end the reader's thread.
fn observe(meter: &Meter, collected: &Arc<AtomicBool>) {
    let collected = Arc::clone(collected);
    meter
        .u64_observable_counter("critical_process.started")
        .with_unit("{run}")
        .with_description("Process runs that started")
        .with_callback(move |observer| {
            collected.store(true, Ordering::Relaxed);
            drain();
            started(Core::global(), &mut |runs, attributes| observer.observe(runs, attributes));
        })
        .build();
    meter
        .u64_observable_counter("critical_process.runs")
        .with_unit("{run}")
        .with_description("Process runs that ended, by outcome")
        .with_callback(|observer| {
            runs(Core::global(), &mut |runs, attributes| observer.observe(runs, attributes));
        })
        .build();
    meter
        .i64_observable_up_down_counter("critical_process.active")
        .with_unit("{run}")
        .with_description("Process runs in flight")
        .with_callback(|observer| {
            active(Core::global(), &mut |runs, attributes| observer.observe(runs as i64, attributes));
        })
        .build();
    meter
        .u64_observable_gauge("critical_process.overdue")
        .with_unit("{run}")
        .with_description("Process runs in flight that are past their SLA")
        .with_callback(|observer| {
            overdue(Core::global(), &mut |runs, attributes| observer.observe(runs, attributes));
        })
        .build();
    meter
        .u64_observable_counter("critical_process.telemetry.dropped")
        .with_unit("{item}")
        .with_description("Telemetry items that were dropped, by reason")
        .with_callback(|observer| {
            for (reason, dropped) in dropped() {
                observer.observe(dropped, &[KeyValue::new(REASON, reason)]);
            }
        })
        .build();
    inventory::iter::<InstrumentsOfFeature>.into_iter().for_each(|feature| (feature.0)(meter));
}

/// The number of spans that `telemetry` could not deliver.
pub(crate) static LOST_SPANS: AtomicU64 = AtomicU64::new(0);
/// The number of events that `telemetry` could not deliver to Sentry.
pub(crate) static LOST_EVENTS: AtomicU64 = AtomicU64::new(0);
/// The number of transactions that `telemetry` could not deliver to Sentry.
pub(crate) static LOST_TRANSACTIONS: AtomicU64 = AtomicU64::new(0);

/// Returns the number of dropped items since the start, by reason.
pub(crate) fn dropped() -> [(&'static str, u64); 8] {
    [
        ("span", LOST_SPANS.load(Ordering::Relaxed)),
        ("event", LOST_EVENTS.load(Ordering::Relaxed)),
        ("transaction", LOST_TRANSACTIONS.load(Ordering::Relaxed)),
        ("sample", BUFFERS.iter().map(Samples::dropped).sum()),
        ("untracked", Core::global().untracked()),
        ("line", crate::base::output::STANDARD_ERROR.lost()),
        ("log", crate::base::output::STANDARD_OUTPUT.lost()),
        ("cut", crate::base::text::cuts() + crate::base::chain::cuts() + crate::base::output::cuts()),
    ]
}

fn processes() -> impl Iterator<Item = (&'static str, &'static Unit)> {
    let own = |unit: &'static Unit| Some((unit.process?.id(), unit));
    Unit::all().into_iter().filter(|unit| unit.is_process()).filter_map(own)
}

/// Calls `f` for each combination of outcome, lateness and `error.type`, with the number of runs that have ended in
/// this way. A failure, panic or rejection always has an `error.type`, and any other outcome never has one. A run is
/// therefore counted in one series only, and no count decreases.
fn each_end(core: &Core, unit: &'static Unit, mut f: impl FnMut(Outcome, bool, Option<&'static str>, u64)) {
    let account = core.account(unit);
    for count in account.errors() {
        f(count.outcome, count.late, Some(count.error_type), count.runs);
    }
    let (_, ended) = account.counts();
    for outcome in [Outcome::Success, Outcome::Degraded, Outcome::Cancelled] {
        for late in [false, true] {
            let runs = ended[crate::stats::account::end_index(outcome, late)];
            if runs > 0 {
                f(outcome, late, None, runs);
            }
        }
    }
}

/// The end of one run, for the histograms.
#[derive(Clone, Copy, Debug)]
struct Sample {
    unit: &'static Unit,
    ticks: u64,
    outcome: Outcome,
}

/// Adds the duration of an ended run as a sample to the buffer of `lane`, which must be the lane of this thread. Does
/// nothing for a call to a dependency, or if no meter provider is attached.
#[inline]
pub(crate) fn sample(lane: Lane, unit: &'static Unit, outcome: Outcome, ticks: u64) {
    if ON.load(Ordering::Relaxed) && unit.dependency().is_none() {
        leave(lane, Sample { unit, ticks, outcome });
    }
}

fn leave(lane: Lane, sample: Sample) {
    if BUFFERS[lane.index()].push(lane, sample) == Some(WORTH_A_DRAIN) {
        crate::base::alarm::wake();
    }
}

/// Records every waiting sample in the histograms. Does nothing if no meter provider is attached.
pub(crate) fn drain() {
    let attached = attached();
    let Some(attached) = &*attached else { return };
    let clock = &Core::global().clock;
    for buffer in &BUFFERS {
        buffer.drain(|Sample { unit, ticks, outcome }| {
            let seconds = clock.duration(ticks).as_secs_f64();
            let id = KeyValue::new(ID, unit.process.map_or("", |process| process.id()));
            let outcome = KeyValue::new(OUTCOME, outcome.as_str());
            if let Some(stage) = unit.stage() {
                attached.stage_duration.record(seconds, &[id, KeyValue::new(STAGE, stage.id()), outcome]);
                return;
            }
            let attributes = [id, outcome];
            attached.duration.record(seconds, &attributes);
            if let Some(sla) = unit.sla {
                attached.utilization.record(seconds / sla.as_secs_f64(), &attributes);
            }
        });
    }
}

/// Returns the number of waiting samples.
pub(crate) fn waiting() -> usize {
    BUFFERS.iter().map(Samples::waiting).sum()
}

/// Returns whether a buffer is full enough to be drained.
pub(crate) fn is_drain_due() -> bool {
    BUFFERS.iter().any(|buffer| buffer.waiting() >= WORTH_A_DRAIN)
}

/// Returns the reason why no backend receives measurements, or `None` if no such reason is known.
pub(crate) fn problem() -> Option<&'static str> {
    let attached = attached();
    let Some(attached) = &*attached else {
        return Some(
            "no meter provider is attached, so no metrics are exported; call `process_runtime::Install::start`",
        );
    };
    let silent = !attached.collected.load(Ordering::Relaxed) && attached.since.elapsed() > UNCOLLECTED;
    silent.then_some(
        "no reader collects the metrics, so nothing is exported; pass the application's meter provider to \
         `Install::meter_provider`, or set it as the global one of opentelemetry 0.33",
    )
}
