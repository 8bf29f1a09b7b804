//! Checks of the table of runs in flight. A run enters a slot of the table, and gets a ticket with which it leaves
//! again. A scan reports the runs that are late, and a list returns all runs.

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::Arc;

use super::{explore, share_other_lanes};
use crate::base::lane::Lane;
use crate::base::sync::spawn;
use crate::run::inflight::{Table, Ticket};
use crate::stats::account::NEVER;

#[derive(Debug, PartialEq)]
struct Unit(u32);

static UNIT: Unit = Unit(7);

/// A deadline that has passed at the time of every scan in these checks.
const PAST: u64 = 5;
const NOW: u64 = 10;

/// A table with a cell for each slot. An access to the cell represents everything that a run does while it is in the
/// slot.
struct Tracked {
    table: Table<Unit, u32>,
    runs: Vec<UnsafeCell<()>>,
    /// The number of reports. The counter is std's type and not loom's, because it is not part of what is checked.
    reports: AtomicUsize,
}

impl Tracked {
    fn new(limit: usize) -> Arc<Tracked> {
        Arc::new(Tracked {
            table: Table::new(limit),
            runs: (0..limit).map(|_| UnsafeCell::new(())).collect(),
            reports: AtomicUsize::new(0),
        })
    }

    /// Enters a run, and accesses the slot's cell. loom fails if another run could be in the slot at the same time,
    /// or if this access is not ordered after every access by the previous run in the slot.
    fn enter(&self, deadline: u64, payload: Option<&Arc<u32>>) -> Ticket {
        let ticket = self.table.enter(Lane::current(), &UNIT, 3, deadline, payload);
        self.touch(ticket);
        ticket
    }

    fn leave(&self, ticket: Ticket) -> bool {
        self.touch(ticket);
        self.table.leave(Lane::current(), ticket)
    }

    fn touch(&self, ticket: Ticket) {
        if ticket != Ticket::UNTRACKED {
            self.runs[slot(ticket)].with_mut(|_| ());
        }
    }

    /// Scans, and checks each run that is reported.
    fn scan(&self) {
        let confirm = |_: &_| None;
        self.table.scan(NOW, confirm, |seen| {
            assert_eq!((seen.unit, seen.started), (&UNIT, 3));
            assert!(seen.payload.is_none_or(|payload| *payload == 9));
            self.reports.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Lists, and checks each run that is listed.
    fn list(&self) -> usize {
        let all = self.table.list();
        for seen in &all {
            assert_eq!((seen.unit, seen.started), (&UNIT, 3));
            assert!(seen.payload.as_deref().is_none_or(|payload| *payload == 9));
        }
        all.len()
    }

    fn reports(&self) -> usize {
        self.reports.load(Ordering::Relaxed)
    }

    /// Enters runs until this thread finds no free slot. Returns their slots.
    fn fill_from_here(&self) -> Vec<usize> {
        let enter = || Some(self.enter(NEVER, None)).filter(|ticket| *ticket != Ticket::UNTRACKED);
        std::iter::from_fn(enter).map(slot).collect()
    }
}

/// Checks that no slot was lost or handed out twice, by taking each slot once more. A second thread gets the lane of
/// an ended thread, and takes the slots that belong to this lane.
fn fill(tracked: &Arc<Tracked>, limit: usize) {
    let mut taken = tracked.fill_from_here();
    let other = Arc::clone(tracked);
    taken.extend(spawn(move || other.fill_from_here()).join().unwrap());
    taken.sort_unstable();
    assert_eq!(taken, Vec::from_iter(0..limit));
    assert_eq!(tracked.list(), limit);
}

/// Returns the number of the ticket's slot. It is the only number in the debug text of a ticket.
fn slot(ticket: Ticket) -> usize {
    let text = format!("{ticket:?}");
    text.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a tracked run")
}

/// If two threads scan while a late run leaves, they report the run at most once. The thread that removes the run
/// learns whether they did.
pub fn a_late_run_is_reported_at_most_once() {
    explore("a late run is reported at most once", || {
        let (tracked, payload) = (Tracked::new(2), Arc::new(9));
        let ticket = tracked.enter(PAST, Some(&payload));
        let scanners = [(); 2].map(|()| {
            let tracked = Arc::clone(&tracked);
            spawn(move || tracked.scan())
        });
        let was_reported = tracked.leave(ticket);
        for scanner in scanners {
            scanner.join().unwrap();
        }
        assert_eq!(tracked.reports(), usize::from(was_reported));
        assert_eq!(Arc::strong_count(&payload), 1, "the table dropped its payload once");
        fill(&tracked, 2);
    });
}

/// If one thread lists and another thread scans while a late run leaves, the run is reported at most once. The thread
/// that removes the run learns whether it was reported.
pub fn a_list_hides_no_report_from_the_leaver() {
    explore("a list hides no report from the leaver", || {
        let (tracked, payload) = (Tracked::new(2), Arc::new(9));
        let ticket = tracked.enter(PAST, Some(&payload));
        let scanner = {
            let tracked = Arc::clone(&tracked);
            spawn(move || tracked.scan())
        };
        let lister = {
            let tracked = Arc::clone(&tracked);
            spawn(move || assert!(tracked.list() <= 1))
        };
        let was_reported = tracked.leave(ticket);
        scanner.join().unwrap();
        lister.join().unwrap();
        assert_eq!(tracked.reports(), usize::from(was_reported));
        assert_eq!(Arc::strong_count(&payload), 1, "the table dropped its payload once");
        fill(&tracked, 2);
    });
}

/// If the thread that removes a run learns that the run was reported, it also sees what the scanning thread wrote
/// before the report.
pub fn a_leaver_sees_what_confirmed_the_report() {
    explore("a leaver sees what confirmed the report", || {
        let tracked = Tracked::new(2);
        let ticket = tracked.enter(PAST, None);
        let confirmed = Arc::new(UnsafeCell::new(()));
        let scanner = {
            let (tracked, confirmed) = (Arc::clone(&tracked), Arc::clone(&confirmed));
            spawn(move || {
                let confirm = |_: &_| {
                    confirmed.with_mut(|_| ());
                    None
                };
                tracked.table.scan(NOW, confirm, |_| ());
            })
        };
        let ender = {
            let tracked = Arc::clone(&tracked);
            spawn(move || {
                if tracked.leave(ticket) {
                    confirmed.with(|_| ());
                }
            })
        };
        let other = tracked.enter(NEVER, None);
        tracked.leave(other);
        scanner.join().unwrap();
        ender.join().unwrap();
        fill(&tracked, 2);
    });
}

/// If a run enters and leaves during a scan and a list, each of the two sees the complete run or nothing of it.
pub fn a_scanner_sees_all_of_a_run_or_nothing() {
    explore("a scanner sees all of a run, or nothing", || {
        let tracked = Tracked::new(2);
        share_other_lanes();
        let runner = {
            let tracked = Arc::clone(&tracked);
            spawn(move || {
                let payload = Arc::new(9);
                let ticket = tracked.enter(PAST, Some(&payload));
                tracked.leave(ticket)
            })
        };
        let lister = {
            let tracked = Arc::clone(&tracked);
            spawn(move || assert!(tracked.list() <= 1))
        };
        tracked.scan();
        let was_reported = runner.join().unwrap();
        lister.join().unwrap();
        assert_eq!(tracked.reports(), usize::from(was_reported));
        fill(&tracked, 2);
    });
}

/// One run at a time uses a slot, even if another thread ends the run, or if the thread of the run has a shared lane.
pub fn a_slot_is_in_use_by_one_run_at_a_time() {
    explore("a slot is in use by one run at a time", || {
        let tracked = Tracked::new(4);
        let moved = tracked.enter(NEVER, None);
        let ender = {
            let tracked = Arc::clone(&tracked);
            spawn(move || tracked.leave(moved))
        };
        let runner = {
            let tracked = Arc::clone(&tracked);
            spawn(move || {
                let ticket = tracked.enter(NEVER, None);
                tracked.leave(ticket)
            })
        };
        let both = [tracked.enter(NEVER, None), tracked.enter(NEVER, None)];
        assert!(both.map(|ticket| tracked.leave(ticket)) == [false, false]);
        ender.join().unwrap();
        runner.join().unwrap();
        fill(&tracked, 4);
    });
}

/// If the table is full, a thread can take slots that were returned to the lanes of other threads. When threads
/// compete for such slots, each slot is taken once.
pub fn at_the_limit_a_returned_slot_is_taken_once() {
    explore("at the limit a returned slot is taken once", || {
        let tracked = Tracked::new(2);
        let first = [tracked.enter(NEVER, None), tracked.enter(NEVER, None)];
        let others = first.map(|ticket| {
            let tracked = Arc::clone(&tracked);
            spawn(move || {
                tracked.leave(ticket);
                let mine = tracked.enter(NEVER, None);
                tracked.leave(mine);
            })
        });
        let mine = tracked.enter(NEVER, None);
        tracked.leave(mine);
        for other in others {
            other.join().unwrap();
        }
        fill(&tracked, 2);
    });
}
