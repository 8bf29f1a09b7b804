//! Compares a load with its baseline, which consists of earlier sessions of the load. A session is one call of
//! [`Load::run`](crate::testing::Load::run), usually one for each execution of the test program. The comparison
//! decides from the p50, p95 and p99 of the current session whether the program is slower. Code that runs and
//! measures a load does not belong here.
//!
//! # Why not compare the runs of two sessions
//!
//! A statistical test could compare the runs of this session with those of an earlier session (rank sum,
//! Kolmogorov-Smirnov, a bootstrap). Such a test assumes that runs are independent. They are not, because all runs of
//! a session share the clock frequency, the memory layout and the other programs on the machine. With enough runs,
//! every difference in these conditions becomes significant. The test then reports two sessions of the same program
//! as different, although no one would call either session slower. Kalibera and Jones ("Rigorous benchmarking in
//! reasonable time", ISMM 2013) show that repetition helps only at the level at which the variance arises. Mytkowicz
//! and others ("Producing wrong data without doing anything obviously wrong!", ASPLOS 2009) show that the size of the
//! environment or the link order changes results by several percent. Laaber and others ("Performance testing in the
//! cloud: how bad is it really?", 2018) apply the rank sum test to runs that were not measured at the same time. They
//! find very many false alarms in every cloud that they tried.
//!
//! # The test
//!
//! The test treats each session as one observation. It uses the logarithm *x* of a percentile, because slow-downs and
//! noise both multiply durations. *m* is the mean and *s* the standard deviation of *x* over the *n* earlier
//! sessions. A **slow-down** is reported if all of the following hold:
//!
//! * *x* > *m* + *t* · *s* · √(1 + 1/*n*). The right side is the upper end of the one-sided 99.75 % prediction
//!   interval, and *t* is the quantile of Student's distribution with *n* − 1 degrees of freedom (Hahn and Meeker,
//!   *Statistical Intervals*, 1991, section 4.7). A difference within the noise of the earlier sessions is therefore
//!   not reported.
//! * The percentile is more than a tolerance ([`TOLERANCE`], [`Load::tolerance`](crate::testing::Load::tolerance))
//!   above the geometric mean of the earlier sessions. The tolerance is needed because sessions that run within a few
//!   minutes resemble one another more than they resemble tomorrow's sessions. If all earlier sessions ran within a
//!   few minutes, *s* is too small.
//! * The load is measured again, [`MEASUREMENTS`] times in total, and in each measurement both conditions hold for at
//!   least one percentile. Another program that is busy for a moment therefore does not cause a report.
//!
//! If nothing changed, each of the three percentiles is below the upper end of its interval with a probability of
//! 99.75 %. All three are below their upper ends with a probability of at least 99.25 % (Bonferroni).
//!
//! The comparison starts when there are five earlier sessions, and uses the [`SESSIONS`] most recent ones. A
//! percentile is compared only if at least ten runs are above it, because fewer runs do not determine the percentile
//! well enough. This requires 1000 runs for p99, 200 for p95 and 20 for p50.
//!
//! A session that is reported as slower is not added to the baseline. Further sessions of the same program are also
//! reported, until the program is repaired or a session runs with `PROCESS_BASELINE=accept`. This setting adds the
//! session and starts a new **level** with it. From then on, *m* is the mean of the sessions of the new level. *s* is
//! pooled over all levels, and each level takes one degree of freedom, so that the comparison does not wait for five
//! sessions of the new level. The setting also starts a new level if a session is faster, by the first two conditions
//! in the opposite direction. Without the setting, a faster session is added to the current level, and a note in the
//! report says so.
//!
//! The slowest earlier session is excluded from *m* and *s* if a comparison with the other earlier sessions would
//! report this session as slower. Otherwise, one outlier among the first five sessions would hide slow-downs for a
//! long time.
//!
//! # Power and false alarms
//!
//! The figures in this section come from a simulation, which `simulation.rs` repeats with a fixed seed. The simulated
//! noise is log-normal between sessions and independent in all three percentiles. All measurements of a session have
//! the same noise. This is the worst case, because a new measurement then cannot correct a false alarm.
//!
//! | standard deviation between sessions | 3 % | 5 % | 7 % | 10 % |
//! |---|---|---|---|---|
//! | a slow-down of 30 % is found after 5 sessions | 99 % | 83 % | 50 % | 23 % |
//! | a slow-down of 30 % is found after 10 sessions | 99 % | 99 % | 87 % | 52 % |
//! | a slow-down of 30 % is found after 20 sessions | 99 % | 99 % | 97 % | 68 % |
//! | false alarm, although nothing changed | 0.2 % | 1.0 % | 1.1 % | 1.1 % |
//!
//! Suppose that one session in twenty is an outlier that takes twice as long. If the cause passes before the load is
//! measured again, the last row does not change. If the cause lasts for the whole session, the session is nearly
//! always reported, because it *was* slower and nothing in it shows why. The session is then not added, so it does
//! not affect the comparison of later sessions. With such outliers, a slow-down of 30 % is still found in 95 % of
//! cases (10 earlier sessions, noise of 3 %).
//!
//! A suite of ten loads, each with 1 % false alarms, has a false alarm in about one of ten executions.
//!
//! A program can become slower from session to session, each time by less than the tolerance. Each session then also
//! raises the mean, and the slow-down is never reported. Use bounds such as [`Load::p95`](crate::testing::Load::p95)
//! against such slow-downs. Noise can also drift. With a correlation of 0.8 between consecutive sessions, the false
//! alarms in the last row rise to 2 % at a noise of 5 %, and to 4 % at 10 %.
//!
//! # Where sessions are stored
//!
//! Each baseline name has one JSON file. The file is in the directory `PROCESS_BASELINE_DIR` if the variable is set,
//! and otherwise in `process/baseline` of the target directory. Sessions are compared only if they agree in process,
//! concurrency, number of runs, build profile and machine (architecture, system, cores, model). If a file cannot be
//! read, the problem is reported and the baseline starts anew. If two programs use the same file at the same time,
//! the session of one program can be lost.

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

/// The default tolerance. A percentile is reported as slower only if it exceeds the mean of the earlier sessions by
/// more than this fraction of the mean, however small the noise of these sessions is.
pub const TOLERANCE: f64 = 0.10;

/// The maximum number of earlier sessions that are kept and used. Older sessions are dropped.
pub const SESSIONS: usize = 20;

/// How many measurements in total must be slower before a load is reported as slower.
pub const MEASUREMENTS: usize = 3;

/// The minimum number of runs above a percentile. A percentile with fewer runs above it is not compared.
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
    /// All percentiles, in the order in which reports list them.
    pub const ALL: [Percentile; 3] = [Percentile::P50, Percentile::P95, Percentile::P99];

    /// Returns the number in the name: 50, 95 or 99.
    pub const fn percent(self) -> usize {
        match self {
            Percentile::P50 => 50,
            Percentile::P95 => 95,
            Percentile::P99 => 99,
        }
    }

    /// Returns the rank of the percentile among this many sorted runs, by the nearest-rank method. Ranks start at 1.
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
    /// The number of the level that the session belongs to. Each accepted change starts a new level with the next
    /// number.
    level: u32,
    percentiles: Percentiles,
}

impl Session {
    fn log(&self, percentile: Percentile) -> f64 {
        log(self.percentiles[percentile as usize])
    }
}

fn log(duration: Duration) -> f64 {
    // On a paused clock, the duration of a run can be 0, which has no logarithm.
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
    /// The percentiles that were compared. Empty if there are too few earlier sessions, or too few runs in this
    /// session.
    pub figures: Vec<Figure>,
    /// Notes about the baseline itself, for example that its file could not be read or written.
    pub notes: Vec<String>,
}

/// One percentile of this session, and its prediction from the earlier sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figure {
    /// The percentile.
    pub percentile: Percentile,
    /// The value of the percentile in this session.
    pub measured: Duration,
    /// The geometric mean of the percentile in the earlier sessions of the current level.
    pub mean: Duration,
    /// The lower end of the prediction interval. If nothing changed, 99.75 % of sessions are above it.
    pub low: Duration,
    /// The upper end of the prediction interval. If nothing changed, 99.75 % of sessions are below it.
    pub high: Duration,
    /// Whether the percentile changed.
    pub change: Change,
}

/// Whether a percentile changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The percentile is within the prediction interval, or differs from the mean by at most the tolerance.
    Usual,
    /// The percentile is above the prediction interval, and above the mean by more than the tolerance.
    Slower,
    /// The percentile is below the prediction interval, and below the mean by more than the tolerance.
    Faster,
}

impl Comparison {
    /// Returns whether any percentile is slower.
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
            f.write_str("; too few sessions or runs to compare")?;
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

/// The earlier sessions of one load, and the settings for the comparison with them.
#[derive(Debug)]
pub(super) struct Baseline {
    store: Store,
    tolerance: f64,
    accepts: bool,
    notes: Vec<String>,
}

impl Baseline {
    /// Reads the baseline `name`, and the environment variable `PROCESS_BASELINE`. Problems become notes of the
    /// comparison.
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

    /// Returns whether `PROCESS_BASELINE=accept` is set. If so, a faster or slower session starts a new level, and a
    /// slower session does not fail the test.
    pub(super) fn accepts(&self) -> bool {
        self.accepts
    }

    /// Compares the percentiles `measured`, from `runs` runs, with the earlier sessions.
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

    /// Adds this session to the earlier sessions. A slower session is added only if `PROCESS_BASELINE=accept` is set.
    /// If a session is faster or slower and the variable is not set, or if the file cannot be written, adds a note to
    /// the comparison.
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

/// Compares a percentile with its prediction. Returns `None` if there are too few earlier sessions for a prediction.
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

/// The level of a session, and the logarithm of a percentile of the session.
type Observed = (u32, f64);

/// The prediction of a percentile of the next session, as a logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    mean: f64,
    /// The distance from the mean to either end of the prediction interval.
    reach: f64,
}

impl Expected {
    /// Predicts the next session from the earlier sessions. Excludes the slowest earlier session if a comparison with
    /// the others reports this session as slower. Returns `None` if there are too few sessions.
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
    /// if the level has no session, or if there are too few sessions to estimate the noise.
    fn at(level: u32, earlier: &[Observed]) -> Option<Expected> {
        let here = levels(earlier).find(|sessions| sessions[0].0 == level)?;
        let degrees = earlier.len() - levels(earlier).count();
        let t = student::quantile(degrees)?;
        let variance = deviations(earlier).iter().map(|it| it * it).sum::<f64>() / degrees as f64;
        Some(Expected { mean: mean(here), reach: t * (variance * (1.0 + 1.0 / here.len() as f64)).sqrt() })
    }

    fn change(&self, log: f64, tolerance: f64) -> Change {
        // On a paused clock, all sessions can be equal. The interval is then a single point, and only the tolerance
        // counts.
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
