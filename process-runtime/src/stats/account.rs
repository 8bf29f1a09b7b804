//! An account counts the starts, ends and durations of the runs of one process, stage or dependency. It has a shard
//! for each lane (see `base::lane`). A thread writes to the shard of its lane, and a reader adds up all shards. The
//! first count in a lane allocates the shard; later starts and ends allocate nothing. The public statistics are in
//! `figures`. Units and runs do not belong here.

use std::time::Duration;

use process_model::Outcome;

use crate::base::clock::Clock;
use crate::base::lane::{LANES, Lane};
use crate::base::lock::lock;
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Mutex, Ordering};
use crate::stats::histogram::{BUCKETS, bucket};
use crate::stats::windows::Windows;

/// The number of ways in which a run can end. An array of this length has first each outcome on time, then each
/// outcome late.
pub(crate) const ENDS: usize = 2 * Outcome::ALL.len();

/// The number of `error.type` values that an account counts separately. It counts all other values as
/// [`OTHER_ERROR`].
pub(crate) const ERROR_TYPES: usize = 32;
/// The value that OpenTelemetry defines as the fallback for `error.type`.
pub(crate) const OTHER_ERROR: &str = "_OTHER";

/// The deadline of a run without an SLA, and the latest possible deadline. The table of runs in flight uses the
/// larger values as states of a slot.
pub(crate) const NEVER: u64 = u64::MAX - 3;

/// Returns the index of an outcome and a lateness among the [`ENDS`] ways to end.
pub(crate) fn end_index(outcome: Outcome, late: bool) -> usize {
    outcome.index() + if late { Outcome::ALL.len() } else { 0 }
}

/// The figures of one process, stage or dependency in one domain (see `run::domain`).
#[derive(Debug)]
pub(crate) struct Account {
    shards: [AtomicPtr<Shard>; LANES],
    overdue: AtomicU64,
    /// The SLA in ticks, at the rate that the clock measured last; `u64::MAX` without an SLA.
    limit: AtomicU64,
    #[cfg(feature = "sentry")]
    warned_at: AtomicU64,
    errors: Mutex<Vec<ErrorCount>>,
    windows: Mutex<Windows>,
}

/// The figures of one lane since the account was created. A count in `buckets` starts again at 0 after its maximum.
#[derive(Debug)]
#[repr(align(64))]
struct Shard {
    started: AtomicU64,
    ended: [AtomicU64; ENDS],
    /// The duration of the longest run since the previous [`Account::take_longest`], in ticks.
    longest: AtomicU64,
    buckets: [AtomicU32; BUCKETS],
}

/// The number of runs that ended with the same `error.type`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorCount {
    pub(crate) error_type: &'static str,
    pub(crate) runs: u64,
    /// The runs that failed or panicked. The others were rejected.
    pub(crate) failed: u64,
}

/// The figures of all shards together.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) started: u64,
    pub(crate) ended: [u64; ENDS],
    pub(crate) longest: u64,
    pub(crate) buckets: Box<[u32; BUCKETS]>,
}

impl Default for Totals {
    fn default() -> Self {
        Totals { started: 0, ended: [0; ENDS], longest: 0, buckets: Box::new([0; BUCKETS]) }
    }
}

impl Account {
    pub(crate) fn new(sla: Option<Duration>, clock: &Clock) -> Account {
        clock.refine();
        let account = Account {
            shards: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            overdue: AtomicU64::new(0),
            errors: Mutex::new(Vec::new()),
            windows: Mutex::new(Windows::new(clock.now())),
            limit: AtomicU64::new(u64::MAX),
            #[cfg(feature = "sentry")]
            warned_at: AtomicU64::new(0),
        };
        account.refine(sla, clock);
        account
    }

    /// Converts the SLA to ticks again, at the rate that the clock measured last. Does nothing without an SLA.
    pub(crate) fn refine(&self, sla: Option<Duration>, clock: &Clock) {
        if let Some(sla) = sla {
            self.limit.store(clock.ticks(sla), Ordering::Relaxed);
        }
    }

    /// Returns the SLA in ticks; `u64::MAX` without an SLA.
    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Returns the first tick at which a run that started at `started` is late. This is the tick after its SLA, and
    /// at most [`NEVER`].
    #[inline]
    pub(crate) fn deadline(&self, started: u64) -> u64 {
        started.saturating_add(self.limit()).saturating_add(1).min(NEVER)
    }

    /// Returns whether a warning about a late run may be sent: there was none yet, or the previous warning is at
    /// least `between` ticks old. If so, stores `now` as the time of the previous warning for the next call.
    #[cfg(feature = "sentry")]
    pub(crate) fn may_warn(&self, now: u64, between: u64) -> bool {
        let now = now.max(1);
        let due = |last| (last == 0 || now.saturating_sub(last) >= between).then_some(now);
        self.warned_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }

    /// Counts the start of a run.
    #[inline]
    pub(crate) fn start(&self, lane: Lane) {
        lane.add(&self.shard(lane).started, 1);
    }

    /// Counts the end of a run that took `ticks`.
    #[inline]
    pub(crate) fn end(&self, lane: Lane, outcome: Outcome, late: bool, ticks: u64) {
        let shard = self.shard(lane);
        lane.add(&shard.ended[end_index(outcome, late)], 1);
        lane.count(&shard.buckets[bucket(ticks)]);
        lane.raise(&shard.longest, ticks);
    }

    /// Counts the end of a run under its `error.type`, and returns the type under which the run is counted. This is
    /// [`OTHER_ERROR`] if the type is new and [`ERROR_TYPES`] types are already counted.
    pub(crate) fn error(&self, outcome: Outcome, error_type: &'static str) -> &'static str {
        let mut errors = lock(&self.errors);
        let find = |errors: &[ErrorCount], error_type| {
            errors.iter().position(|count| count.error_type == error_type)
        };
        // `OTHER_ERROR` does not count as one of the `ERROR_TYPES`.
        let types = errors.len() - usize::from(find(&errors, OTHER_ERROR).is_some());
        let error_type = match find(&errors, error_type) {
            None if types >= ERROR_TYPES => OTHER_ERROR,
            _ => error_type,
        };
        let at = find(&errors, error_type).unwrap_or_else(|| {
            errors.push(ErrorCount { error_type, runs: 0, failed: 0 });
            errors.len() - 1
        });
        errors[at].runs += 1;
        errors[at].failed += u64::from(outcome.is_error());
        error_type
    }

    /// Returns each `error.type` so far, with its counts.
    pub(crate) fn errors(&self) -> Vec<ErrorCount> {
        lock(&self.errors).clone()
    }

    /// Counts a run that is past its SLA and still running.
    pub(crate) fn add_overdue(&self) {
        self.overdue.fetch_add(1, Ordering::Relaxed);
    }

    /// Stops counting a run that [`Account::add_overdue`] counts, because the run has ended.
    pub(crate) fn remove_overdue(&self) {
        self.overdue.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the number of runs that are past their SLA and still running.
    pub(crate) fn overdue(&self) -> u64 {
        // A run can end before the watchdog has counted it as overdue, so the number can be negative for a moment.
        (self.overdue.load(Ordering::Relaxed) as i64).max(0) as u64
    }

    /// Returns the number of starts, and the number of ends by outcome and lateness, since the account was created.
    pub(crate) fn counts(&self) -> (u64, [u64; ENDS]) {
        // Ends are read before starts. A run counts its start before its end. The sum of starts therefore includes
        // the start of every run whose end was read.
        let mut ended = [0; ENDS];
        for shard in self.all_shards() {
            for (sum, ended) in ended.iter_mut().zip(&shard.ended) {
                *sum += ended.load(Ordering::Acquire);
            }
        }
        let started = self.all_shards().map(|shard| shard.started.load(Ordering::Acquire)).sum();
        (started, ended)
    }

    /// Returns the figures since the account was created. Only `longest` covers a shorter time: since the previous
    /// [`Account::take_longest`].
    pub(crate) fn totals(&self) -> Totals {
        let (started, ended) = self.counts();
        let mut totals = Totals { started, ended, ..Totals::default() };
        for shard in self.all_shards() {
            totals.longest = totals.longest.max(shard.longest.load(Ordering::Relaxed));
            for (sum, bucket) in totals.buckets.iter_mut().zip(&shard.buckets) {
                *sum = sum.wrapping_add(bucket.load(Ordering::Relaxed));
            }
        }
        totals
    }

    /// Returns the duration of the longest run that has ended since the previous call, in ticks; 0 if no run has
    /// ended since then.
    pub(crate) fn take_longest(&self) -> u64 {
        self.all_shards().map(|shard| shard.longest.swap(0, Ordering::Relaxed)).max().unwrap_or(0)
    }

    /// Calls `f` with the rolling windows, under their lock.
    pub(crate) fn with_windows<R>(&self, f: impl FnOnce(&mut Windows) -> R) -> R {
        f(&mut lock(&self.windows))
    }

    /// Returns the account's size in bytes, on the heap and inline.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Account>()
            + self.all_shards().count() * size_of::<Shard>()
            + self.with_windows(|windows| windows.memory())
    }

    /// Returns the account's size in bytes if every lane has a shard and the windows use `windows` bytes.
    #[cfg(test)]
    pub(crate) fn most_memory(windows: usize) -> usize {
        size_of::<Account>() + LANES * size_of::<Shard>() + windows
    }

    #[inline]
    fn shard(&self, lane: Lane) -> &Shard {
        let shard = self.shards[lane.index()].load(Ordering::Acquire);
        // SAFETY: a pointer in `shards` is null or came from `Box::into_raw` in `add_shard`. It is freed only when
        // the account is dropped, which cannot happen while `&self` exists.
        unsafe { shard.as_ref() }.unwrap_or_else(|| self.add_shard(lane))
    }

    #[cold]
    fn add_shard(&self, lane: Lane) -> &Shard {
        let new = Box::into_raw(Box::new(Shard::new()));
        let slot = &self.shards[lane.index()];
        match slot.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: `new` is valid, and is owned by `self` from now on, as in `shard`.
            Ok(_) => unsafe { &*new },
            Err(other) => {
                // SAFETY: `new` was never shared.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: `other` is not null, and is owned by `self` as in `shard`.
                unsafe { &*other }
            }
        }
    }

    fn all_shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter_map(|shard| {
            // SAFETY: as in `shard`.
            unsafe { shard.load(Ordering::Acquire).as_ref() }
        })
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        for shard in &self.shards {
            let shard = shard.load(Ordering::Relaxed);
            if !shard.is_null() {
                // SAFETY: the pointer came from `Box::into_raw`, and `&mut self` proves that no other thread uses it.
                drop(unsafe { Box::from_raw(shard) });
            }
        }
    }
}

impl Shard {
    fn new() -> Shard {
        Shard {
            started: AtomicU64::new(0),
            ended: std::array::from_fn(|_| AtomicU64::new(0)),
            longest: AtomicU64::new(0),
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;
    use std::thread::scope;

    use super::*;

    fn account(sla: Option<Duration>) -> (Account, Clock) {
        let clock = Clock::best();
        (Account::new(sla, &clock), clock)
    }

    fn error_type(number: usize) -> &'static str {
        static TYPES: LazyLock<Vec<String>> =
            LazyLock::new(|| (0..2 * ERROR_TYPES).map(|number| format!("error_{number}")).collect());
        &TYPES[number]
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes, and has no unsafe code")]
    fn error_types_past_the_bound_are_counted_as_other() {
        let (account, _) = account(None);
        let types: Vec<_> = (0..ERROR_TYPES + 3).map(error_type).collect();
        let counted = types.iter().map(|kind| account.error(Outcome::Failure, kind));
        let (own, other) = types.split_at(ERROR_TYPES);
        assert_eq!(counted.collect::<Vec<_>>(), [own, &vec![OTHER_ERROR; other.len()]].concat());
        assert_eq!(account.error(Outcome::Failure, own[0]), own[0], "a known type stays itself");
        assert_eq!(account.error(Outcome::Failure, other[0]), OTHER_ERROR, "an unknown one does not");
        let errors = account.errors();
        let runs = |kind| errors.iter().find(|count| count.error_type == kind).map(|count| count.runs);
        assert_eq!(errors.len(), ERROR_TYPES + 1);
        assert_eq!((runs(own[0]), runs(own[1]), runs(OTHER_ERROR)), (Some(2), Some(1), Some(4)));
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes, and has no unsafe code")]
    fn the_bound_counts_types_and_not_ways_to_end() {
        let (account, _) = account(None);
        for number in 0..2 * ERROR_TYPES {
            for outcome in [Outcome::Failure, Outcome::Rejected, Outcome::Panic] {
                account.error(outcome, error_type(number));
            }
        }
        let errors = account.errors();
        let types: BTreeSet<_> = errors.iter().map(|count| count.error_type).collect();
        assert_eq!((types.len(), types.contains(OTHER_ERROR)), (ERROR_TYPES + 1, true));
        assert_eq!(errors.len(), types.len());
        assert_eq!(errors.iter().map(|count| count.runs).sum::<u64>(), 3 * 2 * ERROR_TYPES as u64);
        assert!(errors.iter().all(|count| count.failed * 3 == count.runs * 2), "rejected runs did not fail");
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes, and has no unsafe code")]
    fn other_is_never_a_type_more() {
        let (account, _) = account(None);
        account.error(Outcome::Failure, OTHER_ERROR);
        let counted: BTreeSet<_> =
            (0..2 * ERROR_TYPES).map(|number| account.error(Outcome::Failure, error_type(number))).collect();
        assert!(counted.contains(OTHER_ERROR) && counted.len() <= ERROR_TYPES + 1, "{counted:?}");
    }

    #[test]
    fn a_run_is_late_from_the_tick_after_its_sla() {
        let (account, _) = account(Some(Duration::from_secs(2)));
        assert_eq!(account.deadline(100), 101 + account.limit());
        assert_eq!(account.deadline(u64::MAX - 1), NEVER);
    }

    #[test]
    fn a_run_without_an_sla_is_never_late() {
        let (account, clock) = account(None);
        account.refine(None, &clock);
        assert_eq!((account.limit(), account.deadline(0)), (u64::MAX, NEVER));
    }

    #[test]
    fn an_end_before_its_lateness_is_counted_leaves_no_run_overdue() {
        let (account, _) = account(None);
        account.remove_overdue();
        assert_eq!(account.overdue(), 0);
        account.add_overdue();
        account.add_overdue();
        assert_eq!(account.overdue(), 1);
    }

    #[test]
    fn the_longest_run_is_that_since_it_was_last_taken() {
        let (account, _) = account(None);
        account.end(Lane::current(), Outcome::Success, false, 7);
        account.end(Lane::current(), Outcome::Failure, true, 5);
        assert_eq!((account.totals().longest, account.take_longest(), account.take_longest()), (7, 7, 0));
        let (_, ended) = account.counts();
        assert_eq!(ended[end_index(Outcome::Success, false)], 1);
        assert_eq!(ended[end_index(Outcome::Failure, true)], 1);
        assert_eq!(ended.iter().sum::<u64>(), 2);
    }

    #[test]
    fn threads_of_every_lane_lose_no_count() {
        let (threads, runs) = if cfg!(miri) { (LANES + 2, 3) } else { (2 * LANES, 1000) };
        let (account, _) = account(None);
        scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for ticks in 0..runs {
                        account.start(Lane::current());
                        account.end(Lane::current(), Outcome::Success, false, ticks);
                        let (started, ended) = account.counts();
                        assert!(ended.iter().sum::<u64>() <= started);
                    }
                });
            }
        });
        let totals = account.totals();
        let all = threads as u64 * runs;
        assert_eq!((totals.started, totals.ended[0], totals.longest), (all, all, runs - 1));
        assert_eq!(totals.buckets.iter().map(|&count| u64::from(count)).sum::<u64>(), all);
    }
}
