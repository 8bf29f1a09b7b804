//! The data of observed runs and scopes. A run is observed if a destination wants it, or if it is in the domain of a
//! health check or a test. The run shares this data with the runs inside it, the watchdog and carriers. Any other run
//! has no such data and allocates nothing. Data that every run needs must therefore not go in here.

use std::cell::Cell;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::DomainRef;
#[cfg(any(feature = "tracing", feature = "sentry"))]
use crate::base::destination::calls::Destination;
#[cfg(feature = "sentry")]
use crate::base::destination::release;
#[cfg(feature = "tracing")]
use crate::base::destination::unharmed;
use crate::base::lock::{lock, unpoisoned};
#[cfg(feature = "sentry")]
use crate::catalog::definition::{Definition, ProcessDefinition};
use crate::run::context::{NamedValues, Value, Values};
#[cfg(feature = "sentry")]
use crate::run::hub::HubLink;
use crate::run::inject::Boundary;
#[cfg(feature = "tracing")]
use crate::run::span::SpanHandle;
use crate::run::unit::Unit;

/// The span and the hub that destinations opened for a run.
#[derive(Debug)]
pub(crate) struct Opened {
    #[cfg(feature = "tracing")]
    pub(crate) span: Option<SpanHandle>,
    #[cfg(feature = "sentry")]
    pub(crate) hub: HubLink,
}

/// An observed run, or a scope.
#[derive(Debug)]
pub(crate) struct Observed {
    /// The id, which is unique in this program; 0 for a scope.
    pub(crate) id: u64,
    /// The unit of the run; `None` for a scope.
    pub(crate) unit: Option<&'static Unit>,
    pub(crate) domain: DomainRef,
    /// The inherited values and the values taken at entry. A value taken at entry replaces an inherited value of the
    /// same name.
    pub(crate) values: Values,
    /// Values that `record!` added.
    later: Mutex<NamedValues>,
    /// The run or scope around this one. The reference is weak, because a chain of tasks that each spawn the next
    /// would otherwise keep all earlier runs in memory.
    pub(crate) parent: Weak<Observed>,
    /// The innermost observed run around a scope; empty for a run.
    run_around: Weak<Observed>,
    #[cfg(feature = "tracing")]
    pub(crate) span: Option<SpanHandle>,
    #[cfg(feature = "sentry")]
    pub(crate) hub: HubLink,
    /// The fault that a test injects, and the ticks that the test adds to the duration of the run.
    pub(crate) boundary: Boundary,
}

impl Observed {
    /// Creates the data of a run inside `outer`. `values` must already include the values that the run inherits.
    #[inline(always)]
    pub(crate) fn run(
        unit: &'static Unit,
        outer: Option<&Arc<Observed>>,
        domain: DomainRef,
        values: Values,
        opened: Opened,
    ) -> Arc<Observed> {
        let mut observed = room();
        // The fields are set one by one, because moving a whole `Observed` costs more than filling it. `room` has no
        // other owner, so `get_mut` always succeeds.
        if let Some(room) = Arc::get_mut(&mut observed) {
            room.id = next_id();
            room.unit = Some(unit);
            room.domain = domain;
            room.values = values;
            room.parent = outer.map(Arc::downgrade).unwrap_or_default();
            #[cfg(feature = "tracing")]
            {
                room.span = opened.span;
            }
            #[cfg(feature = "sentry")]
            {
                room.hub = opened.hub;
            }
        }
        let _ = opened;
        observed
    }

    /// Creates a scope inside `outer`. The scope inherits the values of `outer` and adds its own.
    pub(crate) fn scope(outer: Option<&Arc<Observed>>, own: NamedValues) -> Observed {
        let domain = outer.map_or(DomainRef::Global, |outer| outer.domain.clone());
        Observed::inside(outer, domain, own)
    }

    /// Creates the outermost scope of a domain. All runs of the domain inherit `values`.
    pub(super) fn outermost(domain: DomainRef, values: NamedValues) -> Observed {
        Observed::inside(None, domain, values)
    }

    fn inside(outer: Option<&Arc<Observed>>, domain: DomainRef, own: NamedValues) -> Observed {
        Observed {
            id: 0,
            unit: None,
            domain,
            values: inherited(outer).with(own),
            later: Mutex::default(),
            parent: outer.map(Arc::downgrade).unwrap_or_default(),
            run_around: outer.map(Observed::weak_run).unwrap_or_default(),
            #[cfg(feature = "tracing")]
            span: None,
            #[cfg(feature = "sentry")]
            hub: HubLink::inside(outer.map(|outer| &outer.hub)),
            boundary: Boundary::default(),
        }
    }

    /// Returns whether this is the outermost scope in the domain of a health check or a test.
    pub(crate) fn is_border(&self) -> bool {
        self.unit.is_none() && self.domain.own().is_some() && self.parent.ptr_eq(&Weak::new())
    }

    /// Returns the ticks that a test added to the duration of the run.
    pub(crate) fn added(&self) -> u64 {
        self.boundary.added()
    }

    /// Returns the values at entry and the values recorded later. A later value replaces a value of the same name.
    pub(crate) fn values_now(&self) -> Values {
        self.values.clone().with(lock(&self.later).clone())
    }

    /// Records a value that becomes known after the run has begun. Also records the value in the span of the run, if
    /// there is one. The value replaces an earlier value of the same name.
    pub(crate) fn record(&self, name: &'static str, value: Value) {
        #[cfg(feature = "tracing")]
        if let (Some(span), Some(site)) = (&self.span, self.unit.and_then(|unit| unit.span.get())) {
            unharmed(Destination::Subscriber, || span.record_value(site, name, &value));
        }
        let mut later = lock(&self.later);
        later.retain(|(other, _)| *other != name);
        later.push((name, value));
    }

    /// Returns whether the run has recorded a value with this name since it began.
    #[cfg(feature = "tracing")]
    pub(crate) fn has_recorded(&self, name: &str) -> bool {
        let later = lock(&self.later);
        later.iter().any(|(recorded, _)| *recorded == name)
    }

    /// Returns this run. For a scope, returns the innermost observed run around the scope; `None` if no observed run
    /// is around the scope, or if the data of the outer run no longer exists.
    pub(crate) fn run_around(self: &Arc<Self>) -> Option<Arc<Observed>> {
        if self.unit.is_some() { Some(Arc::clone(self)) } else { self.run_around.upgrade() }
    }

    /// Returns a reference to this run, or for a scope to the innermost observed run around the scope.
    fn weak_run(self: &Arc<Self>) -> Weak<Observed> {
        if self.unit.is_some() { Arc::downgrade(self) } else { Weak::clone(&self.run_around) }
    }

    /// Enters this run's span as a visitor. Returns `None` if the run has no span or has ended.
    #[cfg(feature = "tracing")]
    pub(crate) fn visit_span(&self) -> Option<crate::run::span::Visit<'_>> {
        self.span.as_ref()?.visit()
    }

    #[cfg(not(feature = "tracing"))]
    pub(crate) fn visit_span(&self) -> Option<()> {
        None
    }

    /// Returns the id of the OpenTelemetry trace that this run is part of; `None` if the run is part of no trace.
    #[cfg(feature = "metrics")]
    pub(crate) fn trace_id(&self) -> Option<String> {
        let _span = self.visit_span();
        Some(crate::run::trace::current_span()?.trace_id().to_string())
    }

    /// Makes the Sentry hub of this run or scope the thread's current hub until the guard is dropped. Returns `None`
    /// if the run or scope has no hub.
    #[cfg(feature = "sentry")]
    pub(crate) fn visit_hub(&self) -> Option<sentry_core::HubSwitchGuard> {
        self.hub.enter()
    }

    #[cfg(not(feature = "sentry"))]
    pub(crate) fn visit_hub(&self) -> Option<()> {
        None
    }

    /// Returns whether events of this run or scope can be sent to Sentry.
    pub(crate) fn has_hub(&self) -> bool {
        #[cfg(feature = "sentry")]
        return self.hub.hub().is_some();
        #[cfg(not(feature = "sentry"))]
        false
    }

    /// Returns the process if this is a run of a process; `None` for a stage, a call to a dependency or a scope.
    #[cfg(feature = "sentry")]
    pub(crate) fn as_process(&self) -> Option<&'static ProcessDefinition> {
        match self.unit?.definition {
            Definition::Process(process) => Some(process),
            Definition::Stage(_) | Definition::Dependency(_) => None,
        }
    }

    /// Returns the innermost run of a process around this run or scope; `None` if there is none.
    #[cfg(feature = "sentry")]
    pub(crate) fn parent_process(&self) -> Option<Arc<Observed>> {
        let mut outer = self.parent.upgrade()?;
        while outer.as_process().is_none() {
            outer = outer.parent.upgrade()?;
        }
        Some(outer)
    }
}

#[cfg(feature = "sentry")]
impl Drop for Observed {
    fn drop(&mut self) {
        // This may be the last owner of a hub, and the `Drop` of its client's transport may panic or hang.
        release(Destination::Sentry, take(&mut self.hub));
    }
}

/// Returns the values that a run or scope inside `outer` inherits. If `outer` is `None`, there are no such values.
pub(crate) fn inherited(outer: Option<&Arc<Observed>>) -> Values {
    outer.map(|outer| outer.values_now()).unwrap_or_default()
}

/// The number of ids that a thread takes at a time. If threads took single ids, they would contend for the counter.
const IDS: u64 = 1024;

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static OWN: Cell<u64> = const { Cell::new(0) };
    }
    let id = match OWN.get() {
        used_up if used_up % IDS == 0 => NEXT.fetch_add(1, Ordering::Relaxed) * IDS,
        id => id,
    };
    OWN.set(id + 1);
    id
}

thread_local! {
    /// Memory for the next run of this thread. Allocating and freeing the memory of each run would be a large part of
    /// the cost that a Sentry client adds to a run.
    static SPARE: Cell<Option<Arc<Observed>>> = const { Cell::new(None) };
}

/// Returns an empty run with no other owner. If the thread has spare memory, the run uses this memory.
fn room() -> Arc<Observed> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    spare.unwrap_or_else(|| Arc::new(Observed::inside(None, DomainRef::Global, Vec::new())))
}

/// Drops the contents of a run that has ended, and keeps its memory for the thread's next run. If the run has another
/// owner, drops only this reference.
pub(crate) fn let_go(mut observed: Arc<Observed>) {
    let Some(room) = Arc::get_mut(&mut observed) else { return };
    take(&mut room.values).let_go();
    room.unit = None;
    room.domain = DomainRef::Global;
    unpoisoned(room.later.get_mut()).clear();
    room.parent = Weak::new();
    #[cfg(feature = "tracing")]
    {
        room.span = None;
    }
    #[cfg(feature = "sentry")]
    {
        release(Destination::Sentry, take(&mut room.hub));
    }
    room.boundary.clear();
    let _ = SPARE.try_with(|spare| spare.set(Some(observed)));
}
