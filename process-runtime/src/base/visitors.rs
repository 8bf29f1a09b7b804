//! Who is inside something that is closed once. The owner ends it without waiting for visitors, and the last visitor
//! closes it.

use crate::base::sync::{AtomicU32, Ordering};

/// Set once the owner has ended it; the other bits count the visitors inside.
const ENDED: u32 = 1 << 31;

/// Counts visitors, and says which of them closes what they visit.
#[derive(Debug)]
pub(crate) struct Visitors(AtomicU32);

impl Visitors {
    pub(crate) fn new() -> Visitors {
        Visitors(AtomicU32::new(0))
    }

    /// Counts a visitor in. Returns `false` if the owner has ended it; the visitor must then stay outside.
    pub(crate) fn enter(&self) -> bool {
        let open = |state| (state & ENDED == 0).then_some(state + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, open).is_ok()
    }

    /// Counts a visitor out. Returns whether it must close what it visited.
    pub(crate) fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == ENDED + 1
    }

    /// Lets no further visitor in. Returns whether the owner must close it now, since no visitor is inside.
    pub(crate) fn end(&self) -> bool {
        self.0.fetch_or(ENDED, Ordering::AcqRel) == 0
    }
}
