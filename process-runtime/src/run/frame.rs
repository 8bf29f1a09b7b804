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

/// One run or scope that the thread is in. Each frame knows the next frames outwards that look-ups need, because a
/// recursion may have any number of frames.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The unit of the run; `None` for a scope.
    unit: Option<&'static Unit>,
    observed: *const Arc<Observed>,
    outer: *const Frame,
    /// The innermost run around this frame in its domain.
    run_around: *const Frame,
    /// The innermost observed run around this frame in its domain.
    observed_run_around: *const Frame,
    /// The innermost scope or observed run of this domain: that of this frame, or of a frame around it.
    nearest: *const Arc<Observed>,
}

/// Calls `f` inside a run or scope.
#[inline]
pub(crate) fn within<R>(
    unit: Option<&'static Unit>,
    observed: Option<&Arc<Observed>>,
    f: impl FnOnce() -> R,
) -> R {
    let outer = CURRENT.get();
    let own = observed.map_or(null(), std::ptr::from_ref);
    let mut frame =
        Frame { unit, observed: own, outer, run_around: null(), observed_run_around: null(), nearest: own };
    // At a border, the domain of a health check or a test begins. The frames outside of it belong to another domain and
    // do not affect the runs inside of it. A border is a scope.
    let is_border = || own::IS_POSSIBLE && unit.is_none() && observed.is_some_and(|scope| scope.is_border());
    // SAFETY: as in `current`.
    if let Some(around) = unsafe { outer.as_ref() }
        && !is_border()
    {
        frame.run_around = around.run();
        frame.observed_run_around = around.observed_run();
        if own.is_null() {
            frame.nearest = around.nearest;
        }
    }
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
    /// Returns the innermost run in the domain of this frame: the frame itself, or a frame around it.
    fn run(&self) -> *const Frame {
        if self.unit.is_some() { self } else { self.run_around }
    }

    /// Returns the innermost observed run in the domain of this frame: the frame itself, or a frame around it.
    fn observed_run(&self) -> *const Frame {
        if self.unit.is_some() && !self.observed.is_null() { self } else { self.observed_run_around }
    }
}

/// Returns the innermost frame of this thread.
fn current<'a>() -> Option<&'a Frame> {
    // SAFETY: `within` keeps the frame on the stack until `Leave` has made the outer frame the current one. The callers
    // in this file use the frame only before they return to the code inside `within`.
    unsafe { CURRENT.get().as_ref() }
}

/// Returns the frames that `next` leads to, the first one and then those around it.
fn chain<'a>(
    next: fn(&Frame) -> *const Frame,
    around: fn(&Frame) -> *const Frame,
) -> impl Iterator<Item = &'a Frame> {
    // SAFETY: a frame around a frame on the stack is on the stack too, so this is as in `current`.
    let at = |frame: *const Frame| unsafe { frame.as_ref() };
    std::iter::successors(current().and_then(|frame| at(next(frame))), move |frame| at(around(frame)))
}

/// Returns the runs of this thread in its current domain, the innermost first.
fn all_runs<'a>() -> impl Iterator<Item = &'a Frame> {
    chain(Frame::run, |frame| frame.run_around)
}

/// Returns the innermost scope or observed run of this thread in its current domain; `None` if there is none.
pub(crate) fn nearest() -> Option<Arc<Observed>> {
    // SAFETY: the pointer is null, or `within` made it from a reference that outlives the frame.
    current().and_then(|frame| unsafe { frame.nearest.as_ref() }).cloned()
}

/// Returns the domain that the thread is in. Outside all runs and scopes, this is the global domain.
pub(crate) fn current_domain() -> DomainRef {
    DomainRef::of(nearest().as_deref())
}

/// Returns the unit of the innermost run; `None` outside all runs.
pub(crate) fn innermost_unit() -> Option<&'static Unit> {
    all_runs().next()?.unit
}

/// Returns the process of the innermost run; `None` if the thread is in no run, or if this run belongs to no process.
pub(crate) fn enclosing_process() -> Option<&'static ProcessDefinition> {
    innermost_unit()?.process
}

/// Returns the innermost run of the function that `unit` represents; `None` if the thread is in no such run, or if
/// this run is not observed.
pub(crate) fn run_of(unit: &'static Unit) -> Option<Arc<Observed>> {
    let frame = all_runs().find(|frame| frame.unit.is_some_and(|running| running.is_same_site(unit)))?;
    // SAFETY: as in `nearest`.
    unsafe { frame.observed.as_ref() }.cloned()
}

/// Returns whether the thread is inside this run.
pub(crate) fn is_inside(run: &Arc<Observed>) -> bool {
    // SAFETY: as in `nearest`.
    let mut all = chain(Frame::observed_run, |frame| frame.observed_run_around)
        .filter_map(|frame| unsafe { frame.observed.as_ref() });
    all.any(|observed| Arc::ptr_eq(observed, run))
}

/// Returns whether the thread is outside all runs and scopes.
#[inline]
pub(crate) fn is_outermost() -> bool {
    CURRENT.get().is_null()
}
