//! Visitors: what the span of a run counts.

use loom::cell::UnsafeCell;
use loom::sync::Arc;

use super::explore;
use crate::base::sync::spawn;
use crate::base::visitors::Visitors;

/// A span's stand-in. Visitors read the cell and the closer writes it: loom fails if a visitor could be inside of a
/// span that is being closed, or closes it again.
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
        // SAFETY: loom proves that the closer does not write meanwhile.
        assert!(!self.is_closed.with(|closed| unsafe { *closed }), "a visitor entered a closed span");
        self.visitors.leave() && self.close()
    }

    fn close(&self) -> bool {
        // SAFETY: loom proves that nothing else has access meanwhile.
        assert!(!self.is_closed.with_mut(|closed| unsafe { closed.replace(true) }), "closed twice");
        true
    }
}

/// Whatever a run and two visitors do at the same time, one of them closes the span, after all of them have left.
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
