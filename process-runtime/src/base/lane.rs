//! Lanes keep threads from contending for counters. Each counter has one part for each lane, and a thread writes only
//! to the part of its own lane. Each of the first threads owns a lane. No other thread writes to an owned lane, so a
//! plain store is enough to add to a counter. When all owned lanes are taken, further threads share a few other
//! lanes, in which every addition is atomic and costs more. An owned lane becomes free when its thread ends. The
//! counters themselves do not belong here.

use std::cell::Cell;

use crate::base::lock::lock;
use crate::base::sizes::{OWNED_LANES, SHARED_LANES};
use crate::base::sync::{AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering, statics, thread_local};

/// The number of owned lanes. Only one thread at a time writes to an owned lane.
pub(crate) const OWNED: usize = OWNED_LANES;
/// The number of all lanes. The lanes from [`OWNED`] on are shared.
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

/// A lane, identified by its position among all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane(usize);

impl Lane {
    /// Returns the lane of this thread. The first call on a thread assigns the lane.
    #[inline]
    pub(crate) fn current() -> Lane {
        match LANE.get() {
            UNASSIGNED => Lane::assign(),
            lane => Lane(lane),
        }
    }

    #[cold]
    fn assign() -> Lane {
        // `RELEASE` frees an owned lane when the thread ends. If `RELEASE` is already destroyed, nothing would free
        // the lane, so the thread gets a shared lane.
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

    /// Returns whether the lane is owned, so that only this thread writes to it.
    #[inline]
    pub(crate) fn is_owned(self) -> bool {
        self.0 < OWNED
    }

    /// Adds to a counter of this lane. A thread that reads the new value with acquire ordering also sees everything
    /// that this thread wrote before the addition.
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

    /// Raises a maximum of this lane to `value`, if `value` is larger.
    #[inline]
    pub(crate) fn raise(self, maximum: &AtomicU64, value: u64) {
        if value > maximum.load(Ordering::Relaxed) {
            maximum.fetch_max(value, Ordering::Relaxed);
        }
    }
}

/// Frees the thread's owned lane when the thread ends. Counts that the thread adds after that go to a shared lane.
/// The mutex `FREE` makes the last store of this thread visible to the next owner of the lane.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        let lane = LANE.replace(Lane::next_shared());
        if lane < OWNED {
            lock(&FREE)[lane] = true;
        }
    }
}
