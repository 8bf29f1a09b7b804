//! The public statistics of a process, stage or dependency, computed from its account. Counting does not belong here.

use std::collections::BTreeMap;
use std::time::Duration;

use process_model::Outcome;

use crate::base::clock::Clock;
use crate::stats::account::{Account, ENDS, Totals, end_index};
use crate::stats::histogram::{bucket, middle, quantile};
use crate::stats::windows::{SLICE_SECONDS, Slice};

pub use crate::stats::histogram::ERROR as PERCENTILE_ERROR;

/// The lengths of the windows for which statistics are kept.
pub const WINDOWS: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(5 * 60), Duration::from_secs(60 * 60)];

/// The statistics of one process, stage or dependency.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of runs that started since the program started.
    pub started: u64,
    /// The number of runs that ended since the program started, by outcome.
    pub ended: Outcomes,
    /// The number of runs in flight.
    pub active: u64,
    /// The number of runs in flight that the watchdog ([`crate::Install`]) has reported as past their SLA.
    pub overdue: u64,
    /// The number of runs that ended with each `error.type`. The type `_OTHER` counts the return values that
    /// `fails(…)` matched and, once there are 32 types, every run with a new type.
    pub error_types: BTreeMap<&'static str, u64>,
    /// The figures of the last 1, 5 and 60 minutes, in the order of [`WINDOWS`].
    pub windows: [Window; WINDOWS.len()],
}

/// The number of runs that ended, by outcome and lateness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([u64; ENDS]);

/// The statistics of the last 1, 5 or 60 minutes.
///
/// A window consists of slices, so its real length can differ from its nominal length by up to one slice. The slices
/// are 5 s long in the window of 1 minute, 30 s in the window of 5 minutes, and 5 min in the window of 60 minutes.
/// Without a watchdog ([`crate::Install`]), a slice ends only when statistics are read, and can become longer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Window {
    /// The nominal length.
    pub length: Duration,
    /// The real length of the period. It is shorter than `length` if the program has just started.
    pub covered: Duration,
    /// The number of runs that started.
    pub started: u64,
    /// The number of runs that ended, by outcome.
    pub ended: Outcomes,
    /// The median duration of the runs that ended; `None` if no run ended. All percentiles use the nearest-rank
    /// definition, and have a relative error of at most [`PERCENTILE_ERROR`]. A percentile that is close to
    /// [`Window::max`] is reported as `max`, and its error can then be twice as large.
    pub p50: Option<Duration>,
    /// The 75th percentile of durations; `None` if no run ended.
    pub p75: Option<Duration>,
    /// The 95th percentile of durations; `None` if no run ended.
    pub p95: Option<Duration>,
    /// The 99th percentile of durations; `None` if no run ended.
    pub p99: Option<Duration>,
    /// The exact duration of the longest run; `None` if no run ended.
    pub max: Option<Duration>,
    /// The number of runs that ended per second of [`Window::covered`]; 0 if `covered` is zero.
    pub throughput: f64,
    /// The error rate: (failure + panic) ÷ (ended − cancelled); `None` if the divisor is zero.
    pub error_rate: Option<f64>,
}

impl Outcomes {
    /// Counts a run.
    #[cfg(feature = "testing")]
    pub(crate) fn add(&mut self, outcome: Outcome, late: bool) {
        self.0[end_index(outcome, late)] += 1;
    }

    /// Returns the number of runs that ended with this outcome, on time or late.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.count_on_time(outcome) + self.count_late(outcome)
    }

    /// Returns the number of runs that ended with this outcome on time.
    pub fn count_on_time(&self, outcome: Outcome) -> u64 {
        self.0[end_index(outcome, false)]
    }

    /// Returns the number of runs that ended with this outcome past their SLA.
    pub fn count_late(&self, outcome: Outcome) -> u64 {
        self.0[end_index(outcome, true)]
    }

    /// Returns the number of runs that ended late, with any outcome.
    pub fn late(&self) -> u64 {
        Outcome::ALL.iter().map(|&outcome| self.count_late(outcome)).sum()
    }

    /// Returns the number of runs that ended.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Returns the error rate: (failure + panic) ÷ (ended − cancelled); `None` if the divisor is zero.
    pub fn error_rate(&self) -> Option<f64> {
        let errors = self.count(Outcome::Failure) + self.count(Outcome::Panic);
        let judged = self.total() - self.count(Outcome::Cancelled);
        (judged > 0).then(|| errors as f64 / judged as f64)
    }
}

/// Returns the statistics of an account, and then closes the current time slice if the slice is full. Every window
/// includes the whole current slice. If this slice is long, because none was closed for a long time, the windows are
/// longer too, as [`Window::covered`] shows.
pub(crate) fn read(account: &Account, clock: &Clock) -> Stats {
    // The totals are read under the lock of the windows. Without the lock, another thread could close the slice with
    // newer totals in between.
    let (totals, windows) = account.with_windows(|windows| {
        let (now, totals) = (clock.now(), account.totals());
        let last = |length| windows.last(now, clock.ticks(length), &totals);
        let windows = WINDOWS.map(|length| window(length, last(length), clock));
        (totals, windows)
    });
    roll(account, clock);
    let ended = Outcomes(totals.ended);
    let mut error_types = BTreeMap::new();
    for count in account.errors() {
        *error_types.entry(count.error_type).or_default() += count.runs;
    }
    Stats {
        error_types,
        started: totals.started,
        ended,
        active: totals.started.saturating_sub(ended.total()),
        overdue: account.overdue(),
        windows,
    }
}

/// Closes the account's current time slice if the slice is full.
pub(crate) fn roll(account: &Account, clock: &Clock) {
    let now = clock.now();
    let slice = clock.ticks(Duration::from_secs(SLICE_SECONDS));
    account.with_windows(|windows| {
        if windows.is_due(now, slice) {
            let totals = account.totals();
            windows.roll(now, Totals { longest: account.take_longest(), ..totals });
        }
    });
}

fn window(length: Duration, slice: Slice, clock: &Clock) -> Window {
    let histogram = slice.histogram();
    let ended = Outcomes(slice.ended);
    let longest = (ended.total() > 0).then(|| clock.duration(slice.longest));
    // The exact duration of the longest run replaces the middle of its bucket. The middle may be shorter than the
    // longest run, and a percentile could then suggest that this run kept its SLA.
    let last = middle(bucket(slice.longest));
    let percentile = |q| {
        let ticks = quantile(&histogram, q)?;
        if ticks >= last { longest } else { Some(clock.duration(ticks as u64)) }
    };
    let covered = clock.duration(slice.to - slice.from);
    Window {
        length,
        covered,
        started: slice.started,
        ended,
        p50: percentile(0.50),
        p75: percentile(0.75),
        p95: percentile(0.95),
        p99: percentile(0.99),
        max: longest,
        throughput: if covered.is_zero() { 0.0 } else { ended.total() as f64 / covered.as_secs_f64() },
        error_rate: ended.error_rate(),
    }
}
