//! A count of the threads that use a resource which must be closed once. The owner ends the resource without waiting
//! for its visitors; the last visitor closes it. The resource itself must not go in here.

use crate::base::sync::{AtomicU32, Ordering};

/// The bit that is set once the owner has ended the resource; the other bits count the visitors.
const ENDED: u32 = 1 << 31;

/// A counter of visitors, which decides who closes the resource.
#[derive(Debug)]
pub(crate) struct Visitors(AtomicU32);

impl Visitors {
    pub(crate) fn new() -> Visitors {
        Visitors(AtomicU32::new(0))
    }

    /// Counts a visitor in. Returns `false` if the owner has ended the resource, which the caller must then not use.
    pub(crate) fn enter(&self) -> bool {
        let open = |state| (state & ENDED == 0).then_some(state + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, open).is_ok()
    }

    /// Counts a visitor out. Returns whether this visitor must close the resource.
    pub(crate) fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == ENDED + 1
    }

    /// Ends the resource: no further visitor gets in. Returns whether the owner must close it, as it has no visitors.
    pub(crate) fn end(&self) -> bool {
        self.0.fetch_or(ENDED, Ordering::AcqRel) == 0
    }
}
