//! The runs and scopes that a thread is in. Each of them has a frame on the thread's own stack, and the frames form a
//! linked list. A frame exists only during one poll or call, so it cannot leak into another task. State that outlives
//! a poll does not belong here.

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

/// A guard that makes the outer frame the current frame again when the guard is dropped, also if `f` panics. The
/// guard borrows the inner frame, so the inner frame cannot move.
struct Leave<'a>(&'a Frame);

impl Drop for Leave<'_> {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0.outer);
    }
}

impl Frame {
    /// Returns whether the domain of a health check or a test begins at this frame. The frames outside this frame
    /// belong to another domain and do not affect the runs inside this frame.
    fn is_border(&self) -> bool {
        // SAFETY: as in `nearest`.
        own::IS_POSSIBLE && unsafe { self.observed.as_ref() }.is_some_and(|observed| observed.is_border())
    }
}

/// Returns the frames of this thread in its current domain, the innermost first.
fn frames<'a>() -> impl Iterator<Item = &'a Frame> {
    let mut next = CURRENT.get();
    std::iter::from_fn(move || {
        // SAFETY: `within` keeps the frame on the stack until `Leave` has made the outer frame the current one. The
        // callers in this file use the frame only before they return to the code inside `within`.
        let frame = unsafe { next.as_ref() }?;
        next = if frame.is_border() { null() } else { frame.outer };
        Some(frame)
    })
}

/// Returns the innermost scope or observed run of this thread in its current domain; `None` if there is none.
pub(crate) fn nearest() -> Option<Arc<Observed>> {
    if CURRENT.get().is_null() {
        return None;
    }
    // SAFETY: the pointer is null, or `within` made it from a reference that outlives the frame.
    frames().find_map(|frame| unsafe { frame.observed.as_ref() }).cloned()
}

/// Returns the domain that the thread is in. Outside all runs and scopes, this is the global domain.
pub(crate) fn current_domain() -> DomainRef {
    DomainRef::of(nearest().as_deref())
}

/// Returns the unit of the innermost run; `None` outside all runs.
pub(crate) fn innermost_unit() -> Option<&'static Unit> {
    frames().find_map(|frame| frame.unit)
}

/// Returns the process of the innermost run; `None` if the thread is in no run, or if this run belongs to no process.
pub(crate) fn enclosing_process() -> Option<&'static ProcessDefinition> {
    innermost_unit()?.process
}

/// Returns the innermost run of the function that `unit` represents; `None` if the thread is in no such run, or if
/// this run is not observed.
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
