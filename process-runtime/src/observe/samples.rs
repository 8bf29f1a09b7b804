//! A bounded buffer for the samples of one lane. A lane belongs to one thread or is shared by several threads (see
//! `base::lane`). A run adds its sample to the buffer of its thread's lane, and a drain removes all samples from the
//! buffer. The meaning of a sample does not belong here.

use crate::base::lane::Lane;
use crate::base::lock::lock;
use crate::base::sizes::SAMPLES;
use crate::base::sync::{AtomicU64, AtomicUsize, Mutex, OnceLock, Ordering, UnsafeCell, constructor};

/// The samples of one lane. If a single thread owns the lane, the samples are in a ring buffer with that thread as
/// producer and with one consumer. The caller of [`Samples::drain`] must exclude a second consumer, for example with a
/// lock. If several threads share the lane, the samples are in a vector behind a lock. The alignment keeps the samples
/// of two lanes out of the same cache line, and out of two lines that the processor fetches together.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Samples<T> {
    ring: OnceLock<Box<[UnsafeCell<Option<T>>]>>,
    /// The number of samples written to the ring since the start. The difference between `written` and `read` is the
    /// number of samples that wait there.
    written: AtomicUsize,
    /// The number of samples read from the ring since the start.
    read: AtomicUsize,
    shared: Mutex<Vec<T>>,
    /// The number of samples that were dropped because the buffer was full.
    dropped: AtomicU64,
}

// SAFETY: the cells from `read` to `written` belong to the consumer. Only the lane's one thread, the producer, writes
// a cell, and only while the cell does not belong to the consumer. Only the one consumer reads a cell, and only while
// the cell belongs to the consumer. The producer stores `written` with release after it has written a cell, and loads
// `read` with acquire before it writes a cell. The consumer stores `read` with release after it has read a cell, and
// loads `written` with acquire before it reads a cell. `T: Send` is required because samples move from the producers
// to the consumer.
unsafe impl<T: Send> Sync for Samples<T> {}

impl<T: Copy> Samples<T> {
    constructor! {
        pub(crate) fn new() -> Samples<T> {
            Samples {
                ring: OnceLock::new(),
                written: AtomicUsize::new(0),
                read: AtomicUsize::new(0),
                shared: Mutex::new(Vec::new()),
                dropped: AtomicU64::new(0),
            }
        }
    }

    fn ring(&self) -> &[UnsafeCell<Option<T>>] {
        self.ring.get_or_init(|| (0..SAMPLES).map(|_| UnsafeCell::new(None)).collect())
    }

    /// Adds a sample. Returns the number of waiting samples. If the buffer is full, drops the sample and returns
    /// `None`. `lane` must be the lane of the current thread, and `self` must be the buffer of `lane`.
    #[inline]
    pub(crate) fn push(&self, lane: Lane, sample: T) -> Option<usize> {
        let waiting = if lane.is_owned() { self.push_own(sample) } else { self.push_shared(sample) };
        if waiting.is_none() {
            lane.add(&self.dropped, 1);
        }
        waiting
    }

    /// Adds a sample from the lane's only thread.
    #[inline]
    fn push_own(&self, sample: T) -> Option<usize> {
        let written = self.written.load(Ordering::Relaxed);
        let waiting = written.wrapping_sub(self.read.load(Ordering::Acquire));
        if waiting == SAMPLES {
            return None;
        }
        // SAFETY: only this thread writes cells, and the consumer has read the previous sample in this cell (see
        // `Sync`).
        self.ring()[written % SAMPLES].with_mut(|cell| unsafe { *cell = Some(sample) });
        self.written.store(written.wrapping_add(1), Ordering::Release);
        Some(waiting + 1)
    }

    /// Adds a sample from a thread that shares the lane.
    fn push_shared(&self, sample: T) -> Option<usize> {
        let mut shared = lock(&self.shared);
        if shared.len() == SAMPLES {
            return None;
        }
        shared.push(sample);
        Some(shared.len())
    }

    /// Returns the number of waiting samples.
    pub(crate) fn waiting(&self) -> usize {
        let written = self.written.load(Ordering::Relaxed);
        written.wrapping_sub(self.read.load(Ordering::Relaxed)) + lock(&self.shared).len()
    }

    /// Returns the number of samples dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Removes every waiting sample and passes it to `f`. Only one thread at a time may call this.
    pub(crate) fn drain(&self, mut f: impl FnMut(T)) {
        let written = self.written.load(Ordering::Acquire);
        let mut read = self.read.load(Ordering::Relaxed);
        while read != written {
            // SAFETY: the producer wrote this cell before it stored the value of `written` that was loaded above. It
            // writes the cell again only after `read` has passed the cell (see `Sync`).
            if let Some(sample) = self.ring()[read % SAMPLES].with(|cell| unsafe { *cell }) {
                f(sample);
            }
            read = read.wrapping_add(1);
            self.read.store(read, Ordering::Release);
        }
        let shared = std::mem::take(&mut *lock(&self.shared));
        shared.into_iter().for_each(f);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread::scope;

    use super::*;

    #[test]
    fn samples_are_drained_in_order_and_those_without_room_are_counted() {
        let (samples, lane) = (Samples::new(), Lane::current());
        for round in 1..=2 {
            for sample in 0..SAMPLES {
                assert_eq!(samples.push(lane, sample), Some(sample + 1));
            }
            assert_eq!((samples.push(lane, 0), samples.dropped()), (None, round));
            assert_eq!(samples.waiting(), SAMPLES);
            let mut drained = Vec::new();
            samples.drain(|sample| drained.push(sample));
            assert_eq!(drained, Vec::from_iter(0..SAMPLES));
            assert_eq!(samples.waiting(), 0);
        }
    }

    /// The crate `model-checks` tests the same property under every possible schedule of the threads.
    #[test]
    fn a_sample_is_drained_once_while_its_thread_pushes_more() {
        let pushes = if cfg!(miri) { 200 } else { 100_000 };
        let (samples, is_done) = (Samples::new(), AtomicBool::new(false));
        let mut drained = Vec::new();
        let pushed = scope(|threads| {
            let producer = threads.spawn(|| {
                let lane = Lane::current();
                let pushed: Vec<u64> =
                    (0..pushes).filter(|sample| samples.push(lane, *sample).is_some()).collect();
                is_done.store(true, Ordering::Release);
                pushed
            });
            while !is_done.load(Ordering::Acquire) {
                samples.drain(|sample| drained.push(sample));
                std::thread::yield_now();
            }
            producer.join().unwrap()
        });
        samples.drain(|sample| drained.push(sample));
        assert_eq!(drained, pushed);
        assert_eq!(samples.dropped() + drained.len() as u64, pushes);
    }
}
