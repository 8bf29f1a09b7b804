//! The room of a queue: how many items wait for an exporter or are being sent, and how many bytes they have. A queue
//! that is full is reported. The size of an item belongs to the queue of its signal.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::base::alarm::fork;
use crate::base::cause::Cause;
use crate::base::foreign::limits;

/// The room of one queue. It also counts the items that are being sent, so the SDK's own queue is never full.
#[derive(Debug)]
pub(super) struct Room {
    /// The plural of an item's name.
    name: &'static str,
    /// The variable that limits the number of items.
    variable: &'static str,
    /// The report of a full queue.
    full: &'static Cause,
    items: AtomicUsize,
    bytes: AtomicUsize,
    /// How often the queue had been full when the last export ended.
    losses: AtomicU64,
    /// The maximum number of items.
    most: usize,
    /// Whether nothing is exported any more.
    is_closed: AtomicBool,
}

impl Room {
    pub(super) fn new(name: &'static str, variable: &'static str, full: &'static Cause, most: usize) -> Room {
        let (items, bytes, losses) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicU64::new(0));
        Room { name, variable, full, items, bytes, losses, most, is_closed: AtomicBool::new(false) }
    }

    /// Ends the queue, because its exporter stops.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Takes the place of an item. Returns `false` if the item does not fit, if the queue has ended, or in the child of
    /// a fork, which has no thread that exports.
    pub(super) fn take(&self, bytes: usize) -> bool {
        if self.is_closed.load(Ordering::Relaxed) || fork::is_child() {
            return false;
        }
        let items = self.items.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let limit = limits::queue();
        if items < self.most && waiting.saturating_add(bytes) <= limit {
            return true;
        }
        self.release(1, bytes);
        let Room { name, variable, full, .. } = self;
        match items < self.most {
            false => full.happened(format_args!(
                "{items} {name} ({variable}): further {name} are lost until there is room"
            )),
            true => full.happened(format_args!(
                "{waiting} of {limit} bytes (`Limits::queue`): one with {bytes} bytes is lost, and further {name} are \
                 lost until there is room"
            )),
        }
        false
    }

    /// Gives back the places of items whose export has ended. Ends the report of a full queue if the queue is at most
    /// half full and was not full since the last export.
    pub(super) fn exported(&self, items: usize, bytes: usize) {
        self.release(items, bytes);
        let has_room = self.items.load(Ordering::Relaxed) <= self.most / 2
            && self.bytes.load(Ordering::Relaxed) <= limits::queue() / 2;
        let before = self.losses.swap(self.full.times(), Ordering::Relaxed);
        if has_room {
            self.full.ended_unless_since(before);
        }
    }

    fn release(&self, items: usize, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.items.fetch_sub(items, Ordering::Relaxed);
    }
}
