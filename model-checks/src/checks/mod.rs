//! The checks. Each explores three threads that use one structure, and asserts what its documentation promises.
//!
//! loom 0.7 looks only at the last access to an atomic when it decides what to reorder. If a thread loads an atomic and
//! then stores to it, loom therefore does not move the store before another thread's earlier load. A thread that only
//! loads is for this reason started by the thread that stores: loom then runs it later, and moves it forward.

pub mod accounts;
pub mod lanes;
pub mod samples;
pub mod table;
pub mod visitors;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::lane::Lane;
use crate::base::sync;

/// How often the scheduler may take the processor from a thread that could continue, in one schedule. Waits for a lock
/// or for another thread's end do not count. `LOOM_MAX_PREEMPTIONS` overrides it.
pub const PREEMPTIONS: usize = 3;

/// The environment variable that names the ordering to weaken to `Relaxed`, in the form that [`LIST`] prints.
pub const WEAKENED: &str = sync::WEAKENED;
/// The environment variable that makes a check print each ordering that the product's code uses in it.
pub const LIST: &str = sync::LIST;

/// Runs `check` under every schedule, and prints how many there were.
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

/// Takes the first lane for this thread and the other owned lane for no thread, so that all further threads share one.
fn share_other_lanes() {
    assert!(Lane::current().is_owned());
    let other = loom::thread::spawn(|| {
        let lane = Lane::current();
        sync::abandon_thread();
        lane
    });
    assert!(other.join().unwrap().is_owned());
}
