//! A count of the threads that use a resource, such as a span. These threads are its visitors. The owner ends the
//! resource without waiting for visitors, and the resource must then be closed exactly once. The last visitor to
//! leave closes the resource. If there are no visitors, the owner closes it. The resource itself does not belong here.

use crate::base::sync::{AtomicU32, Ordering};

/// The bit that is set once the owner has ended the resource; the other bits count the visitors.
const ENDED: u32 = 1 << 31;

/// A counter of visitors, which decides whether the owner or a visitor closes the resource.
#[derive(Debug)]
pub(crate) struct Visitors(AtomicU32);

impl Visitors {
    pub(crate) fn new() -> Visitors {
        Visitors(AtomicU32::new(0))
    }

    /// Adds a visitor. Returns `false` if the owner has ended the resource. The caller is then not counted and must
    /// not use the resource.
    pub(crate) fn enter(&self) -> bool {
        let open = |state| (state & ENDED == 0).then_some(state + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, open).is_ok()
    }

    /// Removes a visitor. Returns whether this visitor must close the resource. This is so if the owner has ended the
    /// resource and no other visitor is left.
    pub(crate) fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == ENDED + 1
    }

    /// Ends the resource, so no further visitor can enter. Returns whether the owner must close the resource. This is
    /// so if there are no visitors; otherwise the last visitor closes the resource.
    pub(crate) fn end(&self) -> bool {
        self.0.fetch_or(ENDED, Ordering::AcqRel) == 0
    }
}
