//! Which runs are going on: a bounded table of slots, written by the threads that run and scanned by one
//! reader at a time (the watchdog, or whoever lists runs). A run pays one plain store to enter and one
//! atomic swap to leave; nobody ever waits for anybody.
//!
//! A slot's deadline is also its state:
//!
//! ```text
//! FREE ──enter──▶ deadline ──scan: past──▶ BUSY ──▶ TOLD        (the run is late and was told of)
//!                    │                      │         │
//!                    └──────── leave ───────┼─────────┴──▶ FREE  (the leaver returns the slot)
//!                                           └──▶ FREE            (the scanner finds it so, and returns it)
//! ```
//!
//! While a slot is BUSY the scanner owns what it holds; a run that leaves meanwhile only marks it FREE.
//! A slot that was TOLD is BUSY_TOLD under a scanner, so that its leaver still learns of it.

use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::base::lane::{Lane, OWNED};
use crate::base::lock::lock;

const FREE: u64 = 0;
const BUSY: u64 = u64::MAX;
const BUSY_TOLD: u64 = u64::MAX - 1;
const TOLD: u64 = u64::MAX - 2;
/// The deadline of what has no SLA.
pub(crate) const NEVER: u64 = u64::MAX - 3;

const CHUNK: usize = 256;
const NONE: u32 = u32::MAX;
const SHARED: usize = usize::MAX;

/// The most runs that the global table tracks.
pub(crate) const LIMIT: usize = 1 << 17;

/// Where a run stands in the table; [`Ticket::UNTRACKED`] where there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

impl Ticket {
    pub(crate) const UNTRACKED: Ticket = Ticket(NONE);
}

/// One run, as a scanner sees it.
#[derive(Debug)]
pub(crate) struct Seen<U: 'static, T> {
    pub(crate) unit: &'static U,
    pub(crate) started: u64,
    pub(crate) payload: Option<Arc<T>>,
    /// Whether it was already told of as late.
    pub(crate) told: bool,
}

/// Runs of units `U` with an optional payload `T`.
#[derive(Debug)]
pub(crate) struct Table<U: 'static, T> {
    chunks: Box<[AtomicPtr<Chunk<U, T>>]>,
    limit: usize,
    grown: Mutex<usize>,
    lists: [List; OWNED],
    shared: Mutex<Vec<u32>>,
    untracked: AtomicU64,
    scanning: Mutex<()>,
}

/// Deadlines stand apart from the rest, since a scan reads nothing else of a run that is on time.
#[derive(Debug)]
struct Chunk<U: 'static, T> {
    deadlines: [AtomicU64; CHUNK],
    slots: [Slot<U, T>; CHUNK],
    /// The lane whose list its slots return to, or [`SHARED`].
    lane: usize,
}

#[derive(Debug)]
struct Slot<U: 'static, T> {
    started: AtomicU64,
    unit: AtomicPtr<U>,
    payload: AtomicPtr<T>,
    next: AtomicU32,
}

/// The free slots of one lane: a stack that only its thread touches, and one that others return to.
#[derive(Debug)]
#[repr(align(64))]
struct List {
    own: AtomicU32,
    returned: AtomicU32,
}

impl<U: Sync + 'static, T: Send + Sync> Table<U, T> {
    /// A table of at most `limit` runs. Memory is taken as runs come, and kept.
    pub(crate) fn new(limit: usize) -> Self {
        let empty = || AtomicPtr::new(std::ptr::null_mut());
        Table {
            chunks: (0..limit.div_ceil(CHUNK)).map(|_| empty()).collect(),
            limit,
            grown: Mutex::new(0),
            lists: [const { List { own: AtomicU32::new(NONE), returned: AtomicU32::new(NONE) } }; OWNED],
            shared: Mutex::new(Vec::new()),
            untracked: AtomicU64::new(0),
            scanning: Mutex::new(()),
        }
    }

    /// A run enters. `deadline` is in ticks.
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

    /// A run leaves. Whether it was told of as late.
    #[inline]
    pub(crate) fn leave(&self, lane: Lane, ticket: Ticket) -> bool {
        let Ticket(index) = ticket;
        if index == NONE {
            return false;
        }
        let (chunk, at) = self.chunk(index);
        match chunk.deadlines[at].swap(FREE, Ordering::AcqRel) {
            BUSY => false,
            BUSY_TOLD => true,
            old => {
                self.give_back(lane, index);
                old == TOLD
            }
        }
    }

    /// Runs that found no room since the start.
    pub(crate) fn untracked(&self) -> u64 {
        self.untracked.load(Ordering::Relaxed)
    }

    /// Heap bytes.
    pub(crate) fn memory(&self) -> usize {
        *lock(&self.grown) * size_of::<Chunk<U, T>>() + size_of_val(&*self.chunks)
    }

    /// Tells of each run whose deadline is before `limit`, once. `confirm` may set another deadline instead (the
    /// clock knows its rate better by now). Returns the next deadline.
    pub(crate) fn scan(
        &self,
        limit: u64,
        mut confirm: impl FnMut(&Seen<U, T>) -> Option<u64>,
        mut tell: impl FnMut(Seen<U, T>),
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
                let state = confirm(&seen).map_or(TOLD, |deadline| deadline.clamp(1, NEVER));
                if cell.compare_exchange(BUSY, state, Ordering::Release, Ordering::Relaxed).is_err() {
                    self.give_back(Lane::current(), first + at as u32);
                } else if state == TOLD {
                    late.push(seen);
                } else {
                    next = next.min(state);
                }
            }
        });
        drop(scanning);
        // What is told calls foreign code, which may list runs itself.
        late.into_iter().for_each(&mut tell);
        (next < NEVER).then_some(next)
    }

    /// Every run that is going on.
    pub(crate) fn list(&self) -> Vec<Seen<U, T>> {
        let _scanning = lock(&self.scanning);
        let mut all = Vec::new();
        self.each_chunk(|chunk, first| {
            for (at, cell) in chunk.deadlines.iter().enumerate() {
                let state = cell.load(Ordering::Relaxed);
                let busy = if state == TOLD { BUSY_TOLD } else { BUSY };
                if state == FREE
                    || cell.compare_exchange(state, busy, Ordering::Acquire, Ordering::Relaxed).is_err()
                {
                    continue;
                }
                let seen = chunk.slots[at].look(state == TOLD);
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
            // SAFETY: null, or from `Box::into_raw` in `grow`, and freed only when the table is dropped.
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

    /// Takes a free slot for this thread.
    #[inline]
    fn take(&self, lane: Lane) -> Option<u32> {
        if !lane.is_owned() {
            let free = lock(&self.shared).pop();
            return free.or_else(|| self.grow(SHARED));
        }
        let list = &self.lists[lane.index()];
        let mut head = list.own.load(Ordering::Relaxed);
        if head == NONE {
            head = list.returned.swap(NONE, Ordering::Acquire);
            if head == NONE {
                return self.grow(lane.index());
            }
        }
        list.own.store(self.next(head).load(Ordering::Relaxed), Ordering::Relaxed);
        Some(head)
    }

    /// Drops what the slot holds and frees it. The caller is the only one who knows the slot.
    #[inline(always)]
    fn give_back(&self, lane: Lane, index: u32) {
        let (chunk, at) = self.chunk(index);
        let slot = &chunk.slots[at];
        let payload = slot.payload.load(Ordering::Relaxed);
        if !payload.is_null() {
            slot.payload.store(std::ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: the pointer came from `Arc::into_raw` in `enter`, and is taken out exactly once: the
            // deadline's swap, or its failed exchange, made this thread the slot's only owner.
            drop(unsafe { Arc::from_raw(payload) });
        }
        if chunk.lane == SHARED {
            lock(&self.shared).push(index);
        } else if lane.is_owned() && chunk.lane == lane.index() {
            let own = &self.lists[chunk.lane].own;
            slot.next.store(own.load(Ordering::Relaxed), Ordering::Relaxed);
            own.store(index, Ordering::Relaxed);
        } else {
            // Only pushes and taking all happen here, so a head seen twice is the same list.
            let returned = &self.lists[chunk.lane].returned;
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

    /// Adds a chunk whose slots return to `lane`, and takes its first slot.
    #[cold]
    fn grow(&self, lane: usize) -> Option<u32> {
        let mut grown = lock(&self.grown);
        let first = *grown * CHUNK;
        let slots = CHUNK.min(self.limit.saturating_sub(first));
        if slots == 0 {
            return self.steal();
        }
        let chunk = Box::new(Chunk {
            deadlines: [const { AtomicU64::new(FREE) }; CHUNK],
            slots: std::array::from_fn(|_| Slot::empty()),
            lane,
        });
        for at in 1..slots {
            let next = if at + 1 < slots { (first + at + 1) as u32 } else { NONE };
            chunk.slots[at].next.store(next, Ordering::Relaxed);
        }
        self.chunks[*grown].store(Box::into_raw(chunk), Ordering::Release);
        *grown += 1;
        drop(grown);
        if lane == SHARED {
            lock(&self.shared).extend((first + 1..first + slots).map(|index| index as u32));
        } else {
            let rest = if slots > 1 { (first + 1) as u32 } else { NONE };
            self.lists[lane].own.store(rest, Ordering::Relaxed);
        }
        Some(first as u32)
    }

    /// At the bound, a slot that was returned to a thread which has not come for it.
    fn steal(&self) -> Option<u32> {
        self.lists
            .iter()
            .find_map(|list| {
                let head = list.returned.swap(NONE, Ordering::Acquire);
                if head == NONE {
                    return None;
                }
                let mut rest = self.next(head).load(Ordering::Relaxed);
                while rest != NONE {
                    let after = self.next(rest).load(Ordering::Relaxed);
                    lock(&self.shared).push(rest);
                    rest = after;
                }
                Some(head)
            })
            .or_else(|| lock(&self.shared).pop())
    }
}

impl<U: 'static, T> Slot<U, T> {
    fn empty() -> Self {
        Slot {
            started: AtomicU64::new(0),
            unit: AtomicPtr::new(std::ptr::null_mut()),
            payload: AtomicPtr::new(std::ptr::null_mut()),
            next: AtomicU32::new(NONE),
        }
    }

    /// What a scanner that made the slot BUSY sees.
    fn look(&self, told: bool) -> Seen<U, T> {
        let payload = self.payload.load(Ordering::Relaxed);
        let payload = (!payload.is_null()).then(|| {
            // SAFETY: the pointer came from `Arc::into_raw` in `enter`, and the slot's own count keeps it
            // alive while the slot is BUSY; the count added here is the one that is returned.
            unsafe {
                Arc::increment_strong_count(payload);
                Arc::from_raw(payload)
            }
        });
        // SAFETY: `enter` stored a `&'static U` before it stored the deadline that was just exchanged.
        let unit = unsafe { &*self.unit.load(Ordering::Relaxed) };
        Seen { unit, started: self.started.load(Ordering::Relaxed), payload, told }
    }
}

impl<U: 'static, T> Drop for Table<U, T> {
    fn drop(&mut self) {
        for chunk in &mut self.chunks {
            let chunk = *chunk.get_mut();
            if chunk.is_null() {
                break;
            }
            // SAFETY: from `Box::into_raw` in `grow`; `&mut self` proves that nobody holds it.
            let mut chunk = unsafe { Box::from_raw(chunk) };
            for slot in &mut chunk.slots {
                let payload = *slot.payload.get_mut();
                if !payload.is_null() {
                    // SAFETY: from `Arc::into_raw` in `enter`, and not taken out by `give_back`.
                    drop(unsafe { Arc::from_raw(payload) });
                }
            }
        }
    }
}
