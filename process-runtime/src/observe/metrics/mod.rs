//! The OpenTelemetry instruments: the attached meter provider, and the histograms. Histograms need the duration of
//! every run. Each run therefore adds its duration as a sample to a bounded buffer. The watchdog and each collection
//! record the samples in the histograms. If the buffer is full, the sample is dropped and counted as dropped; the
//! statistics in memory still include the run. Counters and gauges are in [`collection`]. An instrument that belongs
//! to a single feature is not defined here. The feature adds it through [`InstrumentsOfFeature`].

mod collection;
pub(crate) mod counters;
pub(crate) mod temporality;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry::{KeyValue, global};
use process_model::Outcome;

use self::temporality::Witnesses;
use crate::base::cause::Cause;
use crate::base::destination::calls::Destination;
use crate::base::destination::{caught, release};
use crate::base::lane::{LANES, Lane};
use crate::base::lock::lock;
use crate::base::sizes::SAMPLES;
use crate::base::threads::{self, Started};
use crate::observe::samples::Samples;
use crate::run::domain::Core;
use crate::run::unit::Unit;

const ID: &str = "critical_process.id";
const STAGE: &str = "critical_process.stage";
const OUTCOME: &str = "critical_process.outcome";

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

/// The number of samples that one call of the meter provider records. They must not take so long that the call counts
/// as hung.
const IN_ONE_CALL: usize = 1024;
/// The number of panics of the meter provider after which a drain does not call it again.
const MOST_PANICS: usize = 3;
/// The number of samples that the meter provider did not record because it panicked.
static UNRECORDED: AtomicU64 = AtomicU64::new(0);

/// Whether a meter provider is attached. Until then, runs add no samples.
static ON: AtomicBool = AtomicBool::new(false);
static ATTACHED: Mutex<Option<Arc<Attached>>> = Mutex::new(None);
/// Locked by the one thread that drains the buffers.
static DRAINING: Mutex<()> = Mutex::new(());
static BUFFERS: [Samples<Sample>; LANES] = [const { Samples::new() }; LANES];

/// The meter provider that receives the measurements, and its histograms.
struct Attached {
    provider: usize,
    /// Keeps the global provider alive, so that no new provider gets the address that is in `provider`.
    _global: Option<GlobalProvider>,
    since: Instant,
    collected: Arc<AtomicBool>,
    duration: Histogram<f64>,
    utilization: Histogram<f64>,
    stage_duration: Histogram<f64>,
    witnesses: Mutex<Witnesses>,
}

/// Returns the attached meter provider; `None` if no provider is attached.
fn attached() -> Option<Arc<Attached>> {
    lock(&ATTACHED).clone()
}

/// Sends measurements to this provider from now on. It replaces the provider that was attached before.
pub(crate) fn attach(provider: &dyn MeterProvider) {
    let id = std::ptr::from_ref(provider).addr();
    caught(Destination::MeterProvider, || attach_as(provider, id, None));
}

/// The global provider of the application, which another thread may replace at any time.
type GlobalProvider = Arc<dyn MeterProvider + Send + Sync>;

/// The last global provider that panicked when it was attached. The reference keeps it alive, so that no new provider
/// gets its address.
static REFUSED: Mutex<Option<GlobalProvider>> = Mutex::new(None);

/// Attaches the global provider, unless it is already attached. If the application sets its global provider after the
/// first call, the next call attaches it. The provider then receives the measurements from that time on. A provider
/// that panics is not attached, and is not tried again until the application sets another one.
pub(crate) fn attach_global() {
    let provider = global::meter_provider();
    let id = Arc::as_ptr(&provider).addr();
    let is_attached = lock(&ATTACHED).as_ref().is_some_and(|attached| attached.provider == id);
    let is_refused = lock(&REFUSED).as_ref().is_some_and(|refused| Arc::as_ptr(refused).addr() == id);
    let attach = || attach_as(&*provider, id, Some(Arc::clone(&provider)));
    if !is_attached && !is_refused && !caught(Destination::MeterProvider, attach) {
        let old = lock(&REFUSED).replace(Arc::clone(&provider));
        release(Destination::MeterProvider, old);
    }
    release(Destination::MeterProvider, provider);
}

fn attach_as(provider: &dyn MeterProvider, id: usize, global: Option<GlobalProvider>) {
    let meter = provider.meter("critical_process");
    let collected = Arc::new(AtomicBool::new(false));
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
        witnesses: Mutex::default(),
    };
    drain();
    let old = lock(&ATTACHED).replace(Arc::new(new));
    release(Destination::MeterProvider, old);
    ON.store(true, Ordering::Release);
    collection::observe(&meter, &collected);
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

/// The number of spans that `telemetry` could not deliver.
pub(crate) static LOST_SPANS: AtomicU64 = AtomicU64::new(0);
/// The number of log records that `telemetry` could not deliver.
pub(crate) static LOST_RECORDS: AtomicU64 = AtomicU64::new(0);
/// The number of events that `telemetry` could not deliver to Sentry.
pub(crate) static LOST_EVENTS: AtomicU64 = AtomicU64::new(0);
/// The number of transactions that `telemetry` could not deliver to Sentry.
pub(crate) static LOST_TRANSACTIONS: AtomicU64 = AtomicU64::new(0);

/// Returns the number of dropped items since the start, by reason.
pub(crate) fn dropped() -> [(&'static str, u64); 9] {
    [
        ("span", LOST_SPANS.load(Ordering::Relaxed)),
        ("log_record", LOST_RECORDS.load(Ordering::Relaxed)),
        ("event", LOST_EVENTS.load(Ordering::Relaxed)),
        ("transaction", LOST_TRANSACTIONS.load(Ordering::Relaxed)),
        ("sample", BUFFERS.iter().map(Samples::dropped).sum::<u64>() + UNRECORDED.load(Ordering::Relaxed)),
        ("untracked", Core::global().untracked()),
        ("line", crate::base::output::STANDARD_ERROR.lost()),
        ("log", crate::base::output::STANDARD_OUTPUT.lost()),
        ("cut", crate::base::foreign::text::cuts() + crate::base::foreign::chain::cuts()),
    ]
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
    if let Some(attached) = attached() {
        record_waiting(attached);
    }
}

static HUNG: Cause =
    Cause::new("the waiting samples are not recorded, because no call returned in time from");

/// Records every waiting sample on a thread of its own, and waits for it at most until `end`, because a meter provider
/// may hang. Returns whether the samples were recorded in time, and reports if they were not.
pub(crate) fn drain_until(end: Instant) -> bool {
    /// The thread of an earlier call that has not ended in time. While it hangs, no other thread is started.
    static EARLIER: Mutex<Option<Started>> = Mutex::new(None);
    let is_over = |thread: Started| {
        let has_ended = thread.wait(end);
        if !has_ended {
            *lock(&EARLIER) = Some(thread);
        }
        has_ended
    };
    let earlier = lock(&EARLIER).take();
    let is_drained = earlier.is_none_or(is_over) && threads::start("process-drain", drain).is_ok_and(is_over);
    match is_drained {
        true => HUNG.ended(),
        false => HUNG.happened(Destination::MeterProvider),
    }
    is_drained
}

/// Records every waiting sample, at the beginning of a collection. `is_delta` says whether the provider has delta
/// temporality for counters.
fn collect(is_delta: bool) {
    let Some(attached) = attached() else { return };
    record_waiting(Arc::clone(&attached));
    let has_forgotten = lock(&attached.witnesses).collected();
    release(Destination::MeterProvider, attached);
    temporality::report(is_delta, has_forgotten);
}

fn record_waiting(attached: Arc<Attached>) {
    let mut samples = Vec::new();
    let draining = lock(&DRAINING);
    BUFFERS.iter().for_each(|buffer| buffer.drain(|sample| samples.push(sample)));
    drop(draining);
    // The attributes are made once for all samples of a series.
    samples.sort_unstable_by_key(Sample::series);
    // A provider may hold a lock of its own while it records, and also while it calls our callback, which drains. No
    // lock is held here, so two threads cannot wait for each other.
    let mut samples = samples.into_iter();
    let mut panics = 0;
    // One sample that makes the provider panic does not cost the others, but a provider that always panics is not
    // called for each.
    while panics < MOST_PANICS {
        let waiting = samples.len();
        let is_unharmed =
            caught(Destination::MeterProvider, || attached.record(samples.by_ref().take(IN_ONE_CALL)));
        // If an earlier call of the provider hangs, this call was not made.
        if samples.len() == waiting {
            break;
        }
        panics += usize::from(!is_unharmed);
    }
    UNRECORDED.fetch_add((panics + samples.len()) as u64, Ordering::Relaxed);
    // This may be the last owner of the provider.
    release(Destination::MeterProvider, attached);
}

impl Sample {
    /// Returns a key that is the same for all samples of a series.
    fn series(&self) -> (usize, Outcome) {
        (std::ptr::from_ref(self.unit).addr(), self.outcome)
    }
}

impl Attached {
    /// Records samples, of which those of one series stand together.
    fn record(&self, samples: impl Iterator<Item = Sample>) {
        let mut series: Option<Series<'_>> = None;
        for sample in samples {
            if series.as_ref().is_none_or(|series| series.key != sample.series()) {
                series = None;
            }
            series.get_or_insert_with(|| Series::of(self, &sample)).record(sample.ticks);
        }
    }
}

/// The attributes of one series, while its samples are recorded.
struct Series<'a> {
    attached: &'a Attached,
    key: (usize, Outcome),
    unit: &'static Unit,
    attributes: Vec<KeyValue>,
}

impl<'a> Series<'a> {
    fn of(attached: &'a Attached, sample: &Sample) -> Series<'a> {
        let Sample { unit, outcome, .. } = *sample;
        let id = lock(&attached.witnesses).id(unit, outcome);
        let stage = unit.stage().map(|stage| KeyValue::new(STAGE, stage.id()));
        let attributes =
            [id].into_iter().chain(stage).chain([KeyValue::new(OUTCOME, outcome.as_str())]).collect();
        Series { attached, key: sample.series(), unit, attributes }
    }

    fn record(&self, ticks: u64) {
        let seconds = Core::global().clock.duration(ticks).as_secs_f64();
        if self.unit.stage().is_some() {
            return self.attached.stage_duration.record(seconds, &self.attributes);
        }
        self.attached.duration.record(seconds, &self.attributes);
        if let Some(sla) = self.unit.sla {
            self.attached.utilization.record(seconds / sla.as_secs_f64(), &self.attributes);
        }
    }
}

impl Drop for Series<'_> {
    fn drop(&mut self) {
        self.attributes.clear();
        lock(&self.attached.witnesses).recorded(self.unit, self.key.1);
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
    let attached = lock(&ATTACHED);
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
