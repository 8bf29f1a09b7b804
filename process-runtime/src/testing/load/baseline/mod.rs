//! Compares a load with its earlier sessions. One session is one run of [`Load`](crate::testing::Load), usually one
//! execution of the test program. The question is whether the p50, p95 and p99 of this session are those of a slower
//! program. How a load is driven and measured is not decided here.
//!
//! # Why not compare the runs of two sessions
//!
//! A test of this session's runs against those of an earlier session (rank sum, Kolmogorov-Smirnov, a bootstrap)
//! assumes that runs are independent. They are not: all runs of a session share its clock frequency, memory layout and
//! neighbours, and with enough runs every such difference is significant. Two sessions of the same program then differ
//! for the test, although no one would call either of them slower. Kalibera and Jones ("Rigorous benchmarking in
//! reasonable time", ISMM 2013) show that repetition helps only at the level where the variance arises. Mytkowicz and
//! others ("Producing wrong data without doing anything obviously wrong!", ASPLOS 2009) show that the size of the
//! environment or the link order changes results by several percent. Laaber and others ("Performance testing in the
//! cloud: how bad is it really?", 2018) find that the rank sum test of runs raises very many false alarms in every
//! cloud they tried if the two sides did not run at the same time.
//!
//! # The test
//!
//! One session is one observation. The test uses the logarithm *x* of a percentile, since slow-downs and noise both
//! multiply. *m* is the mean and *s* the standard deviation of the *n* earlier sessions. A **slow-down** is reported if
//!
//! * *x* > *m* + *t* · *s* · √(1 + 1/*n*), the upper end of the one-sided 99.75 % prediction interval, where *t* is
//!   Student's with *n* − 1 degrees of freedom (Hahn and Meeker, *Statistical Intervals*, 1991, section 4.7), so that
//!   a difference within the noise of the earlier sessions is not reported; and
//! * the percentile is more than a tolerance ([`TOLERANCE`],
//!   [`Load::tolerance`](crate::testing::Load::tolerance)) above the geometric mean of the earlier sessions, because
//!   sessions within a few minutes resemble one another more than they resemble tomorrow's, and then *s* is too small;
//!   and
//! * both hold again in each new measurement of the load, [`MEASUREMENTS`] in total, so that a neighbour that was busy
//!   for a moment is not reported.
//!
//! 99.75 % for each of three percentiles is at least 99.25 % for all of them (Bonferroni). The comparison starts with
//! five earlier sessions and uses the last [`SESSIONS`]. A percentile needs at least ten runs above it: p99 is compared
//! from 1000 runs, p95 from 200, p50 from 20. With fewer, it depends on too few runs.
//!
//! A session that was reported as slower is not added to the baseline. It is reported again until the program is
//! repaired, or until `PROCESS_BASELINE=accept` makes it a new **level**. From then on *m* is the mean of the sessions
//! since, and *s* is pooled over all levels (with one degree of freedom less for each), so that comparison continues
//! at once. `PROCESS_BASELINE=accept` does the same for a session that was faster than the interval; otherwise a faster
//! session is only noted. The slowest earlier session is excluded from *m* and *s* if the others would have reported
//! it: one outlier among the first five would otherwise hide slow-downs for a long time.
//!
//! # Power and false alarms
//!
//! These figures come from a simulation, which `simulation.rs` repeats with a fixed seed. Noise is log-normal between
//! sessions, independent in all three percentiles, and the same in every measurement of a session, which is the worst
//! case.
//!
//! | standard deviation between sessions | 3 % | 5 % | 7 % | 10 % |
//! |---|---|---|---|---|
//! | a slow-down of 30 % is found after 5 sessions | 99 % | 83 % | 50 % | 23 % |
//! | after 10 sessions | 99 % | 99 % | 87 % | 52 % |
//! | after 20 sessions | 99 % | 99 % | 97 % | 68 % |
//! | false alarm: nothing changed | 0.2 % | 1.0 % | 1.1 % | 1.1 % |
//!
//! Suppose that one session in twenty is an outlier of twice the duration. If the cause passes before the load is
//! measured again, the last row does not change. If it lasts for the whole session, the session is nearly always
//! reported: it *was* slower, and nothing in it shows why. It is not added, and the next session is compared as if it
//! had not happened; a slow-down of 30 % is then still found in 95 % of cases (10 earlier sessions, noise of 3 %). A
//! suite of ten loads, each with 1 % false alarms, has a false alarm in one of ten executions.
//!
//! A slow-down that creeps by less than the tolerance per session moves the mean with it and is never reported. Use
//! bounds such as [`Load::p95`](crate::testing::Load::p95) for that. Noise that drifts (a correlation of 0.8 between
//! consecutive sessions) raises the last row to 2 % at a noise of 5 %, and to 4 % at 10 %.
//!
//! # Where sessions are stored
//!
//! Each name has one JSON file, in `process/baseline` of the target directory or in `PROCESS_BASELINE_DIR`. Sessions
//! are compared only if they have the same process, concurrency, number of runs, build profile and machine
//! (architecture, system, cores, model). A file that cannot be read is reported and started anew. If two programs write
//! the same file at the same time, the session of one is lost.

#[cfg(test)]
mod simulation;
mod store;
mod student;

use std::env::{self, VarError};
use std::fmt;
use std::time::Duration;

use process_model::nearest;

pub(super) use store::LoadKey;
use store::Store;

/// How far a percentile must be above the mean of the earlier sessions to be reported, however small their noise is.
pub const TOLERANCE: f64 = 0.10;

/// How many earlier sessions are kept and used.
pub const SESSIONS: usize = 20;

/// How often a load is measured before it is reported as slower.
pub const MEASUREMENTS: usize = 3;

/// How many runs must be above a percentile for it to be compared.
const BEYOND: usize = 10;

const VARIABLE: &str = "PROCESS_BASELINE";
const ACCEPT: &str = "accept";

/// A percentile that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// The median.
    P50,
    /// The duration that 95 % of the runs did not exceed.
    P95,
    /// The duration that 99 % of the runs did not exceed.
    P99,
}

impl Percentile {
    /// All percentiles, in the order of the tables.
    pub const ALL: [Percentile; 3] = [Percentile::P50, Percentile::P95, Percentile::P99];

    /// Returns the number in the name: 50, 95 or 99.
    pub const fn percent(self) -> usize {
        match self {
            Percentile::P50 => 50,
            Percentile::P95 => 95,
            Percentile::P99 => 99,
        }
    }

    /// Returns the nearest rank among this many runs, from 1.
    pub(super) fn rank(self, runs: usize) -> usize {
        (self.percent() * runs).div_ceil(100)
    }

    fn is_compared(self, runs: usize) -> bool {
        runs - self.rank(runs) >= BEYOND
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Percentile::P50 => "p50",
            Percentile::P95 => "p95",
            Percentile::P99 => "p99",
        })
    }
}

/// The percentiles of a session, in the order of [`Percentile::ALL`].
pub(super) type Percentiles = [Duration; Percentile::ALL.len()];

/// An earlier session.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Session {
    /// Increases by one with each accepted session.
    level: u32,
    percentiles: Percentiles,
}

impl Session {
    fn log(&self, percentile: Percentile) -> f64 {
        log(self.percentiles[percentile as usize])
    }
}

fn log(duration: Duration) -> f64 {
    // On a paused clock a run can take no time, and 0 has no logarithm.
    (duration.as_nanos().max(1) as f64).ln()
}

fn duration(log: f64) -> Duration {
    Duration::from_nanos(log.exp().round() as u64)
}

/// The comparison of a load with its earlier sessions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// The name of the baseline.
    pub name: String,
    /// How many earlier sessions there are, at most [`SESSIONS`].
    pub sessions: usize,
    /// The percentiles that were compared; empty while there are fewer than five sessions.
    pub figures: Vec<Figure>,
    /// Notes about the baseline itself, for example that its file could not be read or written.
    pub notes: Vec<String>,
}

/// One percentile of this session and its prediction from the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figure {
    /// The percentile.
    pub percentile: Percentile,
    /// Its value in this session.
    pub measured: Duration,
    /// The geometric mean of its values in the earlier sessions.
    pub mean: Duration,
    /// The lower end of the prediction interval: 99.75 % of sessions are above it if nothing changed.
    pub low: Duration,
    /// The upper end of the prediction interval: 99.75 % of sessions are below it if nothing changed.
    pub high: Duration,
    /// Whether the percentile changed.
    pub change: Change,
}

/// Whether a percentile changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is within the prediction interval or the tolerance.
    Usual,
    /// It is above both.
    Slower,
    /// It is below both.
    Faster,
}

impl Comparison {
    /// Whether any percentile is slower.
    pub fn is_slower(&self) -> bool {
        self.has(Change::Slower)
    }

    fn has(&self, change: Change) -> bool {
        self.figures.iter().any(|figure| figure.change == change)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "baseline `{}`: {} earlier ", self.name, self.sessions)?;
        f.write_str(if self.sessions == 1 { "session" } else { "sessions" })?;
        if self.figures.is_empty() {
            f.write_str(", too few to compare")?;
        } else {
            write!(f, "\n{:12}{:>12}{:>12}   99.75 % interval", "", "measured", "mean")?;
        }
        for figure in &self.figures {
            write!(f, "\n{figure}")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (measured, mean) = (format!("{:.1?}", self.measured), format!("{:.1?}", self.mean));
        let interval = format!("{:.1?} to {:.1?}", self.low, self.high);
        write!(f, "{:12}{measured:>12}{mean:>12}   {interval:24}", self.percentile)?;
        let percent = 100.0 * ((log(self.measured) - log(self.mean)).exp() - 1.0);
        match self.change {
            Change::Usual => write!(f, "{percent:+.0} %"),
            Change::Slower => write!(f, "{percent:+.0} %, slower"),
            Change::Faster => write!(f, "{percent:+.0} %, faster"),
        }
    }
}

/// The earlier sessions of one load.
#[derive(Debug)]
pub(super) struct Baseline {
    store: Store,
    tolerance: f64,
    accepts: bool,
    notes: Vec<String>,
}

impl Baseline {
    /// Reads the baseline of this name. Problems become notes.
    pub(super) fn open(name: &str, key: LoadKey, tolerance: f64) -> Baseline {
        let (store, broken) = Store::open(name, key);
        let mut notes = Vec::from_iter(broken);
        let accepts = match env::var(VARIABLE) {
            Ok(value) if value == ACCEPT => true,
            Ok(value) if !value.is_empty() => {
                let help = match nearest(&value, [ACCEPT]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the only valid value is `{ACCEPT}`"),
                };
                notes.push(format!("ignored invalid {VARIABLE} `{value}`; {help}"));
                false
            }
            Err(VarError::NotUnicode(_)) => {
                notes.push(format!("ignored invalid {VARIABLE}: it is not valid UTF-8"));
                false
            }
            _ => false,
        };
        Baseline { store, tolerance, accepts, notes }
    }

    /// Whether this session is accepted as the new level, even if it is slower.
    pub(super) fn accepts(&self) -> bool {
        self.accepts
    }

    /// Compares the percentiles of `runs` runs with the earlier sessions.
    pub(super) fn compare(&self, measured: &Percentiles, runs: usize) -> Comparison {
        let sessions = self.store.sessions();
        let figures = Percentile::ALL.into_iter().filter(|percentile| percentile.is_compared(runs));
        Comparison {
            name: self.store.name().to_owned(),
            sessions: sessions.len(),
            figures: figures.filter_map(|it| figure(sessions, it, measured, self.tolerance)).collect(),
            notes: self.notes.clone(),
        }
    }

    /// Adds this session to the earlier ones, unless it is slower and was not accepted.
    pub(super) fn add(&mut self, measured: Percentiles, comparison: &mut Comparison) {
        let (is_slower, is_faster) = (comparison.is_slower(), comparison.has(Change::Faster));
        if is_slower && !self.accepts {
            comparison.notes.push(format!(
                "this session was not added; to compare with it from now on, run again with {VARIABLE}={ACCEPT}"
            ));
            return;
        }
        let is_changed = is_slower || is_faster;
        if is_changed && !self.accepts {
            comparison.notes.push(format!(
                "this session was added; to compare only with sessions like it, run again with {VARIABLE}={ACCEPT}"
            ));
        }
        let level = self.store.sessions().last().map_or(0, |last| last.level);
        let level = if is_changed && self.accepts { level.saturating_add(1) } else { level };
        comparison.notes.extend(self.store.add(Session { level, percentiles: measured }).err());
    }
}

/// Compares a percentile with its prediction; `None` if there are too few earlier sessions for one.
fn figure(
    sessions: &[Session],
    percentile: Percentile,
    measured: &Percentiles,
    tolerance: f64,
) -> Option<Figure> {
    let observed: Vec<_> = sessions.iter().map(|it| (it.level, it.log(percentile))).collect();
    let expected = Expected::from(&observed, tolerance)?;
    let measured = measured[percentile as usize];
    Some(Figure {
        percentile,
        measured,
        mean: duration(expected.mean),
        low: duration(expected.mean - expected.reach),
        high: duration(expected.mean + expected.reach),
        change: expected.change(log(measured), tolerance),
    })
}

/// A session's level, and the logarithm of what it measured.
type Observed = (u32, f64);

/// The prediction of the next session from the earlier ones, as a logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    mean: f64,
    /// From the mean to either end of the prediction interval.
    reach: f64,
}

impl Expected {
    /// Predicts the next session. Excludes the slowest of the earlier ones if the others would have reported it.
    fn from(earlier: &[Observed], tolerance: f64) -> Option<Expected> {
        let level = earlier.last()?.0;
        let all = Expected::at(level, earlier)?;
        let by_deviation = deviations(earlier).into_iter().enumerate();
        let (slowest, _) = by_deviation.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let mut others = earlier.to_vec();
        let (its_level, its_log) = others.remove(slowest);
        let is_outlier = Expected::at(its_level, &others)
            .is_some_and(|expected| expected.change(its_log, tolerance) == Change::Slower);
        Some(if is_outlier { Expected::at(level, &others).unwrap_or(all) } else { all })
    }

    /// Predicts the next session at a level, from the mean of this level and the noise of all levels. Returns `None`
    /// without sessions of the level, or with too few sessions to estimate the noise.
    fn at(level: u32, earlier: &[Observed]) -> Option<Expected> {
        let here = levels(earlier).find(|sessions| sessions[0].0 == level)?;
        let degrees = earlier.len() - levels(earlier).count();
        let t = student::quantile(degrees)?;
        let variance = deviations(earlier).iter().map(|it| it * it).sum::<f64>() / degrees as f64;
        Some(Expected { mean: mean(here), reach: t * (variance * (1.0 + 1.0 / here.len() as f64)).sqrt() })
    }

    fn change(&self, log: f64, tolerance: f64) -> Change {
        // On a paused clock all sessions can be equal, and then the interval is a point.
        let least = self.reach.max(tolerance.ln_1p());
        if log > self.mean + least {
            Change::Slower
        } else if log < self.mean - least {
            Change::Faster
        } else {
            Change::Usual
        }
    }
}

/// Groups the sessions by level.
fn levels(earlier: &[Observed]) -> impl Iterator<Item = &[Observed]> {
    earlier.chunk_by(|a, b| a.0 == b.0)
}

/// Returns how far each session is above the mean of its level.
fn deviations(earlier: &[Observed]) -> Vec<f64> {
    let of_level = |sessions: &[Observed]| {
        let mean = mean(sessions);
        Vec::from_iter(sessions.iter().map(|(_, log)| log - mean))
    };
    levels(earlier).flat_map(of_level).collect()
}

fn mean(sessions: &[Observed]) -> f64 {
    sessions.iter().map(|(_, log)| log).sum::<f64>() / sessions.len() as f64
}
