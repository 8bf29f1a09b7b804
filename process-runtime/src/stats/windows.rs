//! The figures of the last 1, 5 and 60 minutes. They are differences between snapshots of an account, so a run spends
//! no time on them. A slice holds the figures of one period. New slices are 5 s long; as they age, they are merged to
//! slices of 30 s, then of 5 min. A slice keeps only the counts of the histogram buckets from its fastest to its
//! slowest run, and stores each count in as few bytes as possible. All times are in ticks; clocks do not belong here.

use std::collections::VecDeque;

use crate::stats::account::{ENDS, Totals};
use crate::stats::histogram::BUCKETS;

/// The length of the finest slice, in seconds, and the shortest useful interval between calls of [`Windows::roll`].
pub(crate) const SLICE_SECONDS: u64 = 5;

/// Slices of 5 s, 30 s and 5 min, for the last 1, 5 and 60 minutes.
const LEVELS: [Level; 3] =
    [Level { rolls: 1, kept: 12 }, Level { rolls: 6, kept: 10 }, Level { rolls: 60, kept: 12 }];

/// The slices of one length.
struct Level {
    /// The number of finest slices in one slice of the level.
    rolls: u32,
    /// The number of slices that the level keeps.
    kept: usize,
}

/// The recent figures of one account. Times are ticks.
#[derive(Debug)]
pub(crate) struct Windows {
    rolled_at: u64,
    rolled: Totals,
    levels: [VecDeque<Slice>; LEVELS.len()],
}

/// The figures of one period.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) started: u64,
    pub(crate) ended: [u64; ENDS],
    pub(crate) longest: u64,
    /// The number of finest slices that are merged in this slice.
    rolls: u32,
    buckets: Packed,
}

impl Windows {
    pub(crate) fn new(now: u64) -> Windows {
        Windows { rolled_at: now, rolled: Totals::default(), levels: Default::default() }
    }

    /// Returns whether the current slice is full, which is so once `slice` ticks have passed since the last roll.
    pub(crate) fn is_due(&self, now: u64, slice: u64) -> bool {
        now.saturating_sub(self.rolled_at) >= slice
    }

    /// Closes the current slice, which ends at `now` with these totals of the account. A level that then has too many
    /// slices passes its oldest slice to the next level. The last level drops its oldest slice.
    pub(crate) fn roll(&mut self, now: u64, totals: Totals) {
        let slice = self.current(now, &totals);
        self.rolled_at = now;
        self.rolled = totals;
        let mut next = Some(slice);
        for (level, Level { rolls, kept }) in self.levels.iter_mut().zip(LEVELS) {
            let Some(slice) = next.take() else { break };
            match level.pop_back() {
                Some(newest) if newest.rolls + slice.rolls <= rolls => level.push_back(newest.merge(slice)),
                newest => level.extend(newest.into_iter().chain([slice])),
            }
            next = if level.len() > kept { level.pop_front() } else { None };
        }
    }

    /// Returns the figures of the last `length` ticks. These are the figures of the current slice, and of every
    /// closed slice of which at least half is in this period.
    pub(crate) fn last(&self, now: u64, length: u64, totals: &Totals) -> Slice {
        let since = now.saturating_sub(length);
        self.levels
            .iter()
            .flatten()
            .filter(|slice| slice.from + (slice.to - slice.from) / 2 >= since)
            .cloned()
            .fold(self.current(now, totals), Slice::merge)
    }

    /// Returns the figures of the current slice, which began at the last roll.
    fn current(&self, now: u64, totals: &Totals) -> Slice {
        let pairs = totals.buckets.iter().zip(self.rolled.buckets.iter());
        let new: Vec<u32> = pairs.map(|(now, then)| now.wrapping_sub(*then)).collect();
        Slice {
            from: self.rolled_at,
            to: now.max(self.rolled_at),
            started: totals.started - self.rolled.started,
            ended: std::array::from_fn(|end| totals.ended[end] - self.rolled.ended[end]),
            longest: totals.longest,
            rolls: 1,
            buckets: Packed::of(&new),
        }
    }

    /// Returns the number of bytes that the windows use on the heap.
    pub(crate) fn memory(&self) -> usize {
        let slices = self.levels.iter().flatten();
        size_of::<[u32; BUCKETS]>()
            + self.levels.iter().map(|level| level.capacity() * size_of::<Slice>()).sum::<usize>()
            + slices.map(|slice| slice.buckets.bytes.len()).sum::<usize>()
    }
}

impl Slice {
    /// Returns the counts of all buckets.
    pub(crate) fn histogram(&self) -> Vec<u64> {
        let mut all = vec![0; BUCKETS];
        for (bucket, count) in self.buckets.iter() {
            all[bucket] = u64::from(count);
        }
        all
    }

    fn merge(self, other: Slice) -> Slice {
        let mut counts = vec![0u32; BUCKETS];
        for (bucket, count) in self.buckets.iter().chain(other.buckets.iter()) {
            counts[bucket] = counts[bucket].saturating_add(count);
        }
        Slice {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            started: self.started + other.started,
            ended: std::array::from_fn(|end| self.ended[end] + other.ended[end]),
            longest: self.longest.max(other.longest),
            rolls: self.rolls.saturating_add(other.rolls),
            buckets: Packed::of(&counts),
        }
    }
}

/// The counts of adjacent buckets, from the first bucket that is not empty to the last such bucket. The counts are
/// encoded in LEB128. Each byte contains seven bits of a count, the lowest bits first. The eighth bit is set in every
/// byte of a count except the last.
#[derive(Clone, Debug)]
struct Packed {
    first: usize,
    bytes: Box<[u8]>,
}

impl Packed {
    fn of(counts: &[u32]) -> Packed {
        let first = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let end = counts.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
        let mut bytes = Vec::with_capacity(end - first);
        for &count in &counts[first..end] {
            let mut left = count;
            while left >= 1 << 7 {
                bytes.push(left as u8 | 1 << 7);
                left >>= 7;
            }
            bytes.push(left as u8);
        }
        Packed { first, bytes: bytes.into() }
    }

    /// Returns the index and the count of each bucket.
    fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        let counts = self.bytes.split_inclusive(|byte| byte >> 7 == 0).map(|bytes| {
            bytes.iter().rev().fold(0, |count, byte| count << 7 | u32::from(byte & ((1 << 7) - 1)))
        });
        (self.first..).zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::account::Account;

    /// The length of a slice in ticks. The lengths of windows follow from it.
    const SLICE: u64 = 10;
    const MINUTE: u64 = 12 * SLICE;
    const FIVE_MINUTES: u64 = 5 * MINUTE;
    const HOUR: u64 = 60 * MINUTE;

    /// Returns the totals of a process that starts and ends one run at each tick, with all runs in one bucket.
    fn totals_at(now: u64) -> Totals {
        let mut totals = Totals { started: now, longest: 7, ..Totals::default() };
        totals.ended[0] = now;
        totals.buckets[3] = now as u32;
        totals
    }

    /// Returns the windows of the process that [`totals_at`] describes. A slice is closed every [`SLICE`] ticks until
    /// `now`.
    fn windows_until(now: u64) -> Windows {
        let mut windows = Windows::new(0);
        for rolled in (SLICE..=now).step_by(SLICE as usize) {
            windows.roll(rolled, totals_at(rolled));
        }
        windows
    }

    #[test]
    fn a_slice_is_full_once_its_length_has_passed() {
        let windows = windows_until(3 * SLICE);
        assert!(!windows.is_due(4 * SLICE - 1, SLICE));
        assert!(windows.is_due(4 * SLICE, SLICE));
        assert!(!windows.is_due(0, SLICE), "a clock that went back does not fill a slice");
    }

    #[test]
    fn the_windows_of_a_new_process_cover_its_whole_life() {
        for now in [0, 1, SLICE, 5 * SLICE + 3] {
            let slice = windows_until(now).last(now, HOUR, &totals_at(now));
            assert_eq!((slice.from, slice.to, slice.started, slice.ended[0]), (0, now, now, now));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes, and has no unsafe code")]
    fn the_last_minute_is_exact_to_a_slice_and_the_longer_windows_to_theirs() {
        let now = 3 * HOUR + 4;
        let windows = windows_until(now);
        for (length, within) in [(MINUTE, SLICE), (FIVE_MINUTES, 6 * SLICE), (HOUR, 60 * SLICE)] {
            let slice = windows.last(now, length, &totals_at(now));
            assert!(slice.started.abs_diff(length) <= within, "{} of {length}", slice.started);
            assert_eq!(slice.to - slice.from, slice.started, "each tick covered counts one run");
            assert_eq!((slice.to, slice.ended[0]), (now, slice.started));
            assert_eq!(slice.histogram()[3], slice.started);
            assert_eq!(slice.histogram().iter().sum::<u64>(), slice.started);
        }
    }

    #[test]
    fn what_is_not_yet_in_a_slice_counts() {
        let windows = windows_until(MINUTE);
        let slice = windows.last(MINUTE, 0, &totals_at(MINUTE + 5));
        assert_eq!((slice.started, slice.ended[0], slice.histogram()[3]), (5, 5, 5));
    }

    #[test]
    fn the_longest_run_is_that_of_the_window() {
        let mut windows = Windows::new(0);
        for (number, longest) in (1..).zip([3, 9, 4]) {
            windows.roll(number * SLICE, Totals { longest, ..totals_at(number) });
        }
        let now = 3 * SLICE;
        let none = Totals { longest: 0, ..totals_at(3) };
        assert_eq!(windows.last(now, HOUR, &none).longest, 9);
        assert_eq!(windows.last(now, SLICE, &none).longest, 4);
    }

    #[test]
    fn a_count_of_a_bucket_that_wraps_is_still_a_difference() {
        let mut windows = Windows::new(0);
        let mut totals = Totals::default();
        totals.buckets[3] = u32::MAX - 1;
        windows.roll(SLICE, totals.clone());
        totals.buckets[3] = totals.buckets[3].wrapping_add(5);
        assert_eq!(windows.last(2 * SLICE, SLICE / 2, &totals).histogram()[3], 5);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes, and has no unsafe code")]
    fn a_process_that_has_seen_everything_takes_at_most_64_kib() {
        let (mut windows, mut totals) = (Windows::new(0), Totals::default());
        for roll in 1..3000 {
            // Ten thousand runs in every bucket and every slice.
            totals.buckets.iter_mut().for_each(|bucket| *bucket = bucket.wrapping_add(10_000));
            windows.roll(roll, totals.clone());
        }
        let bytes = Account::most_memory(windows.memory());
        assert!(bytes <= 64 * 1024, "{bytes} bytes");
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "takes minutes, and has no unsafe code")]
        fn packed_counts_are_those_that_were_packed(
            counts in prop::collection::vec(prop_oneof![Just(0), 0..200u32, any::<u32>()], BUCKETS)
        ) {
            let mut unpacked = vec![0; BUCKETS];
            for (bucket, count) in Packed::of(&counts).iter() {
                unpacked[bucket] = count;
            }
            prop_assert_eq!(unpacked, counts);
        }
    }
}
