//! The slots of the table, and the lists of those that are free. A slot belongs to a lane, whose thread then takes and
//! returns it without a lock, or it is common to all lanes. At most [`Slots::quota`] slots belong to one lane. However
//! many runs one thread has had, most of the slots that it returns are therefore free for the runs of every thread.
//! The states of a slot that is not free do not belong here.

use super::FREE;
use crate::base::lane::{Lane, OWNED};
use crate::base::lock::lock;
use crate::base::sizes::CHUNK;
use crate::base::sync::{Arc, AtomicPtr, AtomicU32, AtomicU64, Mutex, Ordering};

pub(super) const NONE: u32 = u32::MAX;
/// The owner of a slot that is common to all lanes.
const COMMON: u32 = u32::MAX;

/// The slots of a table.
#[derive(Debug)]
pub(super) struct Slots<U: 'static, T> {
    chunks: Box<[AtomicPtr<Chunk<U, T>>]>,
    limit: usize,
    lists: [List; OWNED],
    common: Mutex<Common>,
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
pub(super) struct Chunk<U: 'static, T> {
    pub(super) deadlines: [AtomicU64; CHUNK],
    pub(super) slots: [Slot<U, T>; CHUNK],
}

#[derive(Debug)]
pub(super) struct Slot<U: 'static, T> {
    pub(super) started: AtomicU64,
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

impl<U: Sync + 'static, T: Send + Sync> Slots<U, T> {
    /// Creates at most `limit` slots, as they are needed.
    pub(super) fn new(limit: usize) -> Self {
        let empty = || AtomicPtr::new(std::ptr::null_mut());
        Slots {
            chunks: (0..limit.div_ceil(CHUNK)).map(|_| empty()).collect(),
            limit,
            lists: std::array::from_fn(|_| List {
                own: AtomicU32::new(NONE),
                returned: AtomicU32::new(NONE),
            }),
            common: Mutex::new(Common { chunks: 0, free: Vec::new(), owned: [0; OWNED] }),
        }
    }

    /// Returns the number of bytes that the slots use on the heap.
    pub(super) fn memory(&self) -> usize {
        let common = lock(&self.common);
        common.chunks * size_of::<Chunk<U, T>>()
            + size_of_val(&*self.chunks)
            + common.free.capacity() * size_of::<u32>()
    }

    /// Calls `f` for each chunk, with the index of its first slot.
    pub(super) fn each_chunk(&self, mut f: impl FnMut(&Chunk<U, T>, u32)) {
        for (number, chunk) in self.chunks.iter().enumerate() {
            // SAFETY: the pointer is null or came from `Box::into_raw` in `grow`. The chunk is freed only when the
            // table is dropped.
            let Some(chunk) = (unsafe { chunk.load(Ordering::Acquire).as_ref() }) else {
                break;
            };
            f(chunk, (number * CHUNK) as u32);
        }
    }

    /// Returns the chunk of a slot, and the place of the slot in the chunk.
    #[inline]
    pub(super) fn chunk(&self, index: u32) -> (&Chunk<U, T>, usize) {
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
    pub(super) fn take(&self, lane: Lane) -> Option<u32> {
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

    /// Returns the slot to its list of free slots, and its payload to the caller. The caller must be the only owner of
    /// the slot. To drop the payload may call foreign code, so the caller must hold no lock when it does so.
    #[inline(always)]
    pub(super) fn give_back(&self, lane: Lane, index: u32) -> Option<Arc<T>> {
        let (chunk, at) = self.chunk(index);
        let slot = &chunk.slots[at];
        let payload = slot.payload.load(Ordering::Relaxed);
        let payload = (!payload.is_null()).then(|| {
            slot.payload.store(std::ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: the pointer came from `Arc::into_raw` in `fill`, and is taken out only once. This thread became
            // the only owner of the slot, either by its swap of the deadline (`leave`) or by its failed exchange (a
            // scan).
            unsafe { Arc::from_raw(payload) }
        });
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
                    Ok(_) => break,
                    Err(other) => head = other,
                }
            }
        }
        payload
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

    /// Fills the slot, which the caller has taken.
    #[inline(always)]
    pub(super) fn fill(&self, unit: &'static U, started: u64, payload: Option<&Arc<T>>) {
        self.started.store(started, Ordering::Relaxed);
        self.unit.store(std::ptr::from_ref(unit).cast_mut(), Ordering::Relaxed);
        if let Some(payload) = payload {
            self.payload.store(Arc::into_raw(Arc::clone(payload)).cast_mut(), Ordering::Relaxed);
        }
    }

    /// Returns the unit and the payload. The caller must be a scanner that made the slot BUSY.
    pub(super) fn content(&self) -> (&'static U, Option<Arc<T>>) {
        let payload = self.payload.load(Ordering::Relaxed);
        let payload = (!payload.is_null()).then(|| {
            // SAFETY: the pointer came from `Arc::into_raw` in `fill`. The slot's own reference keeps the payload
            // alive while the slot is BUSY. The reference that is added here belongs to the returned `Arc`.
            unsafe {
                Arc::increment_strong_count(payload);
                Arc::from_raw(payload)
            }
        });
        // SAFETY: `fill` stored a `&'static U` before `enter` stored the deadline that the scanner has exchanged for
        // BUSY.
        let unit = unsafe { &*self.unit.load(Ordering::Relaxed) };
        (unit, payload)
    }
}

impl<U: 'static, T> Drop for Slots<U, T> {
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
                    // SAFETY: the pointer came from `Arc::into_raw` in `fill`, and `give_back` has not taken it out.
                    drop(unsafe { Arc::from_raw(payload) });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::scope;

    use super::super::{LIMIT, Table, Ticket};
    use super::*;
    use crate::stats::account::NEVER;

    static UNIT: &str = "unit";

    fn table(limit: usize) -> Table<&'static str, u64> {
        Table::new(limit)
    }

    fn enter(table: &Table<&'static str, u64>) -> Ticket {
        table.enter(Lane::current(), &UNIT, 3, NEVER, None)
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
            (3 * size_of::<Chunk<&'static str, u64>>(), lock(&table.slots.common).free.capacity() * 4);
        assert_eq!(table.memory(), chunks + size_of_val(&*table.slots.chunks) + free, "slots are reused");
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn slots_that_one_thread_has_used_are_free_for_every_thread() {
        let table = table(LIMIT);
        let elsewhere = |f: &(dyn Fn() + Sync)| scope(|threads| threads.spawn(f).join().unwrap());
        let tickets: Vec<_> = (0..LIMIT).map(|_| enter(&table)).collect();
        assert_eq!(table.untracked(), 0, "one thread can use the whole table");
        elsewhere(&|| assert_eq!(enter(&table), Ticket::UNTRACKED));
        // Each slot that becomes free is free for every thread, whichever it is.
        for ticket in &tickets[..10] {
            table.leave(Lane::current(), *ticket);
            elsewhere(&|| {
                let ticket = enter(&table);
                assert_ne!(ticket, Ticket::UNTRACKED);
                table.leave(Lane::current(), ticket);
            });
        }
        for ticket in &tickets[10..] {
            table.leave(Lane::current(), *ticket);
        }
        // The thread that used the table does nothing from now on.
        let most = LIMIT - table.slots.quota();
        elsewhere(&|| {
            let tickets: Vec<_> = (0..most).map(|_| enter(&table)).collect();
            assert!(tickets.iter().all(|ticket| *ticket != Ticket::UNTRACKED));
            tickets.into_iter().for_each(|ticket| _ = table.leave(Lane::current(), ticket));
        });
        assert_eq!((table.untracked(), table.list().len()), (1, 0));
    }

    #[test]
    fn at_most_a_quota_of_free_slots_is_kept_by_each_thread() {
        let table = table(LIMIT);
        let used = |runs: usize| {
            let tickets: Vec<_> = (0..runs).map(|_| enter(&table)).collect();
            tickets.into_iter().for_each(|ticket| _ = table.leave(Lane::current(), ticket));
        };
        used(3 * table.slots.quota());
        used(3 * table.slots.quota());
        let common = lock(&table.slots.common);
        assert_eq!(common.owned[Lane::current().index()], table.slots.quota());
        assert_eq!(common.free.len(), 2 * table.slots.quota());
    }
}
