//! The run that a thread is in: a list of frames on the thread's own stack, each for one poll or call. No frame
//! outlives its poll, so none can leak into another task. State that outlives a poll must not go in here.

use std::cell::Cell;
use std::ptr::null;
use std::sync::Arc;

use super::domain::DomainRef;
use super::domain::observed::Observed;
use super::domain::own;
use super::unit::Unit;
use crate::catalog::definition::ProcessDefinition;

thread_local! {
    static CURRENT: Cell<*const Frame> = const { Cell::new(null()) };
}

/// One run or scope that the thread is in.
#[derive(Debug)]
pub(crate) struct Frame {
    unit: Option<&'static Unit>,
    observed: *const Arc<Observed>,
    outer: *const Frame,
}

/// Calls `f` inside a run or scope.
#[inline]
pub(crate) fn within<R>(
    unit: Option<&'static Unit>,
    observed: Option<&Arc<Observed>>,
    f: impl FnOnce() -> R,
) -> R {
    let observed = observed.map_or(null(), std::ptr::from_ref);
    let frame = Frame { unit, observed, outer: CURRENT.get() };
    CURRENT.set(&raw const frame);
    let _leave = Leave(&frame);
    f()
}

/// Restores the outer frame, also if `f` panics. It borrows the frame, so that the frame cannot move.
struct Leave<'a>(&'a Frame);

impl Drop for Leave<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0.outer);
    }
}

impl Frame {
    /// Returns whether a domain of its own begins at this frame, so that outer frames do not concern the runs in it.
    fn is_border(&self) -> bool {
        // SAFETY: as in `nearest`.
        own::IS_POSSIBLE && unsafe { self.observed.as_ref() }.is_some_and(|observed| observed.is_border())
    }
}

/// Returns the frames of this thread, the innermost first, up to the border of its domain.
fn frames<'a>() -> impl Iterator<Item = &'a Frame> {
    let mut next = CURRENT.get();
    std::iter::from_fn(move || {
        // SAFETY: `within` keeps the frame on the stack until `Leave` has made its outer frame the current
        // one, and callers here use it up before they return to the code inside `within`.
        let frame = unsafe { next.as_ref() }?;
        next = if frame.is_border() { null() } else { frame.outer };
        Some(frame)
    })
}

/// Returns the innermost run or scope that a destination observes.
pub(crate) fn nearest() -> Option<Arc<Observed>> {
    if CURRENT.get().is_null() {
        return None;
    }
    // SAFETY: `within` was given a reference that outlives its frame.
    frames().find_map(|frame| unsafe { frame.observed.as_ref() }).cloned()
}

/// Returns the domain that the thread is in.
pub(crate) fn current_domain() -> DomainRef {
    DomainRef::of(nearest().as_deref())
}

/// Returns the unit of the innermost run.
pub(crate) fn innermost_unit() -> Option<&'static Unit> {
    frames().find_map(|frame| frame.unit)
}

/// Returns the process of the innermost run.
pub(crate) fn enclosing_process() -> Option<&'static ProcessDefinition> {
    innermost_unit()?.process
}

/// Returns the innermost run of the function that `unit` represents, if a destination observes it.
pub(crate) fn run_of(unit: &'static Unit) -> Option<Arc<Observed>> {
    let frame = frames().find(|frame| frame.unit.is_some_and(|running| running.is_same_site(unit)))?;
    // SAFETY: as in `nearest`.
    unsafe { frame.observed.as_ref() }.cloned()
}

/// Returns whether the thread is inside this run.
pub(crate) fn is_inside(run: &Arc<Observed>) -> bool {
    // SAFETY: as in `nearest`.
    let mut all = frames().filter_map(|frame| unsafe { frame.observed.as_ref() });
    all.any(|observed| Arc::ptr_eq(observed, run))
}

/// Returns whether the thread is outside all runs and scopes.
#[inline]
pub(crate) fn is_outermost() -> bool {
    CURRENT.get().is_null()
}
