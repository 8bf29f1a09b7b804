//! A count of the threads that use a resource, such as a span. These threads are the visitors of the resource. The
//! owner can end the resource at any time, without waiting for visitors. From then on no visitor can enter. The last
//! visitor to leave closes the resource. If there are no visitors, the owner closes it. The resource itself does not
//! belong here.

use crate::base::sync::{AtomicU32, Ordering};

/// The bit that is set once the owner has ended the resource; the other bits count the visitors.
const ENDED: u32 = 1 << 31;

/// Counts the visitors of a resource. If the owner ends the resource while there are visitors, the last visitor closes
/// the resource. Otherwise, the owner closes it.
#[derive(Debug)]
pub(crate) struct Visitors(AtomicU32);

impl Visitors {
    pub(crate) fn new() -> Visitors {
        Visitors(AtomicU32::new(0))
    }

    /// Adds the caller as a visitor. If the owner has ended the resource, returns `false` instead, and the caller
    /// must not use the resource.
    pub(crate) fn enter(&self) -> bool {
        let open = |state| (state & ENDED == 0).then_some(state + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, open).is_ok()
    }

    /// Removes the caller, which is a visitor. Returns `true` if the caller must close the resource, because the
    /// owner has ended the resource and no other visitor is left.
    pub(crate) fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == ENDED + 1
    }

    /// Ends the resource, so no further visitor can enter. Returns `true` if the owner must close the resource,
    /// because there are no visitors. Otherwise the last visitor to leave closes the resource.
    pub(crate) fn end(&self) -> bool {
        self.0.fetch_or(ENDED, Ordering::AcqRel) == 0
    }
}
