//! Checks of visitors, which are the threads that use the span of a run. The run can end while visitors use its span,
//! and does not wait for them. The last visitor then closes the span; if there are no visitors, the run closes it.

use loom::cell::UnsafeCell;
use loom::sync::Arc;

use super::explore;
use crate::base::sync::spawn;
use crate::base::visitors::Visitors;

/// A substitute for a span. Visitors read the cell, and the thread that closes the span writes to the cell. loom
/// fails if a visitor could read while a thread closes the span. The check itself fails if a visitor enters a closed
/// span, or if the span is closed twice.
struct Span {
    visitors: Visitors,
    is_closed: UnsafeCell<bool>,
}

impl Span {
    /// Visits the span. Returns whether the visitor closed it.
    fn visit(&self) -> bool {
        if !self.visitors.enter() {
            return false;
        }
        // SAFETY: loom fails if the closer could write meanwhile.
        assert!(!self.is_closed.with(|closed| unsafe { *closed }), "a visitor entered a closed span");
        self.visitors.leave() && self.close()
    }

    fn close(&self) -> bool {
        // SAFETY: loom fails if another thread could access the cell meanwhile.
        assert!(!self.is_closed.with_mut(|closed| unsafe { closed.replace(true) }), "closed twice");
        true
    }
}

/// In every schedule of a run and two visitors, exactly one of the three closes the span, and no visitor uses the
/// span at that time.
pub fn the_last_to_leave_closes_once() {
    explore("the last to leave closes once", || {
        let span = Arc::new(Span { visitors: Visitors::new(), is_closed: UnsafeCell::new(false) });
        let visitors = [(); 2].map(|()| {
            let span = Arc::clone(&span);
            spawn(move || span.visit())
        });
        // SAFETY: as in `visit`.
        assert!(!span.is_closed.with(|closed| unsafe { *closed }), "closed before the run ended");
        let by_run = span.visitors.end() && span.close();
        let by_visitors = visitors.map(|visitor| visitor.join().unwrap());
        let closed = by_visitors.into_iter().chain([by_run]).filter(|closed| *closed).count();
        assert_eq!(closed, 1);
        assert!(!span.visit(), "a visitor entered after the end");
    });
}
