//! The counters and gauges of processes. They cost a run nothing: when a reader of OpenTelemetry collects the metrics,
//! their callbacks read the accounts, which hold the counts of each process. A series that an alert may use exists from
//! the first collection on, with the value zero, because `increase()` of Prometheus does not see the first value of a
//! series that did not exist before. Histograms do not belong here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, ObservableCounter};
use process_model::Outcome;

use super::{ID, InstrumentsOfFeature, OUTCOME, collect, dropped};
use crate::run::domain::Core;
use crate::run::unit::Unit;
use crate::stats::account::{ENDS, end_index};

const LATE: &str = "critical_process.late";
const ERROR_TYPE: &str = "error.type";
const REASON: &str = "reason";

/// A callback that receives the readings of an instrument. Each reading is a value and its attributes.
pub(crate) type Reading<'a> = &'a mut dyn FnMut(u64, &[KeyValue]);

/// The counts of one process since the program started.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    started: u64,
    ended: [u64; ENDS],
    /// The ended runs that count towards the objective.
    valid: u64,
    /// The runs in `valid` that were not good.
    bad: u64,
    overdue: u64,
}

impl Counts {
    fn add(&mut self, core: &Core, unit: &'static Unit, cancelled_is_bad: bool) {
        let account = core.account(unit);
        let (started, ended) = account.counts();
        self.started += started;
        self.overdue += account.overdue();
        for (outcome, late) in ends() {
            let runs = ended[end_index(outcome, late)];
            self.ended[end_index(outcome, late)] += runs;
            if outcome.is_counted(late) || (cancelled_is_bad && outcome == Outcome::Cancelled) {
                self.valid += runs;
                self.bad += if outcome.is_good(late) { 0 } else { runs };
            }
        }
    }
}

/// Returns every way to end: each outcome, on time and late.
fn ends() -> impl Iterator<Item = (Outcome, bool)> {
    Outcome::ALL.into_iter().flat_map(|outcome| [(outcome, false), (outcome, true)])
}

/// Returns the units of all registered processes, with their ids.
fn processes() -> impl Iterator<Item = (&'static str, &'static Unit)> {
    let own = |unit: &'static Unit| Some((unit.process?.id(), unit));
    Unit::all().into_iter().filter(|unit| unit.is_process()).filter_map(own)
}

/// Returns the counts of every registered process. If several functions have the same id, their counts are added up,
/// because an instrument keeps only the last value that it receives for a series.
fn counts(core: &Core) -> BTreeMap<&'static str, Counts> {
    let mut all = BTreeMap::<_, Counts>::new();
    for (id, unit) in processes() {
        let cancelled_is_bad = unit.process.is_some_and(|process| process.cancelled_is_bad());
        all.entry(id).or_default().add(core, unit, cancelled_is_bad);
    }
    all
}

fn of_each_process(core: &Core, read: Reading<'_>, value: fn(&Counts) -> u64) {
    for (id, counts) in counts(core) {
        read(value(&counts), &[KeyValue::new(ID, id)]);
    }
}

/// Reads `critical_process.sli.bad`.
pub(crate) fn bad(core: &Core, read: Reading<'_>) {
    of_each_process(core, read, |counts| counts.bad);
}

/// Reads `critical_process.sli.valid`.
pub(crate) fn valid(core: &Core, read: Reading<'_>) {
    of_each_process(core, read, |counts| counts.valid);
}

/// Reads `critical_process.errors`.
pub(crate) fn errors(core: &Core, read: Reading<'_>) {
    let mut all = BTreeMap::<_, u64>::new();
    for (id, unit) in processes() {
        for count in core.account(unit).errors().into_iter().filter(|count| count.failed > 0) {
            *all.entry((id, count.error_type)).or_default() += count.failed;
        }
    }
    for ((id, error_type), runs) in all {
        read(runs, &[KeyValue::new(ID, id), KeyValue::new(ERROR_TYPE, error_type)]);
    }
}

/// Reads `critical_process.runs`.
pub(crate) fn runs(core: &Core, read: Reading<'_>) {
    for (id, counts) in counts(core) {
        for (outcome, late) in ends() {
            let outcome_of_runs = KeyValue::new(OUTCOME, outcome.as_str());
            let attributes = [KeyValue::new(ID, id), outcome_of_runs, KeyValue::new(LATE, late)];
            read(counts.ended[end_index(outcome, late)], &attributes);
        }
    }
}

/// Reads `critical_process.started`.
pub(crate) fn started(core: &Core, read: Reading<'_>) {
    of_each_process(core, read, |counts| counts.started);
}

/// Reads `critical_process.active`.
pub(crate) fn active(core: &Core, read: Reading<'_>) {
    of_each_process(core, read, |counts| counts.started.saturating_sub(counts.ended.iter().sum()));
}

/// Reads `critical_process.overdue`.
pub(crate) fn overdue(core: &Core, read: Reading<'_>) {
    of_each_process(core, read, |counts| counts.overdue);
}

/// Registers the counters and gauges. Their callbacks must not panic, because a panic would end the reader's thread.
///
/// A collection calls the callbacks in the order of their registration, and runs end in the meantime. A part is
/// therefore registered before its whole: bad before valid, errors before ended and ended before started runs. In
/// each collection, the part is then never greater than the whole.
pub(super) fn observe(meter: &Meter, collected: &Arc<AtomicBool>) {
    let collected = Arc::clone(collected);
    counter(
        meter,
        "critical_process.sli.bad",
        "Runs that counted against the objective",
        move |core, read| {
            collected.store(true, Ordering::Relaxed);
            collect();
            bad(core, read);
        },
    );
    counter(meter, "critical_process.sli.valid", "Runs that counted towards the objective", valid);
    counter(meter, "critical_process.errors", "Process runs that failed or panicked, by error type", errors);
    counter(meter, "critical_process.runs", "Process runs that ended, by outcome", runs);
    counter(meter, "critical_process.started", "Process runs that started", started);
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

/// Registers a counter of runs, whose value `read` reads from the accounts.
fn counter(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
    read: impl Fn(&Core, Reading<'_>) + Send + Sync + 'static,
) -> ObservableCounter<u64> {
    meter
        .u64_observable_counter(name)
        .with_unit("{run}")
        .with_description(description)
        .with_callback(move |observer| {
            read(Core::global(), &mut |runs, attributes| observer.observe(runs, attributes));
        })
        .build()
}
