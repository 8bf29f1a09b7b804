//! The open span of a run, and the callsite of a unit, which describes all spans of the unit to `tracing`. A run
//! enters its span, adds values to it and closes it once. `observe::span` creates spans and callsites and chooses
//! their fields; these choices do not belong here.

#[cfg(feature = "metrics")]
use std::cell::Cell;
use std::mem::ManuallyDrop;
#[cfg(feature = "metrics")]
use std::ptr::null;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tracing::callsite::{self, Callsite};
use tracing::dispatcher::{self, Dispatch};
use tracing::field::{Field, Value as Recorded};
use tracing::metadata::Metadata;
use tracing::span::{Id, Record};
use tracing::subscriber::Interest;

use super::context::Value;
use crate::base::destination::calls::Destination;
use crate::base::destination::{caught, release};
use crate::base::visitors::Visitors;

/// The names and values of constant attributes. They exist until the program ends.
#[cfg(feature = "metrics")]
pub(crate) type Attributes = &'static [(&'static str, &'static str)];

/// The callsite of the spans of a unit, with their fields. It is created at run time.
#[derive(Debug)]
pub(crate) struct SpanSite {
    pub(crate) metadata: &'static Metadata<'static>,
    pub(crate) callsite: &'static RuntimeCallsite,
    /// The fields, in this order: the constant fields, which are the same in every span of the unit; the fields that
    /// are recorded at the end of a run; the context fields.
    pub(crate) fields: Vec<Field>,
    /// The values of the constant fields. Empty if the toolkit's own tracer (`observe::tracer`) sets them as
    /// attributes instead.
    pub(crate) constants: Vec<&'static str>,
    /// The names and values of the constant fields, if the toolkit's own tracer sets them as attributes; otherwise
    /// `None`.
    #[cfg(feature = "metrics")]
    pub(crate) described: Option<Attributes>,
    /// The index of the first field that is recorded at the end of a run.
    pub(crate) ends: usize,
    /// The index of the first context field.
    pub(crate) context: usize,
    /// The context names that the run may record itself after it has started (`later(…)`).
    pub(crate) later: Vec<&'static str>,
}

/// The callsite that is registered with `tracing`.
pub(crate) struct RuntimeCallsite {
    pub(crate) metadata: OnceLock<Metadata<'static>>,
    pub(crate) interest: AtomicU8,
    is_registered: AtomicBool,
}

impl std::fmt::Debug for RuntimeCallsite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuntimeCallsite").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

const NEVER: u8 = 0;
const SOMETIMES: u8 = 1;
const ALWAYS: u8 = 2;

impl Callsite for RuntimeCallsite {
    fn set_interest(&self, interest: Interest) {
        let interest = match () {
            () if interest.is_never() => NEVER,
            () if interest.is_always() => ALWAYS,
            () => SOMETIMES,
        };
        self.interest.store(interest, Ordering::Relaxed);
    }

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata.get().expect("the metadata is set before the callsite is registered")
    }
}

impl RuntimeCallsite {
    /// Creates a callsite that is not registered yet.
    pub(crate) fn new() -> RuntimeCallsite {
        RuntimeCallsite {
            metadata: OnceLock::new(),
            interest: AtomicU8::new(SOMETIMES),
            is_registered: AtomicBool::new(false),
        }
    }

    /// Registers the callsite with `tracing` at the first call.
    pub(crate) fn register(&'static self) {
        if !self.is_registered.swap(true, Ordering::Relaxed) {
            callsite::register(self);
        }
    }
}

impl SpanSite {
    /// Returns whether the subscriber of this thread wants the spans of the unit.
    pub(crate) fn is_enabled(&self) -> bool {
        match self.callsite.interest.load(Ordering::Relaxed) {
            NEVER => false,
            ALWAYS => true,
            _ => dispatcher::get_default(|dispatch| dispatch.enabled(self.metadata)),
        }
    }

    /// Returns the index of the field for a context name; `None` if the span has no such field. Looks first at the
    /// index `guess`, which is mostly right.
    pub(crate) fn place(&self, name: &str, guess: usize) -> Option<usize> {
        if self.fields.get(guess).is_some_and(|known| known.name() == name) {
            return Some(guess);
        }
        let place = self.fields[self.context..].iter().position(|known| known.name() == name)?;
        Some(self.context + place)
    }
}

/// Returns a context value as the value of a field.
pub(crate) fn as_recorded(value: &Value) -> &dyn Recorded {
    match value {
        Value::Bool(value) => value,
        Value::I64(value) => value,
        Value::U64(value) => value,
        Value::F64(value) => value,
        Value::Text(value) => value,
    }
}

#[cfg(feature = "metrics")]
thread_local! {
    /// The name of the span that this thread is closing because its run ends; null at any other time.
    static CLOSED_BY_RUN: Cell<*const u8> = const { Cell::new(null()) };
}

/// Returns whether the span with this name is being closed on this thread because its run ends. Otherwise the run may
/// have ended earlier: a driver or a task can hold a clone of the span, and the span is closed with the last clone.
#[cfg(feature = "metrics")]
pub(crate) fn is_closed_by_run(name: &'static str) -> bool {
    std::ptr::eq(CLOSED_BY_RUN.get(), name.as_ptr())
}

/// An open span. Code that is not the run itself enters the span as a visitor, for example a carrier on another
/// thread. Closing does not wait for visitors. If there are visitors, the last visitor to leave closes the span.
#[derive(Debug)]
pub(crate) struct SpanHandle {
    /// Dropped by `drop`, because the last owner of a subscriber drops it, and its `Drop` may panic or hang.
    dispatch: ManuallyDrop<Dispatch>,
    id: Id,
    /// Counts the other threads that are inside the span, such as threads of a carrier. The run itself is not counted.
    visitors: Visitors,
}

impl SpanHandle {
    /// Creates the handle of a span that is open.
    pub(crate) fn new(dispatch: Dispatch, id: Id) -> SpanHandle {
        SpanHandle { dispatch: ManuallyDrop::new(dispatch), id, visitors: Visitors::new() }
    }

    /// Calls the subscriber. A run that the subscriber starts during the call is not reported.
    #[inline]
    fn call(&self, f: impl FnOnce(&Dispatch, &Id)) {
        caught(Destination::Subscriber, || f(&self.dispatch, &self.id));
    }

    /// Enters the span on behalf of the run itself. The run is not counted as a visitor, because the span cannot be
    /// closed before the run ends.
    #[inline]
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.call(Dispatch::enter);
        Entered(self)
    }

    /// Enters the span as a visitor. Returns `None` if the run has already ended. If the run ends during the visit,
    /// the span stays open at least until the visit ends.
    pub(crate) fn visit(&self) -> Option<Visit<'_>> {
        if !self.visitors.enter() {
            return None;
        }
        self.call(Dispatch::enter);
        Some(Visit(self))
    }

    /// Returns the subscriber that created the span, and the span's id in this subscriber.
    pub(crate) fn recorded(&self) -> (&Dispatch, &Id) {
        (&self.dispatch, &self.id)
    }

    /// Closes the span when its run has ended. If there are visitors, the last visitor to leave closes the span
    /// instead. `name` is that of the run's unit.
    pub(crate) fn close(&self, name: &'static str) {
        if !self.visitors.end() {
            return;
        }
        #[cfg(feature = "metrics")]
        CLOSED_BY_RUN.set(name.as_ptr());
        self.try_close();
        #[cfg(feature = "metrics")]
        CLOSED_BY_RUN.set(null());
        let _ = name;
    }

    fn try_close(&self) {
        self.call(|dispatch, id| {
            dispatch.try_close(id.clone());
        });
    }

    /// Records a context value in the span. Does nothing if the span has no field for the name.
    pub(crate) fn record_value(&self, site: &SpanSite, name: &str, value: &Value) {
        if let Some(place) = site.place(name, site.context) {
            self.record(site, [(&site.fields[place], Some(as_recorded(value)))]);
        }
    }

    /// Records the values of fields in the span.
    pub(crate) fn record<const N: usize>(
        &self,
        site: &SpanSite,
        values: [(&Field, Option<&dyn Recorded>); N],
    ) {
        let values = site.metadata.fields().value_set(&values);
        self.call(|dispatch, id| dispatch.record(id, &Record::new(&values)));
    }
}

impl Drop for SpanHandle {
    fn drop(&mut self) {
        // SAFETY: `dispatch` is not used afterwards.
        release(Destination::Subscriber, unsafe { ManuallyDrop::take(&mut self.dispatch) });
    }
}

/// A guard that keeps the run inside its span until the guard is dropped.
#[derive(Debug)]
pub(crate) struct Entered<'a>(&'a SpanHandle);

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.call(Dispatch::exit);
    }
}

/// A guard that keeps a visitor inside the span until the guard is dropped.
#[derive(Debug)]
pub(crate) struct Visit<'a>(&'a SpanHandle);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.call(Dispatch::exit);
        if self.0.visitors.leave() {
            self.0.try_close();
        }
    }
}
