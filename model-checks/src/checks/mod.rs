//! The checks. Most checks run three threads that use one structure. Each check runs under every schedule, and
//! asserts what the documentation of the structure promises.
//!
//! loom 0.7 considers only the last access to an atomic when it decides what to reorder. If a thread loads an atomic
//! and then stores to it, loom therefore does not move the store before an earlier load in another thread. For this
//! reason, a thread that stores starts the threads that only load. loom then runs the loads after the stores, and
//! also tries to move the loads before the stores.

pub mod accounts;
pub mod lanes;
pub mod samples;
pub mod table;
pub mod visitors;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::lane::Lane;
use crate::base::sync;

/// The maximum number of preemptions in one schedule. A preemption takes the processor from a thread that could
/// continue. A wait for a lock or for the end of another thread does not count. The environment variable
/// `LOOM_MAX_PREEMPTIONS` overrides this number.
pub const PREEMPTIONS: usize = 3;

/// The environment variable that names the ordering to weaken to `Relaxed`, in the form that [`LIST`] prints.
pub const WEAKENED: &str = sync::WEAKENED;
/// The environment variable that makes a check print each ordering that the code of `process-runtime` uses in the
/// check.
pub const LIST: &str = sync::LIST;

/// Runs `check` under every schedule. Prints the number of schedules, and the orderings if [`LIST`] is set.
fn explore(name: &str, check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    let bound = *builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.max_branches = 10_000;
    let schedules = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&schedules);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        check();
        sync::end_thread();
    });
    println!("{name}: {} schedules with at most {bound} preemptions", schedules.load(Ordering::Relaxed));
    for site in sync::sites() {
        println!("site {site}");
    }
}

/// Uses up both owned lanes, so that all further threads share a lane. This thread gets the first owned lane. A
/// second thread gets the second owned lane, and ends without giving it back.
fn share_other_lanes() {
    assert!(Lane::current().is_owned());
    let other = loom::thread::spawn(|| {
        let lane = Lane::current();
        sync::abandon_thread();
        lane
    });
    assert!(other.join().unwrap().is_owned());
}
