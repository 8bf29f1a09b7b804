//! The last minute, five and sixty: differences between snapshots of an account, so that a run pays
//! nothing for them. Slices of 5 s become slices of 30 s, then of 5 min, as they age; a slice keeps only
//! the buckets between its fastest and slowest run.

use std::collections::VecDeque;
use std::ops::Range;

use crate::account::{ENDS, Totals};
use crate::histogram::BUCKETS;

/// Levels of slices: how long one is in seconds, how many are kept, how many are merged into the next.
const LEVELS: [Level; 3] = [
    Level { seconds: 5, kept: 18, merged: 6 },
    Level { seconds: 30, kept: 20, merged: 10 },
    Level { seconds: 300, kept: 12, merged: 1 },
];

struct Level {
    seconds: u64,
    kept: usize,
    merged: usize,
}

/// How long the finest slice is: how often [`Windows::roll`] is worth a call.
pub(crate) const SLICE_SECONDS: u64 = LEVELS[0].seconds;

/// The recent past of one account. Times are ticks.
#[derive(Debug)]
pub(crate) struct Windows {
    rolled_at: u64,
    rolled: Totals,
    levels: [VecDeque<Slice>; LEVELS.len()],
}

/// What happened in some stretch of time.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) started: u64,
    pub(crate) ended: [u64; ENDS],
    pub(crate) longest: u64,
    first_bucket: usize,
    buckets: Box<[u32]>,
}

impl Windows {
    pub(crate) fn new(now: u64) -> Windows {
        Windows { rolled_at: now, rolled: Totals::default(), levels: Default::default() }
    }

    /// Whether a slice is full.
    pub(crate) fn is_due(&self, now: u64, slice: u64) -> bool {
        now.saturating_sub(self.rolled_at) >= slice
    }

    /// Closes the current slice.
    pub(crate) fn roll(&mut self, now: u64, totals: Totals) {
        let slice = self.current(now, &totals);
        self.rolled_at = now;
        self.rolled = totals;
        self.levels[0].push_back(slice);
        for (level, Level { kept, merged, .. }) in LEVELS.iter().enumerate() {
            if self.levels[level].len() <= *kept {
                break;
            }
            let oldest = self.levels[level].drain(..*merged).reduce(Slice::merge);
            if let (Some(next), Some(oldest)) = (self.levels.get_mut(level + 1), oldest) {
                next.push_back(oldest);
            }
        }
    }

    /// Everything in the last `length` ticks, to the nearest slice.
    pub(crate) fn last(&self, now: u64, length: u64, totals: &Totals) -> Slice {
        let since = now.saturating_sub(length);
        self.levels
            .iter()
            .flatten()
            .filter(|slice| slice.from + (slice.to - slice.from) / 2 >= since)
            .cloned()
            .fold(self.current(now, totals), Slice::merge)
    }

    /// What is not in a slice yet.
    fn current(&self, now: u64, totals: &Totals) -> Slice {
        let pairs = totals.buckets.iter().zip(self.rolled.buckets.iter());
        let new: Vec<u32> = pairs.map(|(now, then)| now.wrapping_sub(*then)).collect();
        let used = used(&new);
        Slice {
            from: self.rolled_at,
            to: now.max(self.rolled_at),
            started: totals.started - self.rolled.started,
            ended: std::array::from_fn(|end| totals.ended[end] - self.rolled.ended[end]),
            longest: totals.longest,
            first_bucket: used.start,
            buckets: new[used].into(),
        }
    }

    /// Heap bytes.
    pub(crate) fn memory(&self) -> usize {
        let slices = self.levels.iter().flatten();
        size_of::<[u32; BUCKETS]>()
            + self.levels.iter().map(|level| level.capacity() * size_of::<Slice>()).sum::<usize>()
            + slices.map(|slice| size_of_val(&*slice.buckets)).sum::<usize>()
    }
}

impl Slice {
    /// The whole histogram, in wide counts.
    pub(crate) fn histogram(&self) -> Vec<u64> {
        let mut all = vec![0; BUCKETS];
        for (bucket, count) in self.buckets.iter().enumerate() {
            all[self.first_bucket + bucket] = u64::from(*count);
        }
        all
    }

    fn merge(self, other: Slice) -> Slice {
        let counts: Vec<u32> =
            (0..BUCKETS).map(|bucket| self.count(bucket).saturating_add(other.count(bucket))).collect();
        let used = used(&counts);
        Slice {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            started: self.started + other.started,
            ended: std::array::from_fn(|end| self.ended[end] + other.ended[end]),
            longest: self.longest.max(other.longest),
            first_bucket: used.start,
            buckets: counts[used].into(),
        }
    }

    fn count(&self, bucket: usize) -> u32 {
        bucket.checked_sub(self.first_bucket).and_then(|at| self.buckets.get(at)).copied().unwrap_or(0)
    }
}

/// From the first to the last bucket that is not empty.
fn used(buckets: &[u32]) -> Range<usize> {
    let first = buckets.iter().position(|&count| count > 0).unwrap_or(0);
    let end = buckets.iter().rposition(|&count| count > 0).map_or(first, |last| last + 1);
    first..end
}
