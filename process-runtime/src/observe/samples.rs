//! The samples of one lane: a bounded buffer that runs fill and a drain empties. The meaning of a sample must not go in
//! here.

use crate::base::lane::Lane;
use crate::base::lock::lock;
use crate::base::sizes::SAMPLES;
use crate::base::sync::{AtomicU64, AtomicUsize, Mutex, OnceLock, Ordering, UnsafeCell, constructor};

/// A ring buffer with one producer and one consumer; the consumer's caller holds a lock. Lanes that several threads
/// share use a vector behind a lock instead. The alignment keeps two lanes from writing to the same cache line, or to
/// two lines that the processor fetches together.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Samples<T> {
    ring: OnceLock<Box<[UnsafeCell<Option<T>>]>>,
    /// The number of samples written since the start. The difference to `read` is the number of waiting samples.
    written: AtomicUsize,
    /// The number of samples read since the start.
    read: AtomicUsize,
    shared: Mutex<Vec<T>>,
    /// The number of samples that were dropped because the buffer was full.
    dropped: AtomicU64,
}

// SAFETY: a cell of the ring is written by the lane's only thread while `written - read` excludes it from
// the consumer's part, and read by the one consumer while it is included; `written` and `read` are
// released and acquired around both. `T: Send` because samples move from the producers to the consumer.
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

    /// Adds a sample. Returns the number of waiting samples, or `None` if the buffer is full and the sample is dropped.
    /// `lane` must be the lane of the current thread and the lane of this buffer.
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
        // SAFETY: only this thread writes, and the consumer has read the cell's last sample (see `Sync`).
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

    /// Takes every waiting sample. Only one thread at a time may call this.
    pub(crate) fn drain(&self, mut f: impl FnMut(T)) {
        let written = self.written.load(Ordering::Acquire);
        let mut read = self.read.load(Ordering::Relaxed);
        while read != written {
            // SAFETY: it was written before `written` was released, and is not written again before
            // `read` is (see `Sync`).
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

    /// The crate `model-checks` tests the same under every possible schedule.
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
