//! Statistics of each process and stage, without a metrics backend: outcomes and durations since the start and over the
//! last 1, 5 and 60 minutes. Use them for a status page, a test or a small service. They are in memory, fixed in size,
//! and on unless [`crate::disable`] was called.

use std::collections::BTreeMap;
use std::time::Duration;

use process_model::Outcome;

use crate::base::clock::Clock;
use crate::stats::account::{Account, ENDS, Totals, end_index};
use crate::stats::histogram::{bucket, middle, quantile};
use crate::stats::windows::{SLICE_SECONDS, Slice};

pub use crate::stats::histogram::ERROR as PERCENTILE_ERROR;

/// The windows that statistics are kept over.
pub const WINDOWS: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(5 * 60), Duration::from_secs(60 * 60)];

/// The statistics of one process or stage.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Runs started since the start.
    pub started: u64,
    /// Runs ended since the start.
    pub ended: Outcomes,
    /// Runs in flight.
    pub active: u64,
    /// Of these, the ones that are past their SLA.
    pub overdue: u64,
    /// Runs ended since the start that had an `error.type`, by it. It is `_OTHER` for what `fails(…)`
    /// matched, and past 32 types.
    pub error_types: BTreeMap<&'static str, u64>,
    /// The last 1, 5 and 60 minutes, in the order of [`WINDOWS`].
    pub windows: [Window; WINDOWS.len()],
}

/// The number of runs that ended, by outcome and lateness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([u64; ENDS]);

/// What happened in the recent past.
///
/// A window is made of slices, so it covers its nominal length to within one of them: 5 s in the last
/// minute, 30 s in the last five, 5 min in the last sixty. Without a watchdog ([`crate::Install`]) slices
/// end only when somebody asks for statistics.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Window {
    /// The nominal length.
    pub length: Duration,
    /// The stretch that the figures really cover: less than nominal while the process is young.
    pub covered: Duration,
    /// Runs started.
    pub started: u64,
    /// Runs ended.
    pub ended: Outcomes,
    /// The median duration of the runs that ended. Percentiles are nearest-rank, each within
    /// [`PERCENTILE_ERROR`] of its value; `None` where nothing ended.
    pub p50: Option<Duration>,
    /// Three quarters of the runs were no slower.
    pub p75: Option<Duration>,
    /// 95 % of the runs were no slower.
    pub p95: Option<Duration>,
    /// 99 % of the runs were no slower.
    pub p99: Option<Duration>,
    /// The longest run, exactly.
    pub max: Option<Duration>,
    /// Runs ended for each second covered.
    pub throughput: f64,
    /// (failure + panic) ÷ (ended − cancelled); `None` where that divides by zero.
    pub error_rate: Option<f64>,
}

impl Outcomes {
    /// Counts a run.
    #[cfg(feature = "testing")]
    pub(crate) fn add(&mut self, outcome: Outcome, late: bool) {
        self.0[end_index(outcome, late)] += 1;
    }

    /// Returns how many runs ended with this outcome, on time or late.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.count_on_time(outcome) + self.count_late(outcome)
    }

    /// Returns how many runs ended with this outcome on time.
    pub fn count_on_time(&self, outcome: Outcome) -> u64 {
        self.0[end_index(outcome, false)]
    }

    /// Returns how many runs ended with this outcome past their SLA.
    pub fn count_late(&self, outcome: Outcome) -> u64 {
        self.0[end_index(outcome, true)]
    }

    /// Returns how many runs ended late, with any outcome.
    pub fn late(&self) -> u64 {
        Outcome::ALL.iter().map(|&outcome| self.count_late(outcome)).sum()
    }

    /// Returns how many runs ended.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// (failure + panic) ÷ (ended − cancelled), or `None` where that divides by zero.
    pub fn error_rate(&self) -> Option<f64> {
        let errors = self.count(Outcome::Failure) + self.count(Outcome::Panic);
        let judged = self.total() - self.count(Outcome::Cancelled);
        (judged > 0).then(|| errors as f64 / judged as f64)
    }
}

/// Reads an account, and rolls its windows if that is due. If they were not rolled for long, a window covers the time
/// since then, which [`Window::covered`] returns.
pub(crate) fn read(account: &Account, clock: &Clock) -> Stats {
    // Totals are taken under the windows' lock: a roll in between would be ahead of them.
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

/// Closes the account's current slice where it is full.
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
    // The longest run is known exactly, and stands for all in its bucket: rounded down, a percentile might read as
    // if an SLA had been kept.
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
