//! The data that an observed run or scope shares with its children, the watchdog and carriers. A run that no
//! destination wants has no such data and allocates nothing, so data that every run needs must not go in here.

use std::cell::Cell;
use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::DomainRef;
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

/// A run or scope that a destination observes.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Unique in this program; 0 for a scope.
    pub(crate) id: u64,
    /// `None` for a scope.
    pub(crate) unit: Option<&'static Unit>,
    pub(crate) domain: DomainRef,
    /// Inherited values and those taken at entry, which replace inherited ones of the same name.
    pub(crate) values: Values,
    /// Values that `record!` added.
    later: Mutex<NamedValues>,
    /// The run or scope around it. The reference is weak, so that a chain of tasks that each spawn the next does not
    /// keep all earlier ones in memory.
    pub(crate) parent: Weak<Observed>,
    #[cfg(feature = "tracing")]
    pub(crate) span: Option<SpanHandle>,
    #[cfg(feature = "sentry")]
    pub(crate) hub: HubLink,
    /// The fault that a test injects.
    pub(crate) boundary: Boundary,
}

impl Observed {
    /// Creates a run inside `outer`. It has exactly these values: those of `outer` are not added.
    #[inline(always)]
    pub(crate) fn run(
        unit: &'static Unit,
        outer: Option<&Arc<Observed>>,
        domain: DomainRef,
        values: Values,
        opened: Opened,
    ) -> Arc<Observed> {
        let mut observed = room();
        // Field by field, because moving a whole run costs more than making it. The room has no other owner, so this
        // always succeeds.
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

    /// Creates a scope inside `outer`, which only sets values.
    pub(crate) fn scope(outer: Option<&Arc<Observed>>, own: NamedValues) -> Observed {
        let domain = outer.map_or(DomainRef::Global, |outer| outer.domain.clone());
        Observed::inside(outer, domain, own)
    }

    /// Creates the outermost scope of a domain, with the values that all its runs inherit.
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
            #[cfg(feature = "tracing")]
            span: None,
            #[cfg(feature = "sentry")]
            hub: HubLink::inside(outer.map(|outer| &outer.hub)),
            boundary: Boundary::default(),
        }
    }

    /// Returns whether this is the outermost scope of a domain of its own.
    pub(crate) fn is_border(&self) -> bool {
        self.unit.is_none() && self.domain.own().is_some() && self.parent.ptr_eq(&Weak::new())
    }

    /// Returns the ticks that a test added to the time of the run.
    pub(crate) fn added(&self) -> u64 {
        self.boundary.added()
    }

    /// Returns the values at entry and those recorded later, which replace the former.
    pub(crate) fn values_now(&self) -> Values {
        self.values.clone().with(lock(&self.later).clone())
    }

    /// Adds a value while the run is in flight.
    pub(crate) fn record(&self, name: &'static str, value: Value) {
        #[cfg(feature = "tracing")]
        if let (Some(span), Some(site)) = (&self.span, self.unit.and_then(|unit| unit.span.get())) {
            span.record_value(site, name, &value);
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

    /// Returns this run, or the run around this scope if it still exists.
    pub(crate) fn run_around(self: &Arc<Self>) -> Option<Arc<Observed>> {
        let mut run = Arc::clone(self);
        while run.unit.is_none() {
            run = run.parent.upgrade()?;
        }
        Some(run)
    }

    /// Enters this run's span, if it is open.
    #[cfg(feature = "tracing")]
    pub(crate) fn visit_span(&self) -> Option<crate::run::span::Visit<'_>> {
        self.span.as_ref()?.visit()
    }

    #[cfg(not(feature = "tracing"))]
    pub(crate) fn visit_span(&self) -> Option<()> {
        None
    }

    /// Returns the id of the OpenTelemetry trace that this run is part of.
    #[cfg(feature = "metrics")]
    pub(crate) fn trace_id(&self) -> Option<String> {
        use opentelemetry::trace::TraceContextExt as _;
        let _span = self.visit_span();
        let context = opentelemetry::Context::current();
        let ids = context.span().span_context().clone();
        ids.is_valid().then(|| ids.trace_id().to_string())
    }

    /// Makes this scope's Sentry hub the thread's current hub.
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

    /// Returns the definition of the process, if this is a run of one and not of a stage or a call.
    #[cfg(feature = "sentry")]
    pub(crate) fn as_process(&self) -> Option<&'static ProcessDefinition> {
        match self.unit?.definition {
            Definition::Process(process) => Some(process),
            Definition::Stage(_) | Definition::Dependency(_) => None,
        }
    }

    /// Returns the innermost run of a process around this one.
    #[cfg(feature = "sentry")]
    pub(crate) fn parent_process(&self) -> Option<Arc<Observed>> {
        let mut outer = self.parent.upgrade()?;
        while outer.as_process().is_none() {
            outer = outer.parent.upgrade()?;
        }
        Some(outer)
    }
}

/// Returns the values with which a run or scope inside `outer` starts.
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
    /// Memory for the next run of this thread. Allocating and freeing it would be a large part of the cost that a
    /// Sentry client adds to a run.
    static SPARE: Cell<Option<Arc<Observed>>> = const { Cell::new(None) };
}

/// Returns an empty run with no other owner.
fn room() -> Arc<Observed> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    spare.unwrap_or_else(|| Arc::new(Observed::inside(None, DomainRef::Global, Vec::new())))
}

/// Drops the contents of a run that has ended, and keeps its memory for the thread's next run. Does nothing if the run
/// has another owner.
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
        room.hub = HubLink::default();
    }
    room.boundary.clear();
    let _ = SPARE.try_with(|spare| spare.set(Some(observed)));
}
