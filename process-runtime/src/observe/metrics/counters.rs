//! The values of the counters and gauges of processes. They cost a run nothing, because they are read from the
//! accounts, which hold the counts of each process. A series that an alert may use exists from the first collection
//! on, with the value zero, because `increase()` of Prometheus does not see the first value of a series that did not
//! exist before. Histograms, and the instruments themselves, do not belong here.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;
use process_model::Outcome;

use super::{ID, OUTCOME};
#[cfg(feature = "telemetry")]
use crate::catalog::registry;
use crate::run::domain::Core;
use crate::run::unit::Unit;
#[cfg(feature = "telemetry")]
use crate::stats::account::ERROR_TYPES;
use crate::stats::account::{ENDS, end_index};

const LATE: &str = "critical_process.late";
const ERROR_TYPE: &str = "error.type";

/// A callback that receives the readings of an instrument. Each reading is a value and its attributes, of which the
/// first is the id of the process.
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

/// The counts of every registered process at one time. All instruments of a collection read the same counts, so that
/// their values fit together although runs end during the collection.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// If several functions have the same id, their counts are added up, because an instrument keeps only the last
    /// value that it receives for a series.
    processes: BTreeMap<&'static str, Counts>,
    errors: BTreeMap<(&'static str, &'static str), u64>,
}

impl Snapshot {
    pub(crate) fn take(core: &Core) -> Snapshot {
        let mut snapshot = Snapshot { processes: BTreeMap::new(), errors: BTreeMap::new() };
        for (id, unit) in processes() {
            let account = core.account(unit);
            // A run counts its end before its error. The errors are therefore read before the ends, so that there are
            // never more errors than ends.
            for count in account.errors().into_iter().filter(|count| count.failed > 0) {
                *snapshot.errors.entry((id, count.error_type)).or_default() += count.failed;
            }
            let cancelled_is_bad = unit.process.is_some_and(|process| process.cancelled_is_bad());
            snapshot.processes.entry(id).or_default().add(core, unit, cancelled_is_bad);
        }
        snapshot
    }

    fn of_each_process(&self, read: Reading<'_>, value: fn(&Counts) -> u64) {
        for (id, counts) in &self.processes {
            read(value(counts), &[KeyValue::new(ID, *id)]);
        }
    }

    /// Reads `critical_process.sli.bad`.
    pub(crate) fn bad(&self, read: Reading<'_>) {
        self.of_each_process(read, |counts| counts.bad);
    }

    /// Reads `critical_process.sli.valid`.
    pub(crate) fn valid(&self, read: Reading<'_>) {
        self.of_each_process(read, |counts| counts.valid);
    }

    /// Reads `critical_process.errors`.
    pub(crate) fn errors(&self, read: Reading<'_>) {
        for ((id, error_type), runs) in &self.errors {
            read(*runs, &[KeyValue::new(ID, *id), KeyValue::new(ERROR_TYPE, *error_type)]);
        }
    }

    /// Reads `critical_process.runs`.
    pub(crate) fn runs(&self, read: Reading<'_>) {
        for (id, counts) in &self.processes {
            for (outcome, late) in ends() {
                let outcome_of_runs = KeyValue::new(OUTCOME, outcome.as_str());
                let attributes = [KeyValue::new(ID, *id), outcome_of_runs, KeyValue::new(LATE, late)];
                read(counts.ended[end_index(outcome, late)], &attributes);
            }
        }
    }

    /// Reads `critical_process.started`.
    pub(crate) fn started(&self, read: Reading<'_>) {
        self.of_each_process(read, |counts| counts.started);
    }

    /// Reads `critical_process.active`.
    pub(crate) fn active(&self, read: Reading<'_>) {
        self.of_each_process(read, |counts| counts.started.saturating_sub(counts.ended.iter().sum()));
    }

    /// Reads `critical_process.overdue`.
    pub(crate) fn overdue(&self, read: Reading<'_>) {
        self.of_each_process(read, |counts| counts.overdue);
    }
}

/// Returns the maximum number of series of an instrument of the meter `critical_process`.
#[cfg(feature = "telemetry")]
pub(crate) fn most_series(instrument: &str) -> usize {
    let processes = registry::all().count();
    let of_each_process = match instrument {
        "critical_process.runs" => ENDS,
        // One more is for `_OTHER`.
        "critical_process.errors" => ERROR_TYPES + 1,
        "critical_process.stage.duration" => {
            let (own, shared): (Vec<_>, Vec<_>) =
                registry::stages().partition(|stage| stage.process().is_some());
            return Outcome::ALL.len() * (own.len() + shared.len() * (processes + 1));
        }
        _ => Outcome::ALL.len(),
    };
    processes * of_each_process
}
