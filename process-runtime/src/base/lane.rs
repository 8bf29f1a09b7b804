//! Lanes: each counter has a part for each lane, and a thread writes only the part of its own lane. The first threads
//! each get a lane for themselves, in which a plain store is enough because no other thread writes there. When these
//! lanes are used up, threads share a few others and pay for an atomic addition. A lane is free again when its thread
//! ends. The counters themselves are in `stats` and `run`.

use std::cell::Cell;

use crate::base::lock::lock;
use crate::base::sizes::{OWNED_LANES, SHARED_LANES};
use crate::base::sync::{AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering, statics, thread_local};

/// Lanes with a single writer.
pub(crate) const OWNED: usize = OWNED_LANES;
/// Lanes in all; those from [`OWNED`] on are shared.
pub(crate) const LANES: usize = OWNED + SHARED_LANES;

const UNASSIGNED: usize = usize::MAX;

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(UNASSIGNED) };
    static RELEASE: Release = const { Release };
}

statics! {
    static FREE: Mutex<[bool; OWNED]> = Mutex::new([true; OWNED]);
    static NEXT_SHARED: AtomicUsize = AtomicUsize::new(0);
}

/// The lane of this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane(usize);

impl Lane {
    /// Returns the lane of this thread, which is assigned at the first call.
    #[inline]
    pub(crate) fn current() -> Lane {
        match LANE.get() {
            UNASSIGNED => Lane::assign(),
            lane => Lane(lane),
        }
    }

    #[cold]
    fn assign() -> Lane {
        // A thread whose locals are already destroyed gets a shared lane: nothing would give an own one back.
        let owned = RELEASE.try_with(|_| ()).ok().and_then(|()| {
            let mut free = lock(&FREE);
            let lane = free.iter().position(|&free| free)?;
            free[lane] = false;
            Some(lane)
        });
        let lane = owned.unwrap_or_else(Lane::next_shared);
        LANE.set(lane);
        Lane(lane)
    }

    fn next_shared() -> usize {
        OWNED + NEXT_SHARED.fetch_add(1, Ordering::Relaxed) % (LANES - OWNED)
    }

    /// Returns the lane's position among all lanes.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// Returns whether this thread alone writes to the lane.
    #[inline]
    pub(crate) fn is_owned(self) -> bool {
        self.0 < OWNED
    }

    /// Adds to a counter of this lane. A thread that reads the sum also sees what this thread added elsewhere before.
    #[inline]
    pub(crate) fn add(self, counter: &AtomicU64, amount: u64) {
        if self.is_owned() {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Release);
        } else {
            counter.fetch_add(amount, Ordering::Release);
        }
    }

    /// Adds one to a bucket of this lane.
    #[inline]
    pub(crate) fn count(self, bucket: &AtomicU32) {
        if self.is_owned() {
            bucket.store(bucket.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        } else {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Raises a maximum of this lane.
    #[inline]
    pub(crate) fn raise(self, maximum: &AtomicU64, value: u64) {
        if value > maximum.load(Ordering::Relaxed) {
            maximum.fetch_max(value, Ordering::Relaxed);
        }
    }
}

/// Gives the lane back when the thread ends. The mutex orders this thread's last store before the next owner's first
/// load.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        let lane = LANE.replace(Lane::next_shared());
        if lane < OWNED {
            lock(&FREE)[lane] = true;
        }
    }
}
