//! What an observed run or scope shares with its children, the watchdog and carriers. A run that no destination wants
//! has none of this and allocates nothing.

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

/// What the destinations opened for a run.
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
    /// Inherited values, and over them those taken at entry.
    pub(crate) values: Values,
    /// Values that `record!` added.
    later: Mutex<NamedValues>,
    /// Weak, so that a chain of tasks that each spawn the next does not keep all of its past.
    pub(crate) parent: Weak<Observed>,
    #[cfg(feature = "tracing")]
    pub(crate) span: Option<SpanHandle>,
    #[cfg(feature = "sentry")]
    pub(crate) hub: HubLink,
    /// What a test breaks of it.
    pub(crate) boundary: Boundary,
}

impl Observed {
    /// Creates a run inside `outer`, with what was opened for it, and with these values and no others.
    #[inline(always)]
    pub(crate) fn run(
        unit: &'static Unit,
        outer: Option<&Arc<Observed>>,
        domain: DomainRef,
        values: Values,
        opened: Opened,
    ) -> Arc<Observed> {
        let mut observed = room();
        // Field by field: to move a run as a whole costs more than to make it. It has no other owner, so this succeeds.
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

    /// A scope inside of `outer`, which only sets values.
    pub(crate) fn scope(outer: Option<&Arc<Observed>>, own: NamedValues) -> Observed {
        let domain = outer.map_or(DomainRef::Global, |outer| outer.domain.clone());
        Observed::inside(outer, domain, own)
    }

    /// Creates the outermost scope of a domain, with the values that all of its runs inherit.
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

    /// Returns whether it is the outermost scope of a domain of its own.
    pub(crate) fn is_border(&self) -> bool {
        self.unit.is_none() && self.domain.own().is_some() && self.parent.ptr_eq(&Weak::new())
    }

    /// Returns the ticks that a test added to the time that it takes.
    pub(crate) fn added(&self) -> u64 {
        self.boundary.added()
    }

    /// The values of entry, and over them those recorded later.
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

    /// Whether the run itself has said it since it began.
    #[cfg(feature = "tracing")]
    pub(crate) fn has_recorded(&self, name: &str) -> bool {
        let later = lock(&self.later);
        later.iter().any(|(recorded, _)| *recorded == name)
    }

    /// This run, or the one around this scope, while somebody still holds it.
    pub(crate) fn run_around(self: &Arc<Self>) -> Option<Arc<Observed>> {
        let mut run = Arc::clone(self);
        while run.unit.is_none() {
            run = run.parent.upgrade()?;
        }
        Some(run)
    }

    /// Enters this run's span, while it is open.
    #[cfg(feature = "tracing")]
    pub(crate) fn visit_span(&self) -> Option<crate::run::span::Visit<'_>> {
        self.span.as_ref()?.visit()
    }

    #[cfg(not(feature = "tracing"))]
    pub(crate) fn visit_span(&self) -> Option<()> {
        None
    }

    /// The id of the OpenTelemetry trace that this is part of.
    #[cfg(feature = "metrics")]
    pub(crate) fn trace_id(&self) -> Option<String> {
        use opentelemetry::trace::TraceContextExt as _;
        let _span = self.visit_span();
        let context = opentelemetry::Context::current();
        let ids = context.span().span_context().clone();
        ids.is_valid().then(|| ids.trace_id().to_string())
    }

    /// Makes this scope's Sentry hub the thread's.
    #[cfg(feature = "sentry")]
    pub(crate) fn visit_hub(&self) -> Option<sentry_core::HubSwitchGuard> {
        self.hub.enter()
    }

    #[cfg(not(feature = "sentry"))]
    pub(crate) fn visit_hub(&self) -> Option<()> {
        None
    }

    /// Whether what happens here can be sent to Sentry.
    pub(crate) fn has_hub(&self) -> bool {
        #[cfg(feature = "sentry")]
        return self.hub.hub().is_some();
        #[cfg(not(feature = "sentry"))]
        false
    }

    /// The definition of the process, where this is a run of one (and not of a stage).
    #[cfg(feature = "sentry")]
    pub(crate) fn as_process(&self) -> Option<&'static ProcessDefinition> {
        match self.unit?.definition {
            Definition::Process(process) => Some(process),
            Definition::Stage(_) | Definition::Dependency(_) => None,
        }
    }

    /// The innermost run of a process around this one.
    #[cfg(feature = "sentry")]
    pub(crate) fn parent_process(&self) -> Option<Arc<Observed>> {
        let mut outer = self.parent.upgrade()?;
        while outer.as_process().is_none() {
            outer = outer.parent.upgrade()?;
        }
        Some(outer)
    }
}

/// What a run or scope inside of `outer` starts with.
pub(crate) fn inherited(outer: Option<&Arc<Observed>>) -> Values {
    outer.map(|outer| outer.values_now()).unwrap_or_default()
}

/// How many ids a thread takes at a time: taken one by one, they would be what all threads wait for.
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
    /// Memory for the next run of this thread: to get it and to give it back would be a good part of what a
    /// Sentry client adds to a run.
    static SPARE: Cell<Option<Arc<Observed>>> = const { Cell::new(None) };
}

/// Returns an empty run with no other owner.
fn room() -> Arc<Observed> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    spare.unwrap_or_else(|| Arc::new(Observed::inside(None, DomainRef::Global, Vec::new())))
}

/// The run has ended: what it held goes now, and its memory is kept for the next, unless somebody still has it.
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
