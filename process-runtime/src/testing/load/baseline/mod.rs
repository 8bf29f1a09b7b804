//! What a load is compared with, and by which test: the percentiles of its earlier sessions, one session being one
//! run of [`Load`](super::Load), usually one of the test program. The question is whether this session's p50, p95
//! and p99 are those of a slower program.
//!
//! # Why not the runs of two sessions
//!
//! A test of this session's runs against those of an earlier one (rank sum, Kolmogorov-Smirnov, a bootstrap) takes
//! the runs for independent. They are not: all runs of a session share its clock frequency, memory layout and
//! neighbours, and with enough runs any such difference is significant. So two sessions of one program differ for the
//! test where they are equal for everybody else. Kalibera and Jones ("Rigorous benchmarking in reasonable time",
//! ISMM 2013) show that repetition helps only at the level where the variance arises; Mytkowicz and others
//! ("Producing wrong data without doing anything obviously wrong!", ASPLOS 2009) that the size of the environment
//! or the order of linking is worth several percent; and Laaber and others ("Performance testing in the cloud: how bad is it
//! really?", 2018) that the rank sum test of runs has very many false alarms in every cloud they tried, where each
//! side ran on its own.
//!
//! # The test
//!
//! One session is one observation. Of a percentile's logarithm (slow-downs multiply, and so does noise) *x*, with
//! the mean *m* and the standard deviation *s* of the *n* earlier sessions, a **slow-down** is told if
//!
//! * *x* > *m* + *t* · *s* · √(1 + 1/*n*), the upper end of the one-sided 99.75 % prediction interval, *t* being
//!   Student's with *n* − 1 degrees of freedom (Hahn and Meeker, *Statistical Intervals*, 1991, section 4.7): what
//!   the noise of the earlier sessions explains is not told; and
//! * it is more than a tolerance ([`TOLERANCE`], [`Load::tolerance`](super::Load::tolerance)) above the earlier
//!   sessions' geometric mean: sessions that ran within minutes of one another are more alike than tomorrow's, and
//!   then *s* is too small; and
//! * the same holds each time that the load is measured again, [`MEASUREMENTS`] times in all: a neighbour that was busy for a
//!   moment is not told.
//!
//! 99.75 % for each of three percentiles is at least 99.25 % for all of them (Bonferroni). It starts with five
//! earlier sessions and looks at the last [`SESSIONS`]. A percentile that fewer than ten runs are beyond is the luck of
//! a few, and not compared: p99 needs 1000 runs, p95 200, p50 20.
//!
//! A session that was told is not added to the baseline, so it is told again until it is repaired, or until
//! `PROCESS_BASELINE=accept` makes it a new **level**: *m* is then that of the sessions since, and *s* the pooled one
//! of all levels (with one degree of freedom less for each), so that the comparison goes on at once. The same for a
//! session that was faster than the interval, which is only noted. The slowest earlier session is left out of *m* and
//! *s* where the others would have told it: one outlier among the first five would otherwise hide much for long.
//!
//! # What it finds, and what it tells for nothing
//!
//! By simulation, as `simulation.rs` repeats with a fixed seed: noise is log-normal between sessions, independent
//! in all three percentiles, and the same when measured again, which is the worst case for each.
//!
//! | standard deviation between sessions | 3 % | 5 % | 7 % | 10 % |
//! |---|---|---|---|---|
//! | 30 % slower is told, after 5 sessions | 99 % | 83 % | 50 % | 23 % |
//! | after 10 | 99 % | 99 % | 87 % | 52 % |
//! | after 20 | 99 % | 99 % | 97 % | 68 % |
//! | nothing changed, and it is told | 0.2 % | 1.0 % | 1.1 % | 1.1 % |
//!
//! If one session in twenty is an outlier of twice the duration: where that passes before the load is measured
//! again, the last line stays as it is. Where it lasts all the session it is told nearly each time, since that session *was*
//! slower, and nothing within it can know why; it is not added, and the next session is compared as if it had not
//! been. 30 % slower is then still found in 95 % (10 earlier sessions, noise of 3 %). Ten loads, each with 1 % of false alarms, have one
//! in ten runs of the suite.
//!
//! What creeps by less than the tolerance for each session moves the mean along and is never told: that is what
//! [`Load::p95`](super::Load::p95) and its like are for. Noise that drifts (a correlation of 0.8 from each session to
//! the next) raises the last line to 2 % at a noise of 5 %, and to 4 % at 10 %.
//!
//! # Where it is
//!
//! One JSON file for each name, in `process/baseline` of the target directory or in `PROCESS_BASELINE_DIR`. Sessions
//! are compared that have process, concurrency, runs, build profile and machine (architecture, system, cores, model)
//! in common. What is no baseline is told and started anew. Of two programs that write the same file at once, one's session is lost.

#[cfg(test)]
mod simulation;
mod store;
mod student;

use std::env::{self, VarError};
use std::fmt;
use std::time::Duration;

use process_model::nearest;

pub(super) use store::Key;
use store::Store;

/// A percentile that is not this much above the mean of earlier sessions is not told, whatever their noise.
pub const TOLERANCE: f64 = 0.10;

/// How many earlier sessions are looked at, and kept.
pub const SESSIONS: usize = 20;

/// How often a load is measured before it is told to be slower.
pub const MEASUREMENTS: usize = 3;

/// Of so many runs a percentile must be the least.
const BEYOND: usize = 10;

const VARIABLE: &str = "PROCESS_BASELINE";
const ACCEPT: &str = "accept";

/// What is compared of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// The median.
    P50,
    /// 95 % of the runs were no slower.
    P95,
    /// 99 % of the runs were no slower.
    P99,
}

impl Percentile {
    /// All, in the order of the tables.
    pub const ALL: [Percentile; 3] = [Percentile::P50, Percentile::P95, Percentile::P99];

    /// Percent of the runs.
    pub const fn percent(self) -> usize {
        match self {
            Percentile::P50 => 50,
            Percentile::P95 => 95,
            Percentile::P99 => 99,
        }
    }

    /// How many of so many runs are no slower: the nearest rank.
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
    /// Rises by one with each session that was accepted.
    level: u32,
    percentiles: Percentiles,
}

impl Session {
    fn log(&self, percentile: Percentile) -> f64 {
        log(self.percentiles[percentile as usize])
    }
}

fn log(duration: Duration) -> f64 {
    // What takes no time at all, on a paused clock, has no logarithm.
    (duration.as_nanos().max(1) as f64).ln()
}

fn duration(log: f64) -> Duration {
    Duration::from_nanos(log.exp().round() as u64)
}

/// How a load compares with its earlier sessions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Comparison {
    /// The baseline.
    pub name: String,
    /// How many earlier sessions there are, at most [`SESSIONS`].
    pub sessions: usize,
    /// What was compared; empty while there are fewer than five.
    pub figures: Vec<Figure>,
    /// What there is to say of the baseline itself: that its file was broken, or could not be written.
    pub notes: Vec<String>,
}

/// One percentile beside what the earlier sessions let expect.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figure {
    /// Which.
    pub percentile: Percentile,
    /// In this session.
    pub measured: Duration,
    /// The geometric mean of the earlier ones.
    pub mean: Duration,
    /// The lower end of the prediction interval: 99.75 % of sessions are above it if nothing changed.
    pub low: Duration,
    /// The upper end: 99.75 % of sessions are below it.
    pub high: Duration,
    /// What that means.
    pub change: Change,
}

/// What became of a percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that the noise of the earlier sessions does not explain, or nothing above the tolerance.
    Usual,
    /// It is above both.
    Slower,
    /// It is as far below.
    Faster,
}

impl Comparison {
    /// Whether a slow-down is told.
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
            f.write_str(", too few to compare with")?;
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
    /// Reads what there is; what cannot be read is in the notes.
    pub(super) fn open(name: &str, key: Key, tolerance: f64) -> Baseline {
        let (store, broken) = Store::open(name, key);
        let mut notes = Vec::from_iter(broken);
        let accepts = match env::var(VARIABLE) {
            Ok(value) if value == ACCEPT => true,
            Ok(value) if !value.is_empty() => {
                let mean = nearest(&value, [ACCEPT]).map(|near| format!("; did you mean `{near}`?"));
                notes
                    .push(format!("{VARIABLE} is `{value}`, which says nothing{}", mean.unwrap_or_default()));
                false
            }
            Err(VarError::NotUnicode(_)) => {
                notes.push(format!("{VARIABLE} is no text, and says nothing"));
                false
            }
            _ => false,
        };
        Baseline { store, tolerance, accepts, notes }
    }

    /// Whether whatever is measured is to be taken.
    pub(super) fn accepts(&self) -> bool {
        self.accepts
    }

    /// Compares what was measured in so many runs with the earlier sessions.
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

    /// Adds this session to the earlier ones, unless it is one of a slower program that nobody accepts.
    pub(super) fn add(&mut self, measured: Percentiles, comparison: &mut Comparison) {
        let (is_slower, is_faster) = (comparison.is_slower(), comparison.has(Change::Faster));
        if is_slower && !self.accepts {
            let advice = format!("not added to it; {VARIABLE}={ACCEPT} makes this the level to compare with");
            comparison.notes.push(advice);
            return;
        }
        let is_other = is_slower || is_faster;
        if is_other && !self.accepts {
            comparison
                .notes
                .push(format!("added to it; {VARIABLE}={ACCEPT} makes this the level to compare with"));
        }
        let level = self.store.sessions().last().map_or(0, |last| last.level);
        let level = if is_other && self.accepts { level.saturating_add(1) } else { level };
        comparison.notes.extend(self.store.add(Session { level, percentiles: measured }).err());
    }
}

/// What the earlier sessions let expect of a percentile beside what it is; `None` while they are too few.
fn figure(
    sessions: &[Session],
    percentile: Percentile,
    measured: &Percentiles,
    tolerance: f64,
) -> Option<Figure> {
    let observed: Vec<_> = sessions.iter().map(|it| (it.level, it.log(percentile))).collect();
    let expected = Expected::of(&observed, tolerance)?;
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

/// What the earlier sessions let expect of the next, as a logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    mean: f64,
    /// From the mean to either end of the prediction interval.
    reach: f64,
}

impl Expected {
    /// Of the next session, without the slowest of the earlier ones where the others would have told it.
    fn of(earlier: &[Observed], tolerance: f64) -> Option<Expected> {
        let level = earlier.last()?.0;
        let all = Expected::at(level, earlier)?;
        let by_deviation = deviations(earlier).into_iter().enumerate();
        let (slowest, _) = by_deviation.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let mut others = earlier.to_vec();
        let (its_level, its_log) = others.remove(slowest);
        let is_told = Expected::at(its_level, &others)
            .is_some_and(|expected| expected.change(its_log, tolerance) == Change::Slower);
        Some(if is_told { Expected::at(level, &others).unwrap_or(all) } else { all })
    }

    /// Of the next session at a level, from the mean there and the noise at all levels; `None` without
    /// sessions of that level, or with too few to know the noise.
    fn at(level: u32, earlier: &[Observed]) -> Option<Expected> {
        let here = levels(earlier).find(|sessions| sessions[0].0 == level)?;
        let degrees = earlier.len() - levels(earlier).count();
        let t = student::quantile(degrees)?;
        let variance = deviations(earlier).iter().map(|it| it * it).sum::<f64>() / degrees as f64;
        Some(Expected { mean: mean(here), reach: t * (variance * (1.0 + 1.0 / here.len() as f64)).sqrt() })
    }

    fn change(&self, log: f64, tolerance: f64) -> Change {
        // On a paused clock all sessions can be equal, and the interval a point.
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

/// The sessions of each level.
fn levels(earlier: &[Observed]) -> impl Iterator<Item = &[Observed]> {
    earlier.chunk_by(|a, b| a.0 == b.0)
}

/// How far each session is above its level's mean.
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
