//! The table of runs in flight. It has a bounded number of slots, and each run in flight occupies one slot. The
//! threads that run processes write to the slots. One thread at a time scans the slots: the watchdog, or a thread
//! that lists runs. A run enters by storing its deadline in a slot, and leaves by swapping [`FREE`] into the slot.
//! Entering and leaving do not wait for a scan. Units and payloads are opaque to the table.
//!
//! The deadline of a slot is also its state, as the diagram shows. To return a slot means to put it on a list of free
//! slots, which `slots` does.
//!
//! ```text
//! FREE ──enter──▶ deadline ──scan: past──▶ BUSY ──▶ REPORTED    (the run is late, and was reported once)
//!                    │                      │         │
//!                    └──────── leave ───────┼─────────┴──▶ FREE  (the leaver returns the slot)
//!                                           └──▶ FREE            (the scanner finds it FREE, and returns it)
//! ```
//!
//! While a slot is BUSY, the scanner owns its content. A run that leaves in this time only marks the slot FREE, and
//! the scanner returns the slot. While a thread that lists runs reads a REPORTED slot, the state of the slot is
//! BUSY_REPORTED. A run that leaves in this time can therefore still see that it was reported.
//!
//! The crate `model-checks` compiles this file with loom and tries the schedules of three threads.

mod slots;

use self::slots::{NONE, Slot, Slots};
use crate::base::lane::Lane;
use crate::base::lock::lock;
use crate::base::sync::{Arc, AtomicU64, Mutex, Ordering};
use crate::stats::account::NEVER;

const FREE: u64 = 0;
const BUSY: u64 = u64::MAX;
const BUSY_REPORTED: u64 = u64::MAX - 1;
const REPORTED: u64 = u64::MAX - 2;

/// The maximum number of runs that the global table tracks.
pub(crate) const LIMIT: usize = 1 << 17;

/// The index of a run's slot in the table; [`Ticket::UNTRACKED`] if the table was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

impl Ticket {
    pub(crate) const UNTRACKED: Ticket = Ticket(NONE);
}

/// A copy of a slot, made by a scanner.
#[derive(Debug)]
pub(crate) struct Seen<U: 'static, T> {
    pub(crate) unit: &'static U,
    pub(crate) started: u64,
    pub(crate) payload: Option<Arc<T>>,
    /// Whether the run was already reported as late.
    pub(crate) reported: bool,
}

/// A table of runs. Each run has a unit `U` and an optional payload `T`.
#[derive(Debug)]
pub(crate) struct Table<U: 'static, T> {
    slots: Slots<U, T>,
    untracked: AtomicU64,
    scanning: Mutex<()>,
}

impl<U: Sync + 'static, T: Send + Sync> Table<U, T> {
    /// Creates a table for at most `limit` runs. The table allocates memory as runs enter, and keeps it until it is
    /// dropped.
    pub(crate) fn new(limit: usize) -> Self {
        Table { slots: Slots::new(limit), untracked: AtomicU64::new(0), scanning: Mutex::new(()) }
    }

    /// Enters a run whose deadline is in ticks. If no slot is free, counts the run as untracked and returns
    /// [`Ticket::UNTRACKED`].
    #[inline(always)]
    pub(crate) fn enter(
        &self,
        lane: Lane,
        unit: &'static U,
        started: u64,
        deadline: u64,
        payload: Option<&Arc<T>>,
    ) -> Ticket {
        let Some(index) = self.slots.take(lane) else {
            self.untracked.fetch_add(1, Ordering::Relaxed);
            return Ticket::UNTRACKED;
        };
        let (chunk, at) = self.slots.chunk(index);
        chunk.slots[at].fill(unit, started, payload);
        chunk.deadlines[at].store(deadline.clamp(FREE + 1, NEVER), Ordering::Release);
        Ticket(index)
    }

    /// Removes a run. Returns whether a scan has reported the run as late; always `false` for an untracked run.
    #[inline]
    pub(crate) fn leave(&self, lane: Lane, ticket: Ticket) -> bool {
        let Ticket(index) = ticket;
        if index == NONE {
            return false;
        }
        let (chunk, at) = self.slots.chunk(index);
        match chunk.deadlines[at].swap(FREE, Ordering::AcqRel) {
            BUSY => false,
            BUSY_REPORTED => true,
            old => {
                drop(self.slots.give_back(lane, index));
                old == REPORTED
            }
        }
    }

    /// Returns the number of runs that began while the table was full.
    pub(crate) fn untracked(&self) -> u64 {
        self.untracked.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes that the table uses on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.slots.memory()
    }

    /// Calls `report` for each run whose deadline is not after `limit`, unless an earlier scan has reported the run.
    /// Returns the earliest deadline of all runs that are still not reported; `None` if none of these runs has an
    /// SLA.
    ///
    /// Before each report, `confirm` can return a new deadline for the run. The run is then not reported. This is
    /// needed because the clock may have measured its rate more precisely since the run entered.
    pub(crate) fn scan(
        &self,
        limit: u64,
        mut confirm: impl FnMut(&Seen<U, T>) -> Option<u64>,
        mut report: impl FnMut(Seen<U, T>),
    ) -> Option<u64> {
        let scanning = lock(&self.scanning);
        let mut next = NEVER;
        let mut late = Vec::new();
        // What is no longer needed is dropped without the lock, because this thread may be the last owner of a payload,
        // and the drop may then call foreign code.
        let mut unneeded = Vec::new();
        self.slots.each_chunk(|chunk, first| {
            for (at, cell) in chunk.deadlines.iter().enumerate() {
                let deadline = cell.load(Ordering::Relaxed);
                if deadline == FREE || deadline >= NEVER {
                    continue;
                }
                if deadline > limit {
                    next = next.min(deadline);
                    continue;
                }
                if cell.compare_exchange(deadline, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
                    continue;
                }
                let seen = look(&chunk.slots[at], false);
                let state = confirm(&seen).map_or(REPORTED, |deadline| deadline.clamp(1, NEVER));
                if cell.compare_exchange(BUSY, state, Ordering::Release, Ordering::Relaxed).is_err() {
                    let own = self.slots.give_back(Lane::current(), first + at as u32);
                    unneeded.push((seen, own));
                } else if state == REPORTED {
                    late.push(seen);
                } else {
                    next = next.min(state);
                    unneeded.push((seen, None));
                }
            }
        });
        drop(scanning);
        drop(unneeded);
        // `report` calls foreign code, which may list runs. If this thread still held the lock, that code would wait
        // for the lock for ever.
        late.into_iter().for_each(&mut report);
        (next < NEVER).then_some(next)
    }

    /// Returns every run in the table.
    pub(crate) fn list(&self) -> Vec<Seen<U, T>> {
        // Declared before the lock, and therefore dropped after it.
        let mut unneeded = Vec::new();
        let _scanning = lock(&self.scanning);
        let mut all = Vec::new();
        self.slots.each_chunk(|chunk, first| {
            for (at, cell) in chunk.deadlines.iter().enumerate() {
                let state = cell.load(Ordering::Relaxed);
                let busy = if state == REPORTED { BUSY_REPORTED } else { BUSY };
                if state == FREE
                    || cell.compare_exchange(state, busy, Ordering::Acquire, Ordering::Relaxed).is_err()
                {
                    continue;
                }
                let seen = look(&chunk.slots[at], state == REPORTED);
                if cell.compare_exchange(busy, state, Ordering::Release, Ordering::Relaxed).is_err() {
                    let own = self.slots.give_back(Lane::current(), first + at as u32);
                    unneeded.push((seen, own));
                } else {
                    all.push(seen);
                }
            }
        });
        all
    }
}

/// Copies a slot. The caller must be a scanner that made the slot BUSY.
fn look<U, T>(slot: &Slot<U, T>, reported: bool) -> Seen<U, T> {
    let (unit, payload) = slot.content();
    Seen { unit, started: slot.started.load(Ordering::Relaxed), payload, reported }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::scope;

    use super::*;

    static UNIT: &str = "unit";

    fn table(limit: usize) -> Table<&'static str, u64> {
        Table::new(limit)
    }

    fn enter(table: &Table<&'static str, u64>, deadline: u64) -> Ticket {
        table.enter(Lane::current(), &UNIT, 3, deadline, None)
    }

    #[test]
    fn a_run_that_finds_no_slot_is_counted_and_can_leave() {
        let table = table(2);
        let tickets = [(); 3].map(|()| enter(&table, NEVER));
        assert_eq!((tickets[2], table.untracked()), (Ticket::UNTRACKED, 1));
        assert!(!table.leave(Lane::current(), tickets[2]));
        table.leave(Lane::current(), tickets[0]);
        assert_ne!(enter(&table, NEVER), Ticket::UNTRACKED);
    }

    #[test]
    fn a_scan_reports_what_is_late_once_and_returns_the_next_deadline() {
        let table = table(8);
        let deadlines = [10, 11, 20, 30, NEVER];
        let tickets = deadlines.map(|deadline| enter(&table, deadline));
        let reports = |limit| {
            let mut reports = 0;
            let next = table.scan(limit, |_| None, |seen| reports += usize::from(*seen.unit == UNIT));
            (reports, next)
        };
        assert_eq!(reports(9), (0, Some(10)));
        assert_eq!(reports(11), (2, Some(20)));
        assert_eq!(reports(11), (0, Some(20)));
        assert_eq!(table.list().iter().filter(|seen| seen.reported).count(), 2);
        let was_reported = tickets.map(|ticket| table.leave(Lane::current(), ticket));
        assert_eq!(was_reported, [true, true, false, false, false]);
        assert_eq!(reports(NEVER), (0, None));
    }

    #[test]
    fn a_run_whose_deadline_is_set_again_is_late_only_then() {
        let table = table(8);
        let ticket = enter(&table, 10);
        let mut reports = 0;
        assert_eq!(table.scan(10, |_| Some(40), |_| reports += 1), Some(40));
        assert_eq!(table.scan(40, |_| None, |_| reports += 1), None);
        assert_eq!((reports, table.leave(Lane::current(), ticket)), (1, true));
    }

    #[test]
    fn a_payload_that_a_scan_drops_may_scan_itself() {
        /// Scans the table when it is dropped.
        struct Scans(std::sync::Weak<Table<&'static str, Scans>>);
        impl Drop for Scans {
            fn drop(&mut self) {
                if let Some(table) = self.0.upgrade() {
                    assert!(table.scanning.try_lock().is_ok(), "the scan holds its lock");
                }
            }
        }
        let table: Arc<Table<&'static str, Scans>> = Arc::new(Table::new(8));
        let payload = Arc::new(Scans(Arc::downgrade(&table)));
        let ticket = table.enter(Lane::current(), &UNIT, 3, 10, Some(&payload));
        let mut owner = Some(payload);
        // The run ends while the scan looks at it, so the scan is the last owner.
        let ends = |_: &Seen<&'static str, Scans>| {
            table.leave(Lane::current(), ticket);
            owner.take().map(|_| 20)
        };
        table.scan(10, ends, |_| panic!("a run that has ended is not late"));
    }

    #[test]
    fn a_dropped_table_drops_the_payloads_of_runs_in_flight() {
        let (table, payload) = (table(8), Arc::new(9));
        table.enter(Lane::current(), &UNIT, 3, NEVER, Some(&payload));
        drop(table);
        assert_eq!(Arc::strong_count(&payload), 1);
    }

    // This test runs only a few schedules. The crate `model-checks` tries more schedules, with fewer threads.
    #[test]
    fn threads_hand_runs_to_one_another_while_others_scan_and_list() {
        let rounds = if cfg!(miri) { 30 } else { 10_000 };
        let (table, payload) = (table(64), Arc::new(9));
        let (reports, left_late) = (AtomicU64::new(0), AtomicU64::new(0));
        scope(|threads| {
            let (give, take) = channel();
            for _ in 0..2 {
                let give = give.clone();
                let (table, payload) = (&table, &payload);
                threads.spawn(move || {
                    for round in 0..rounds {
                        let payload = (round % 2 == 0).then_some(payload);
                        give.send(table.enter(Lane::current(), &UNIT, 3, 5, payload)).unwrap();
                    }
                });
            }
            drop(give);
            threads.spawn(|| {
                for ticket in take {
                    left_late.fetch_add(table.leave(Lane::current(), ticket).into(), Ordering::Relaxed);
                }
            });
            threads.spawn(|| {
                for _ in 0..rounds {
                    table.scan(10, |_| None, |_| _ = reports.fetch_add(1, Ordering::Relaxed));
                    assert!(
                        table.list().iter().all(|seen| seen.payload.as_deref().is_none_or(|nine| *nine == 9))
                    );
                }
            });
        });
        assert_eq!(reports.into_inner(), left_late.into_inner());
        assert_eq!((table.list().len(), Arc::strong_count(&payload)), (0, 1));
    }
}
