//! The table of runs in flight. It has a bounded number of slots, and each run in flight occupies one slot. The
//! threads that run processes write to the slots. One thread at a time scans the slots: the watchdog, or a thread
//! that lists runs. A run enters by storing its deadline in a slot, and leaves by swapping [`FREE`] into the slot.
//! Entering and leaving do not wait for a scan. Units and payloads are opaque to the table.
//!
//! The deadline of a slot is also its state, as the diagram shows. To return a slot means to put it on a list of free
//! slots. A slot belongs to a lane, whose thread then takes and returns it without a lock, or it is common to all
//! lanes. At most [`Table::quota`] slots belong to one lane. However many runs one thread has had, most of the slots
//! that it returns are therefore free for the runs of every thread.
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

use crate::base::lane::{Lane, OWNED};
use crate::base::lock::lock;
use crate::base::sizes::CHUNK;
use crate::base::sync::{Arc, AtomicPtr, AtomicU32, AtomicU64, Mutex, Ordering};
use crate::stats::account::NEVER;

const FREE: u64 = 0;
const BUSY: u64 = u64::MAX;
const BUSY_REPORTED: u64 = u64::MAX - 1;
const REPORTED: u64 = u64::MAX - 2;

const NONE: u32 = u32::MAX;
/// The owner of a slot that is common to all lanes.
const COMMON: u32 = u32::MAX;

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
    chunks: Box<[AtomicPtr<Chunk<U, T>>]>,
    limit: usize,
    lists: [List; OWNED],
    common: Mutex<Common>,
    untracked: AtomicU64,
    scanning: Mutex<()>,
}

/// What all lanes have in common.
#[derive(Debug)]
struct Common {
    /// The number of chunks so far.
    chunks: usize,
    /// The free slots that are common to all lanes.
    free: Vec<u32>,
    /// The number of slots that belong to each lane.
    owned: [usize; OWNED],
}

/// A part of the table. Deadlines have an array of their own, because for a run that is on time, a scan reads the
/// deadline and nothing else.
#[derive(Debug)]
struct Chunk<U: 'static, T> {
    deadlines: [AtomicU64; CHUNK],
    slots: [Slot<U, T>; CHUNK],
}

#[derive(Debug)]
struct Slot<U: 'static, T> {
    started: AtomicU64,
    unit: AtomicPtr<U>,
    payload: AtomicPtr<T>,
    next: AtomicU32,
    /// The lane to whose list the slot returns, or [`COMMON`]. A thread that has the slot, or that holds the lock of
    /// what is common, changes it.
    owner: AtomicU32,
}

/// The free slots of one lane: a stack that only the lane's thread uses, and a stack to which other threads return
/// slots.
#[derive(Debug)]
#[repr(align(64))]
struct List {
    own: AtomicU32,
    returned: AtomicU32,
}

impl<U: Sync + 'static, T: Send + Sync> Table<U, T> {
    /// Creates a table for at most `limit` runs. The table allocates memory as runs enter, and keeps it until it is
    /// dropped.
    pub(crate) fn new(limit: usize) -> Self {
        let empty = || AtomicPtr::new(std::ptr::null_mut());
        Table {
            chunks: (0..limit.div_ceil(CHUNK)).map(|_| empty()).collect(),
            limit,
            lists: std::array::from_fn(|_| List {
                own: AtomicU32::new(NONE),
                returned: AtomicU32::new(NONE),
            }),
            common: Mutex::new(Common { chunks: 0, free: Vec::new(), owned: [0; OWNED] }),
            untracked: AtomicU64::new(0),
            scanning: Mutex::new(()),
        }
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
        let Some(index) = self.take(lane) else {
            self.untracked.fetch_add(1, Ordering::Relaxed);
            return Ticket::UNTRACKED;
        };
        let (chunk, at) = self.chunk(index);
        let slot = &chunk.slots[at];
        slot.started.store(started, Ordering::Relaxed);
        slot.unit.store(std::ptr::from_ref(unit).cast_mut(), Ordering::Relaxed);
        if let Some(payload) = payload {
            slot.payload.store(Arc::into_raw(Arc::clone(payload)).cast_mut(), Ordering::Relaxed);
        }
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
        let (chunk, at) = self.chunk(index);
        match chunk.deadlines[at].swap(FREE, Ordering::AcqRel) {
            BUSY => false,
            BUSY_REPORTED => true,
            old => {
                self.give_back(lane, index);
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
        let common = lock(&self.common);
        common.chunks * size_of::<Chunk<U, T>>()
            + size_of_val(&*self.chunks)
            + common.free.capacity() * size_of::<u32>()
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
        self.each_chunk(|chunk, first| {
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
                let seen = chunk.slots[at].look(false);
                let state = confirm(&seen).map_or(REPORTED, |deadline| deadline.clamp(1, NEVER));
                if cell.compare_exchange(BUSY, state, Ordering::Release, Ordering::Relaxed).is_err() {
                    self.give_back(Lane::current(), first + at as u32);
                } else if state == REPORTED {
                    late.push(seen);
                } else {
                    next = next.min(state);
                }
            }
        });
        drop(scanning);
        // `report` calls foreign code, which may list runs. If this thread still held the lock, that code would wait
        // for the lock for ever.
        late.into_iter().for_each(&mut report);
        (next < NEVER).then_some(next)
    }

    /// Returns every run in the table.
    pub(crate) fn list(&self) -> Vec<Seen<U, T>> {
        let _scanning = lock(&self.scanning);
        let mut all = Vec::new();
        self.each_chunk(|chunk, first| {
            for (at, cell) in chunk.deadlines.iter().enumerate() {
                let state = cell.load(Ordering::Relaxed);
                let busy = if state == REPORTED { BUSY_REPORTED } else { BUSY };
                if state == FREE
                    || cell.compare_exchange(state, busy, Ordering::Acquire, Ordering::Relaxed).is_err()
                {
                    continue;
                }
                let seen = chunk.slots[at].look(state == REPORTED);
                if cell.compare_exchange(busy, state, Ordering::Release, Ordering::Relaxed).is_err() {
                    self.give_back(Lane::current(), first + at as u32);
                } else {
                    all.push(seen);
                }
            }
        });
        all
    }

    fn each_chunk(&self, mut f: impl FnMut(&Chunk<U, T>, u32)) {
        for (number, chunk) in self.chunks.iter().enumerate() {
            // SAFETY: the pointer is null or came from `Box::into_raw` in `grow`. The chunk is freed only when the
            // table is dropped.
            let Some(chunk) = (unsafe { chunk.load(Ordering::Acquire).as_ref() }) else {
                break;
            };
            f(chunk, (number * CHUNK) as u32);
        }
    }

    #[inline]
    fn chunk(&self, index: u32) -> (&Chunk<U, T>, usize) {
        let chunk = self.chunks[index as usize / CHUNK].load(Ordering::Acquire);
        // SAFETY: an index is handed out only after its chunk was stored (`grow`), and chunks are freed
        // only when the table is dropped.
        (unsafe { &*chunk }, index as usize % CHUNK)
    }

    #[inline]
    fn next(&self, index: u32) -> &AtomicU32 {
        let (chunk, at) = self.chunk(index);
        &chunk.slots[at].next
    }

    /// Takes a free slot, and returns its index; `None` if the table is full.
    #[inline]
    fn take(&self, lane: Lane) -> Option<u32> {
        if !lane.is_owned() {
            return self.refill(lane);
        }
        let list = &self.lists[lane.index()];
        let mut head = list.own.load(Ordering::Relaxed);
        if head == NONE {
            head = list.returned.swap(NONE, Ordering::Acquire);
            if head == NONE {
                return self.refill(lane);
            }
        }
        list.own.store(self.next(head).load(Ordering::Relaxed), Ordering::Relaxed);
        Some(head)
    }

    /// Drops the payload of a slot, and returns the slot to its list of free slots. The caller must be the only owner
    /// of the slot.
    #[inline(always)]
    fn give_back(&self, lane: Lane, index: u32) {
        let (chunk, at) = self.chunk(index);
        let slot = &chunk.slots[at];
        let payload = slot.payload.load(Ordering::Relaxed);
        if !payload.is_null() {
            slot.payload.store(std::ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: the pointer came from `Arc::into_raw` in `enter`, and is taken out only once. This thread
            // became the only owner of the slot, either by its swap of the deadline (`leave`) or by its failed
            // exchange (a scan).
            drop(unsafe { Arc::from_raw(payload) });
        }
        let owner = slot.owner.load(Ordering::Relaxed);
        if owner == COMMON {
            lock(&self.common).free.push(index);
        } else if lane.is_owned() && owner == lane.index() as u32 {
            let own = &self.lists[lane.index()].own;
            slot.next.store(own.load(Ordering::Relaxed), Ordering::Relaxed);
            own.store(index, Ordering::Relaxed);
        } else {
            // Threads push one slot or take the whole list, so an unchanged head means an unchanged list.
            let returned = &self.lists[owner as usize].returned;
            let mut head = returned.load(Ordering::Relaxed);
            loop {
                slot.next.store(head, Ordering::Relaxed);
                match returned.compare_exchange_weak(head, index, Ordering::Release, Ordering::Relaxed) {
                    Ok(_) => return,
                    Err(other) => head = other,
                }
            }
        }
    }

    /// The maximum number of slots that belong to one lane.
    fn quota(&self) -> usize {
        (self.limit / (4 * OWNED)).max(CHUNK)
    }

    /// Takes a free slot that is common to all lanes; `None` if the table is full. If fewer slots than its quota belong
    /// to the lane, also makes some slots the lane's own.
    #[cold]
    fn refill(&self, lane: Lane) -> Option<u32> {
        let mut common = lock(&self.common);
        let may_own = lane.is_owned() && common.owned[lane.index()] < self.quota();
        let added = if may_own || common.free.is_empty() { self.grow(&mut common) } else { 0 };
        if common.free.is_empty() {
            self.reclaim(&mut common);
        }
        // If few slots are free, they remain common.
        let own = match (may_own, added) {
            (false, _) => 0,
            (true, 0) => CHUNK.min(common.free.len() / (2 * OWNED)),
            (true, added) => added,
        };
        if own == 0 {
            return common.free.pop();
        }
        common.owned[lane.index()] += own;
        let first = common.free.len() - own;
        let mut next = NONE;
        for index in common.free.drain(first..) {
            let (chunk, at) = self.chunk(index);
            chunk.slots[at].owner.store(lane.index() as u32, Ordering::Relaxed);
            chunk.slots[at].next.store(next, Ordering::Relaxed);
            next = index;
        }
        self.lists[lane.index()].own.store(self.next(next).load(Ordering::Relaxed), Ordering::Relaxed);
        Some(next)
    }

    /// Adds a chunk, and returns the number of its slots; 0 if the table cannot grow.
    fn grow(&self, common: &mut Common) -> usize {
        let first = common.chunks * CHUNK;
        let slots = CHUNK.min(self.limit.saturating_sub(first));
        if slots > 0 {
            let chunk = Box::new(Chunk {
                deadlines: std::array::from_fn(|_| AtomicU64::new(FREE)),
                slots: std::array::from_fn(|_| Slot::empty()),
            });
            self.chunks[common.chunks].store(Box::into_raw(chunk), Ordering::Release);
            common.chunks += 1;
            common.free.extend((first..first + slots).rev().map(|index| index as u32));
        }
        slots
    }

    /// Makes slots of other lanes common when no slot is free and the table cannot grow. First looks at the slots that
    /// were returned to a lane and that the thread of the lane has not taken back. If there are none, every slot in use
    /// becomes common, so that it is free for every lane as soon as its run leaves.
    fn reclaim(&self, common: &mut Common) {
        for (list, owned) in self.lists.iter().zip(&mut common.owned) {
            let mut returned = list.returned.swap(NONE, Ordering::Acquire);
            while returned != NONE {
                let (chunk, at) = self.chunk(returned);
                chunk.slots[at].owner.store(COMMON, Ordering::Relaxed);
                *owned = owned.saturating_sub(1);
                common.free.push(returned);
                returned = chunk.slots[at].next.load(Ordering::Relaxed);
            }
            if !common.free.is_empty() {
                return;
            }
        }
        if common.owned != [0; OWNED] {
            common.owned = [0; OWNED];
            self.each_chunk(|chunk, _| {
                chunk.slots.iter().for_each(|slot| slot.owner.store(COMMON, Ordering::Relaxed));
            });
        }
    }
}

impl<U: 'static, T> Slot<U, T> {
    fn empty() -> Self {
        Slot {
            started: AtomicU64::new(0),
            unit: AtomicPtr::new(std::ptr::null_mut()),
            payload: AtomicPtr::new(std::ptr::null_mut()),
            next: AtomicU32::new(NONE),
            owner: AtomicU32::new(COMMON),
        }
    }

    /// Copies the slot. The caller must be a scanner that made the slot BUSY.
    fn look(&self, reported: bool) -> Seen<U, T> {
        let payload = self.payload.load(Ordering::Relaxed);
        let payload = (!payload.is_null()).then(|| {
            // SAFETY: the pointer came from `Arc::into_raw` in `enter`. The slot's own reference keeps the payload
            // alive while the slot is BUSY. The reference that is added here belongs to the returned `Arc`.
            unsafe {
                Arc::increment_strong_count(payload);
                Arc::from_raw(payload)
            }
        });
        // SAFETY: `enter` stored a `&'static U` before it stored the deadline that the scanner has exchanged for
        // BUSY.
        let unit = unsafe { &*self.unit.load(Ordering::Relaxed) };
        Seen { unit, started: self.started.load(Ordering::Relaxed), payload, reported }
    }
}

impl<U: 'static, T> Drop for Table<U, T> {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            let chunk = chunk.load(Ordering::Relaxed);
            if chunk.is_null() {
                break;
            }
            // SAFETY: the pointer came from `Box::into_raw` in `grow`, and `&mut self` proves that no other thread
            // uses it.
            let chunk = unsafe { Box::from_raw(chunk) };
            for slot in &chunk.slots {
                let payload = slot.payload.load(Ordering::Relaxed);
                if !payload.is_null() {
                    // SAFETY: the pointer came from `Arc::into_raw` in `enter`, and `give_back` has not taken it out.
                    drop(unsafe { Arc::from_raw(payload) });
                }
            }
        }
    }
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
    fn runs_of_several_chunks_are_listed_until_they_leave() {
        let (table, runs) = (table(LIMIT), 2 * CHUNK + 1);
        let payload = Arc::new(9);
        for _ in 0..2 {
            let enter = |_| table.enter(Lane::current(), &UNIT, 3, NEVER, Some(&payload));
            let tickets: Vec<_> = (0..runs).map(enter).collect();
            let seen = table.list();
            assert_eq!(seen.len(), runs);
            assert!(seen.iter().all(|seen| (*seen.unit, seen.started, seen.reported) == (UNIT, 3, false)));
            assert_eq!(Arc::strong_count(&payload), 1 + 2 * runs);
            drop(seen);
            assert!(tickets.into_iter().all(|ticket| !table.leave(Lane::current(), ticket)));
            assert_eq!((table.list().len(), Arc::strong_count(&payload)), (0, 1));
        }
        let (chunks, free) =
            (3 * size_of::<Chunk<&'static str, u64>>(), lock(&table.common).free.capacity() * 4);
        assert_eq!(table.memory(), chunks + size_of_val(&*table.chunks) + free, "slots are reused");
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
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn slots_that_one_thread_has_used_are_free_for_every_thread() {
        let table = table(LIMIT);
        let elsewhere = |f: &(dyn Fn() + Sync)| scope(|threads| threads.spawn(f).join().unwrap());
        let tickets: Vec<_> = (0..LIMIT).map(|_| enter(&table, NEVER)).collect();
        assert_eq!(table.untracked(), 0, "one thread can use the whole table");
        elsewhere(&|| assert_eq!(enter(&table, NEVER), Ticket::UNTRACKED));
        // Each slot that becomes free is free for every thread, whichever it is.
        for ticket in &tickets[..10] {
            table.leave(Lane::current(), *ticket);
            elsewhere(&|| {
                let ticket = enter(&table, NEVER);
                assert_ne!(ticket, Ticket::UNTRACKED);
                table.leave(Lane::current(), ticket);
            });
        }
        for ticket in &tickets[10..] {
            table.leave(Lane::current(), *ticket);
        }
        // The thread that used the table does nothing from now on.
        let most = LIMIT - table.quota();
        elsewhere(&|| {
            let tickets: Vec<_> = (0..most).map(|_| enter(&table, NEVER)).collect();
            assert!(tickets.iter().all(|ticket| *ticket != Ticket::UNTRACKED));
            tickets.into_iter().for_each(|ticket| _ = table.leave(Lane::current(), ticket));
        });
        assert_eq!((table.untracked(), table.list().len()), (1, 0));
    }

    #[test]
    fn at_most_a_quota_of_free_slots_is_kept_by_each_thread() {
        let table = table(LIMIT);
        let used = |runs: usize| {
            let tickets: Vec<_> = (0..runs).map(|_| enter(&table, NEVER)).collect();
            tickets.into_iter().for_each(|ticket| _ = table.leave(Lane::current(), ticket));
        };
        used(3 * table.quota());
        used(3 * table.quota());
        let common = lock(&table.common);
        assert_eq!(common.owned[Lane::current().index()], table.quota());
        assert_eq!(common.free.len(), 2 * table.quota());
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
