//! A global allocator that counts allocations. Each thread has its own count. Therefore the allocations of an
//! exporter's thread are not attributed to the caller, and threads do not contend for a shared count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Sub;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

/// The allocations of one thread since it started. Subtract an earlier value to get the allocations in between.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocated {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) freed_bytes: u64,
}

thread_local! {
    static ALLOCATED: Cell<Allocated> = const {
        Cell::new(Allocated { count: 0, bytes: 0, freed_bytes: 0 })
    };
}

impl Allocated {
    pub(crate) fn by_this_thread() -> Allocated {
        ALLOCATED.get()
    }

    /// Returns the bytes that were allocated and are not freed.
    pub(crate) fn held(self) -> u64 {
        self.bytes - self.freed_bytes
    }
}

impl Sub for Allocated {
    type Output = Allocated;

    fn sub(self, earlier: Allocated) -> Allocated {
        Allocated {
            count: self.count - earlier.count,
            bytes: self.bytes - earlier.bytes,
            freed_bytes: self.freed_bytes - earlier.freed_bytes,
        }
    }
}

/// Changes the count of this thread. Has no effect while the thread's locals are being destroyed, when the
/// thread may still allocate and free.
fn note(change: impl FnOnce(&mut Allocated)) {
    let _ = ALLOCATED.try_with(|cell| {
        let mut allocated = cell.get();
        change(&mut allocated);
        cell.set(allocated);
    });
}

// SAFETY: every call is passed to `System` unchanged; the counters neither allocate nor unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(|so_far| {
            so_far.count += 1;
            so_far.bytes += layout.size() as u64;
        });
        // SAFETY: the caller promises for `layout` what `System` requires.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(|so_far| so_far.freed_bytes += layout.size() as u64);
        // SAFETY: `pointer` came from `System` with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(|so_far| {
            so_far.count += 1;
            so_far.bytes += layout.size() as u64;
        });
        // SAFETY: as in `alloc`. The call is forwarded so that the system can map large zeroed tables lazily.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(|so_far| {
            so_far.count += 1;
            so_far.bytes += size as u64;
            so_far.freed_bytes += layout.size() as u64;
        });
        // SAFETY: as in `dealloc`, and the caller promises that `size` is not zero.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
