//! The counters and gauges as instruments, whose callbacks a reader of OpenTelemetry calls when it collects the metrics:
//! which calls belong to one collection, and what the meter provider keeps of the readings. Their values do not belong
//! here.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, StringValue};

use super::counters::{Reading, Snapshot};
use super::temporality::Marks;
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
    /// The bits of all instruments.
    const ALL: u8 = (1 << 7) - 1;

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
    /// The mark of a reading of [`Instrument::Bad`], if the provider has kept the reading.
    bad: Option<Arc<str>>,
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
    marks: Mutex<Marks>,
    /// The bits of the instruments of which the provider was seen to keep only some series.
    overflown: Mutex<u8>,
}

impl Callbacks {
    fn new(collected: Arc<AtomicBool>) -> Callbacks {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Callbacks {
            provider: NEXT.fetch_add(1, Ordering::Relaxed),
            collected,
            marks: Mutex::default(),
            overflown: Mutex::new(0),
        }
    }

    /// Reads an instrument for a callback, and passes each reading to `observe`.
    fn call(
        &self,
        instrument: Instrument,
        read: fn(&Snapshot, Reading<'_>),
        observe: &dyn Fn(u64, &[KeyValue]),
    ) {
        let snapshot = self.snapshot(instrument);
        let (mut first, mut readings, mut kept) = (None, 0, 0);
        read(&snapshot, &mut |runs, attributes| {
            // The id has a text of its own. The number of references to the text shows whether the provider keeps the
            // reading, or adds it to a series for all readings that exceed its limit.
            let mut attributes = attributes.to_vec();
            let mark: Arc<str> = attributes[0].value.as_str().into();
            attributes[0].value = StringValue::from(Arc::clone(&mark)).into();
            observe(runs, &attributes);
            drop(attributes);
            let is_kept = Arc::strong_count(&mark) > 1;
            (readings, kept) = (readings + 1, kept + usize::from(is_kept));
            if readings == 1 && is_kept {
                first = Some(mark);
            }
        });
        match instrument {
            Instrument::Bad => {
                with_current(|current| {
                    current.as_mut()?.bad = first;
                    Some(())
                });
            }
            Instrument::Active => {
                let bad = with_current(|current| current.as_mut()?.bad.take());
                lock(&self.marks).keep(bad.zip(first));
            }
            _ => {}
        }
        if kept > 0 && kept < readings {
            self.report_overflow(instrument, readings, kept);
        }
    }

    /// Returns the counts of the collection that this thread is in. The collection begins with the first callback,
    /// whichever it is, because a view can drop an instrument with its callback.
    fn snapshot(&self, instrument: Instrument) -> Arc<Snapshot> {
        let known = with_current(|current| {
            let own = current.as_mut().filter(|current| current.provider == self.provider);
            let own = own.filter(|current| current.read & instrument.bit() == 0)?;
            own.read |= instrument.bit();
            let snapshot = Arc::clone(&own.snapshot);
            if own.read == Instrument::ALL {
                *current = None;
            }
            Some(snapshot)
        });
        known.unwrap_or_else(|| self.begin(instrument))
    }

    fn begin(&self, instrument: Instrument) -> Arc<Snapshot> {
        self.collected.store(true, Ordering::Relaxed);
        collect(lock(&self.marks).is_delta());
        let snapshot = Arc::new(Snapshot::take(Core::global()));
        let (provider, read) = (self.provider, instrument.bit());
        let begun = Current { provider, read, snapshot: Arc::clone(&snapshot), bad: None };
        with_current(|current| current.replace(begun).map(drop));
        snapshot
    }

    fn report_overflow(&self, instrument: Instrument, readings: usize, kept: usize) {
        let mut overflown = lock(&self.overflown);
        if *overflown & instrument.bit() == 0 {
            *overflown |= instrument.bit();
            drop(overflown);
            notices::once(format!(
                "the meter provider keeps {kept} of the {readings} series of {}, and exports the others as one; add a \
                 view that sets `with_cardinality_limit` of the instruments `critical_process.*` to at least {readings}",
                instrument.name()
            ));
        }
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
