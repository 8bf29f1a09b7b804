//! Checks of lanes. Each counter has a part for each lane, and a thread writes only the part of its own lane. Only
//! one thread at a time uses an owned lane; the other lanes are shared.

use std::cell::RefCell;

use loom::cell::UnsafeCell;
use loom::sync::Arc;

use super::{explore, share_other_lanes};
use crate::base::lane::{LANES, Lane, OWNED};
use crate::base::sync::{AtomicU64, Ordering, spawn, thread_local};

/// A counter with a part for each lane, as in an account, and a cell for each owned lane. loom fails if two threads
/// could access the same cell at the same time.
struct Counters {
    lanes: [AtomicU64; LANES],
    owned: [UnsafeCell<()>; OWNED],
}

impl Counters {
    fn new() -> Arc<Counters> {
        Arc::new(Counters {
            lanes: std::array::from_fn(|_| AtomicU64::new(0)),
            owned: std::array::from_fn(|_| UnsafeCell::new(())),
        })
    }

    fn count(&self) {
        let lane = Lane::current();
        if lane.is_owned() {
            self.owned[lane.index()].with_mut(|_| ());
        }
        lane.add(&self.lanes[lane.index()], 1);
    }

    fn sum(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.load(Ordering::Relaxed)).sum()
    }
}

/// An owned lane has one thread at a time, even if a thread gets the lane of a thread that has ended. No count is
/// lost.
pub fn an_owned_lane_has_one_thread_at_a_time() {
    explore("an owned lane has one thread at a time", || {
        let counters = Counters::new();
        let threads = [(); 2].map(|()| {
            let counters = Arc::clone(&counters);
            spawn(move || counters.count())
        });
        counters.count();
        for thread in threads {
            thread.join().unwrap();
        }
        counters.count();
        assert_eq!(counters.sum(), 4);
    });
}

thread_local! {
    static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
}

/// A thread-local value that counts when its thread ends, after the thread has given its lane back.
struct Late(Arc<Counters>);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.count();
    }
}

/// A thread that counts after it has given its lane back counts in a shared lane.
pub fn an_ending_thread_leaves_its_lane_to_the_next() {
    explore("an ending thread leaves its lane to the next", || {
        let counters = Counters::new();
        let threads = [(); 2].map(|()| {
            let counters = Arc::clone(&counters);
            spawn(move || {
                counters.count();
                let late = Late(counters);
                LATE.try_with(|value| *value.borrow_mut() = Some(late))
                    .expect("the thread is not ending yet");
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(counters.sum(), 4);
    });
}

/// An owned lane is free again once its thread has ended.
pub fn an_ended_thread_gives_its_lane_back() {
    explore("an ended thread gives its lane back", || {
        for _ in 0..2 {
            let lane = spawn(Lane::current).join().unwrap();
            assert!(lane.is_owned());
        }
        share_other_lanes();
        assert!(!spawn(Lane::current).join().unwrap().is_owned());
    });
}

/// A thread that sees an addition to one counter also sees what the same writer added to other counters before. In an
/// account, a reader therefore never sees more ends than starts. The check has a writer with an owned lane and a
/// writer with a shared lane.
pub fn a_reader_sees_what_was_added_before() {
    explore("a reader sees what was added before", || {
        let counters = Arc::new([(); 2].map(|()| std::array::from_fn::<_, LANES, _>(|_| AtomicU64::new(0))));
        let add = |counters: &[[AtomicU64; LANES]; 2]| {
            let lane = Lane::current();
            for counter in counters {
                lane.add(&counter[lane.index()], 1);
            }
        };
        share_other_lanes();
        let writer = {
            let counters = Arc::clone(&counters);
            spawn(move || add(&counters))
        };
        let reader = {
            let counters = Arc::clone(&counters);
            spawn(move || {
                for lane in 0..LANES {
                    let later = counters[1][lane].load(Ordering::Acquire);
                    let earlier = counters[0][lane].load(Ordering::Relaxed);
                    assert!(earlier >= later, "{later} ends of {earlier} starts");
                }
            })
        };
        add(&counters);
        writer.join().unwrap();
        reader.join().unwrap();
    });
}
