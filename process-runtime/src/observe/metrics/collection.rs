//! The counters and gauges as instruments, whose callbacks a reader of OpenTelemetry calls when it collects the
//! metrics: which calls belong to one collection, and what the meter provider keeps of the readings. Their values do
//! not belong here.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, StringValue};

use super::counters::{Reading, Snapshot};
use super::temporality::{Mark, Marks};
use super::{InstrumentsOfFeature, collect, dropped};
use crate::base::lock::lock;
use crate::base::notices;
use crate::run::domain::Core;

const REASON: &str = "reason";

/// The instruments whose callbacks share the counts of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instrument {
    Bad,
    Valid,
    Errors,
    Runs,
    Started,
    Active,
    Overdue,
}

impl Instrument {
    fn bit(self) -> u8 {
        1 << self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Instrument::Bad => "critical_process.sli.bad",
            Instrument::Valid => "critical_process.sli.valid",
            Instrument::Errors => "critical_process.errors",
            Instrument::Runs => "critical_process.runs",
            Instrument::Started => "critical_process.started",
            Instrument::Active => "critical_process.active",
            Instrument::Overdue => "critical_process.overdue",
        }
    }
}

/// The collection that this thread is in. A collection calls all callbacks on one thread.
struct Current {
    provider: u64,
    /// The bits of the instruments that were read.
    read: u8,
    snapshot: Arc<Snapshot>,
    /// The value of [`Calls::changes`] when the collection began.
    changes: u64,
    /// Whether no other thread has called a callback since the begin of the collection before this one.
    is_alone: bool,
    /// The mark of a reading of [`Instrument::Bad`], and how often the provider kept it.
    bad: Option<Mark>,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// What the callbacks of one meter provider have in common.
struct Callbacks {
    /// Differs from that of any other meter provider.
    provider: u64,
    /// Whether a reader has collected the metrics.
    collected: Arc<AtomicBool>,
    calls: Mutex<Calls>,
}

/// The calls of the callbacks of one meter provider. If it has several readers, each call gives a reading to each of
/// them, and each of them collects on a thread of its own. A reading that a reader already has from another thread is
/// not kept, so what is kept says nothing while several threads collect.
#[derive(Default)]
struct Calls {
    /// The thread of the last call.
    thread: Option<ThreadId>,
    /// How often a call came from another thread than the one before it.
    changes: u64,
    /// The value of `changes` at the begin of the last collection.
    begun: u64,
    running: usize,
    marks: Marks,
    /// The bits of the instruments of which the provider was seen to keep only some series.
    overflown: u8,
}

impl Calls {
    fn enter(&mut self) {
        let thread = Some(thread::current().id());
        self.changes += u64::from(self.thread.is_some() && self.thread != thread);
        self.thread = thread;
        self.running += 1;
    }

    /// Returns whether all calls since `changes` had this value were those of this thread.
    fn are_own(&self, changes: u64) -> bool {
        self.changes == changes && self.running == 1
    }
}

/// What a provider keeps of the readings of one callback.
#[derive(Default)]
struct Kept {
    readings: usize,
    kept: usize,
    first: Option<Mark>,
}

impl Callbacks {
    fn new(collected: Arc<AtomicBool>) -> Callbacks {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let provider = NEXT.fetch_add(1, Ordering::Relaxed);
        Callbacks { provider, collected, calls: Mutex::default() }
    }

    /// Reads an instrument for a callback, and passes each reading to `observe`.
    fn call(
        &self,
        instrument: Instrument,
        read: fn(&Snapshot, Reading<'_>),
        observe: &dyn Fn(u64, &[KeyValue]),
    ) {
        lock(&self.calls).enter();
        let snapshot = self.snapshot(instrument);
        let mut all = Kept::default();
        read(&snapshot, &mut |runs, attributes| {
            // The id has a text of its own. The number of references to the text shows whether the provider keeps the
            // reading, or adds it to a series for all readings that exceed its limit.
            let mut attributes = attributes.to_vec();
            let text: Arc<str> = attributes[0].value.as_str().into();
            attributes[0].value = StringValue::from(Arc::clone(&text)).into();
            observe(runs, &attributes);
            drop(attributes);
            let mark = Mark::new(text);
            all.readings += 1;
            all.kept += usize::from(mark.is_some());
            if all.readings == 1 {
                all.first = mark;
            }
        });
        let report = self.judge(instrument, all);
        report.into_iter().for_each(notices::once);
    }

    /// Judges what the provider has kept, and ends the call. Returns a report if the provider keeps too few series.
    fn judge(&self, instrument: Instrument, all: Kept) -> Option<String> {
        let Kept { readings, kept, first } = all;
        let mut calls = lock(&self.calls);
        let judged = with_current(|current| {
            let current = current.as_mut().filter(|current| current.provider == self.provider)?;
            let is_own = calls.are_own(current.changes);
            match instrument {
                Instrument::Bad => current.bad = first,
                Instrument::Active => calls.marks.keep(current.bad.take().zip(first).filter(|_| is_own)),
                _ => {}
            }
            let is_new = calls.overflown & instrument.bit() == 0;
            let overflows = is_own && current.is_alone && is_new && kept > 0 && kept < readings;
            Some(overflows)
        });
        calls.running -= 1;
        judged.filter(|overflows| *overflows).map(|_| {
            calls.overflown |= instrument.bit();
            format!(
                "the meter provider keeps {kept} of the {readings} series of {}, and exports the others as one; add a \
                 view that sets `with_cardinality_limit` of the instruments `critical_process.*` to at least {readings}",
                instrument.name()
            )
        })
    }

    /// Returns the counts of the collection that this thread is in. The collection begins with the first callback,
    /// whichever it is, because a view can drop an instrument with its callback.
    fn snapshot(&self, instrument: Instrument) -> Arc<Snapshot> {
        let known = with_current(|current| {
            let own = current.as_mut().filter(|current| current.provider == self.provider)?;
            let is_read = own.read & instrument.bit() != 0;
            own.read |= instrument.bit();
            (!is_read).then(|| Arc::clone(&own.snapshot))
        });
        known.unwrap_or_else(|| self.begin(instrument))
    }

    fn begin(&self, instrument: Instrument) -> Arc<Snapshot> {
        self.collected.store(true, Ordering::Relaxed);
        let mut calls = lock(&self.calls);
        let (changes, is_alone) = (calls.changes, calls.are_own(calls.begun));
        calls.begun = changes;
        let has_one_thread = changes == 0;
        let is_delta = calls.marks.is_delta(has_one_thread);
        drop(calls);
        collect(is_delta);
        let snapshot = Arc::new(Snapshot::take(Core::global()));
        let begun = Current {
            provider: self.provider,
            read: instrument.bit(),
            snapshot: Arc::clone(&snapshot),
            changes,
            is_alone,
            bad: None,
        };
        with_current(|current| current.replace(begun).map(drop));
        snapshot
    }
}

/// Calls `f` with the collection of this thread. Returns `None` if the thread is ending.
fn with_current<R>(f: impl FnOnce(&mut Option<Current>) -> Option<R>) -> Option<R> {
    CURRENT.try_with(|current| f(&mut current.borrow_mut())).ok().flatten()
}

/// Registers the counters and gauges. Their callbacks must not panic, because a panic would end the reader's thread.
pub(super) fn observe(meter: &Meter, collected: &Arc<AtomicBool>) {
    let callbacks = Arc::new(Callbacks::new(Arc::clone(collected)));
    let counter = |instrument, description, read| counter(meter, &callbacks, instrument, description, read);
    // The marks of temporality need this counter before the up-down counter.
    counter(Instrument::Bad, "Runs that counted against the objective", Snapshot::bad);
    counter(Instrument::Valid, "Runs that counted towards the objective", Snapshot::valid);
    counter(Instrument::Errors, "Process runs that failed or panicked, by error type", Snapshot::errors);
    counter(Instrument::Runs, "Process runs that ended, by outcome", Snapshot::runs);
    counter(Instrument::Started, "Process runs that started", Snapshot::started);
    let own = Arc::clone(&callbacks);
    meter
        .i64_observable_up_down_counter(Instrument::Active.name())
        .with_unit("{run}")
        .with_description("Process runs in flight")
        .with_callback(move |observer| {
            own.call(Instrument::Active, Snapshot::active, &|runs, attributes| {
                observer.observe(runs as i64, attributes);
            });
        })
        .build();
    meter
        .u64_observable_gauge(Instrument::Overdue.name())
        .with_unit("{run}")
        .with_description("Process runs in flight that are past their SLA")
        .with_callback(move |observer| {
            callbacks.call(Instrument::Overdue, Snapshot::overdue, &|runs, attributes| {
                observer.observe(runs, attributes);
            });
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

/// Registers a counter of runs, whose value `read` reads from the counts.
fn counter(
    meter: &Meter,
    callbacks: &Arc<Callbacks>,
    instrument: Instrument,
    description: &'static str,
    read: fn(&Snapshot, Reading<'_>),
) {
    let callbacks = Arc::clone(callbacks);
    meter
        .u64_observable_counter(instrument.name())
        .with_unit("{run}")
        .with_description(description)
        .with_callback(move |observer| {
            callbacks.call(instrument, read, &|runs, attributes| observer.observe(runs, attributes));
        })
        .build();
}
