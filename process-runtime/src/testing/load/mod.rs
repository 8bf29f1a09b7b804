//! Many runs of a process at once, held to bounds and compared with a baseline. How they go on at once is `crowd`'s,
//! what they are compared with `baseline`'s.

pub mod baseline;
mod crowd;

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use process_model::Outcome;
use process_model::grammar::check_id;
use tokio::time::Instant;

use self::baseline::{Baseline, Comparison, Key, MEASUREMENTS, Percentile, TOLERANCE};
use crate::base::lock::lock;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::observe::{End, RunView, Sink};
use crate::stats::Outcomes;
use crate::testing::domain::Domain;
use crate::testing::observing::witness;

/// A load: what is called how often and how much of it at once, and the bounds that its runs must hold.
///
/// ```
/// use std::time::Duration;
/// use process_runtime::critical_process;
/// use process_runtime::testing::Load;
///
/// #[critical_process(id = "checkout", version = "1.0.0", sla = "2s")]
/// async fn checkout(company: &str) -> Result<(), std::io::Error> {
///     tokio::time::sleep(Duration::from_millis(2)).await;
///     Ok(())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let report = Load::of("checkout")
///     .concurrency(16)
///     .runs(2_000)
///     .p95(Duration::from_millis(20))
///     .error_rate(0.01)
///     .run(async || checkout("acme").await)
///     .await;
/// assert_eq!(report.ended().total(), 2_000);
/// # });
/// ```
///
/// [`Load::baseline`] adds the comparison with earlier sessions, whose test [`baseline`](baseline) explains.
#[derive(Clone, Debug)]
#[must_use = "a load does nothing before `run`"]
pub struct Load {
    process: &'static ProcessDefinition,
    concurrency: usize,
    runs: usize,
    bounds: Bounds,
    baseline: Option<String>,
    tolerance: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    percentiles: [Option<Duration>; Percentile::ALL.len()],
    error_rate: Option<f64>,
}

impl Load {
    /// Of the process with this id: 100 runs, one at a time, unless it is said.
    ///
    /// # Panics
    /// With the nearest id, where there is no such process.
    #[track_caller]
    pub fn of(id: &str) -> Load {
        // In no closure, whose line would be the panic's.
        let process = match registry::get(id) {
            Ok(process) => process,
            Err(unknown) => panic!("{unknown}"),
        };
        let bounds = Bounds::default();
        Load { process, concurrency: 1, runs: 100, bounds, baseline: None, tolerance: TOLERANCE }
    }

    /// How many calls go on at a time.
    ///
    /// # Panics
    /// If that is none.
    #[track_caller]
    pub fn concurrency(mut self, concurrency: usize) -> Load {
        assert!(concurrency > 0, "a load of `{}` with a concurrency of 0 runs nothing", self.process.id());
        self.concurrency = concurrency;
        self
    }

    /// How many calls there are in all.
    ///
    /// # Panics
    /// If that is none.
    #[track_caller]
    pub fn runs(mut self, runs: usize) -> Load {
        assert!(runs > 0, "a load of `{}` with 0 runs runs nothing", self.process.id());
        self.runs = runs;
        self
    }

    /// The median may be at most this.
    ///
    /// # Panics
    /// If that is zero.
    #[track_caller]
    pub fn p50(self, most: Duration) -> Load {
        self.bound(Percentile::P50, most)
    }

    /// 95 % of the runs must take at most this.
    ///
    /// # Panics
    /// If that is zero.
    #[track_caller]
    pub fn p95(self, most: Duration) -> Load {
        self.bound(Percentile::P95, most)
    }

    /// 99 % of the runs must take at most this.
    ///
    /// # Panics
    /// If that is zero.
    #[track_caller]
    pub fn p99(self, most: Duration) -> Load {
        self.bound(Percentile::P99, most)
    }

    #[track_caller]
    fn bound(mut self, percentile: Percentile, most: Duration) -> Load {
        assert!(!most.is_zero(), "no run of `{}` can hold a {percentile} of 0", self.process.id());
        self.bounds.percentiles[percentile as usize] = Some(most);
        self
    }

    /// (failure + panic) ÷ (ended − cancelled) may be at most this, between 0 and 1. Where every run was cancelled
    /// there is no such rate, and the bound is broken.
    ///
    /// # Panics
    /// If it is not between 0 and 1.
    #[track_caller]
    pub fn error_rate(mut self, most: f64) -> Load {
        assert!((0.0..=1.0).contains(&most), "an error rate is between 0 and 1, and {most} is not");
        self.bounds.error_rate = Some(most);
        self
    }

    /// Compares with the earlier sessions of this name, and adds this one to them. See [`baseline`](baseline)
    /// for the test, and for where they are.
    ///
    /// # Panics
    /// If the name is not of the form of an id: it names a file.
    #[track_caller]
    pub fn baseline(mut self, name: &str) -> Load {
        if let Err(error) = check_id(name) {
            panic!("a baseline is named like a process: {error}");
        }
        self.baseline = Some(name.to_owned());
        self
    }

    /// A percentile that is not this much above the mean of the earlier sessions is not told, whatever their noise:
    /// 0.25 is 25 %. The default is [`TOLERANCE`].
    ///
    /// # Panics
    /// If it is negative or not a number.
    #[track_caller]
    pub fn tolerance(mut self, tolerance: f64) -> Load {
        assert!(tolerance >= 0.0 && tolerance.is_finite(), "{tolerance} is no tolerance");
        self.tolerance = tolerance;
        self
    }

    /// Calls `load` and awaits what it returns until all calls have ended, in a domain of their own. What counts is every
    /// run of the process that ended in there, by its own outcome and duration; what `load` returns does not.
    /// Time is tokio's: real, unless the test pauses it. Where a baseline has this session slower, the load is
    /// measured again, at most [`MEASUREMENTS`] times; the report is of the last.
    ///
    /// All calls go on in the caller's task, so they may borrow and need not be `Send`, and share its thread. For a
    /// load on all threads of the runtime let each call spawn, with the domain:
    /// `tokio::spawn(Carrier::current().carry(checkout("acme"))).await`.
    ///
    /// # Panics
    /// With a table of what was asked and what was measured, if a bound is broken or this session is slower than the
    /// baseline. If no run of the process ended. With the panic of `load` where that is not one of the process's runs.
    /// If fewer runs than the concurrency were asked for. Outside of a tokio runtime with a timer.
    #[track_caller]
    pub fn run<F, R>(self, load: F) -> impl Future<Output = LoadReport>
    where
        F: AsyncFn() -> R,
    {
        let Load { process, concurrency, runs, .. } = self;
        let id = process.id();
        assert!(runs >= concurrency, "{runs} runs of `{id}` are never {concurrency} at a time");
        let place = Location::caller();
        let witness = witness::current();
        async move {
            let report = self.hold(place, load).await;
            if let Some(witness) = witness
                && report.is_bounded()
            {
                witness.loaded(report.process, report.took);
            }
            report
        }
    }

    async fn hold<R>(self, place: &'static Location<'static>, load: impl AsyncFn() -> R) -> LoadReport {
        let key = Key::of(self.process.id(), self.concurrency, self.runs);
        let mut baseline = self.baseline.as_ref().map(|name| Baseline::open(name, key, self.tolerance));
        let mut measurements = 0;
        loop {
            measurements += 1;
            let mut report = self.measure(place, &load).await;
            assert!(!report.is_broken(), "{report}");
            let Some(baseline) = &mut baseline else { return report };
            let mut comparison = baseline.compare(&report.percentiles(), report.durations.len());
            let is_slower = comparison.is_slower() && !baseline.accepts();
            if is_slower && measurements < MEASUREMENTS {
                continue;
            }
            baseline.add(report.percentiles(), &mut comparison);
            report.measurements = measurements;
            report.comparison = Some(comparison);
            assert!(!is_slower, "{report}");
            report.say_notes();
            return report;
        }
    }

    async fn measure<R>(&self, place: &'static Location<'static>, load: &impl AsyncFn() -> R) -> LoadReport {
        let log = Arc::new(Log { process: self.process.id(), told: Mutex::default() });
        let domain = Domain::builder().sink(Arc::clone(&log) as Arc<dyn Sink>).build();
        let mut panics = 0;
        // A panic of the process's own is told before it arrives here.
        let panicked = |panic| {
            panics += 1;
            if panics > log.told().ended.count(Outcome::Panic) {
                resume_unwind(panic);
            }
        };
        let call = || async {
            load().await;
        };
        let started = Instant::now();
        domain.run(crowd::run(self.concurrency, self.runs, call, panicked)).await;
        let took = started.elapsed();
        let Told { mut durations, ended, others } = std::mem::take(&mut *log.told());
        assert!(!durations.is_empty(), "{}", Unseen { load: self, place, others });
        durations.sort_unstable();
        let Load { process, concurrency, bounds, .. } = *self;
        LoadReport {
            process,
            place,
            concurrency,
            took,
            durations,
            ended,
            bounds,
            measurements: 1,
            comparison: None,
        }
    }
}

/// What a load's runs were: its `Display` is the table of what was asked and what was measured.
#[derive(Clone, Debug)]
pub struct LoadReport {
    process: &'static ProcessDefinition,
    place: &'static Location<'static>,
    concurrency: usize,
    took: Duration,
    /// Sorted, and never empty.
    durations: Vec<Duration>,
    ended: Outcomes,
    bounds: Bounds,
    measurements: usize,
    comparison: Option<Comparison>,
}

impl LoadReport {
    /// The process.
    pub fn process(&self) -> &'static ProcessDefinition {
        self.process
    }

    /// How the runs ended. They are as many as the calls only if each call is one run of the process.
    pub fn ended(&self) -> Outcomes {
        self.ended
    }

    /// (failure + panic) ÷ (ended − cancelled), or `None` where that divides by zero.
    pub fn error_rate(&self) -> Option<f64> {
        self.ended.error_rate()
    }

    /// The median of all runs, however they ended. Percentiles are nearest-rank, over the exact durations.
    pub fn p50(&self) -> Duration {
        self.percentile(Percentile::P50)
    }

    /// 95 % of the runs were no slower.
    pub fn p95(&self) -> Duration {
        self.percentile(Percentile::P95)
    }

    /// 99 % of the runs were no slower.
    pub fn p99(&self) -> Duration {
        self.percentile(Percentile::P99)
    }

    /// The longest run.
    pub fn max(&self) -> Duration {
        self.durations[self.durations.len() - 1]
    }

    /// How long it took until all calls had ended.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// How often the load was measured: more than once where it seemed slower at first.
    pub fn measurements(&self) -> usize {
        self.measurements
    }

    /// Whether anything was asked of it.
    fn is_bounded(&self) -> bool {
        let Bounds { percentiles, error_rate } = &self.bounds;
        error_rate.is_some() || self.comparison.is_some() || percentiles.iter().any(Option::is_some)
    }

    /// How it compares with the baseline, where it has one.
    pub fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }

    /// On standard error, where the test's output is, since nobody prints the report of a load that holds.
    fn say_notes(&self) {
        if let Some(comparison) = &self.comparison {
            for note in &comparison.notes {
                eprintln!("critical_process: baseline `{}`: {note}", comparison.name);
            }
        }
    }

    fn percentile(&self, percentile: Percentile) -> Duration {
        self.durations[percentile.rank(self.durations.len()) - 1]
    }

    fn percentiles(&self) -> [Duration; Percentile::ALL.len()] {
        Percentile::ALL.map(|percentile| self.percentile(percentile))
    }

    fn is_broken(&self) -> bool {
        self.rows().iter().any(|row| row.is_broken)
    }

    fn rows(&self) -> Vec<Row> {
        let percentile = |percentile: Percentile| {
            let (measured, most) =
                (self.percentile(percentile), self.bounds.percentiles[percentile as usize]);
            Row {
                what: percentile.to_string(),
                measured: format!("{measured:.1?}"),
                asked: most.map(|most| format!("at most {most:.1?}")),
                is_broken: most.is_some_and(|most| measured > most),
            }
        };
        let (rate, most) = (self.error_rate(), self.bounds.error_rate);
        let error_rate = Row {
            what: "error rate".to_owned(),
            measured: rate.map_or("none".to_owned(), percent),
            asked: most.map(|most| format!("at most {}", percent(most))),
            is_broken: most.is_some_and(|most| rate.is_none_or(|rate| rate > most)),
        };
        Percentile::ALL.into_iter().map(percentile).chain([error_rate]).collect()
    }
}

fn percent(rate: f64) -> String {
    format!("{:.2} %", 100.0 * rate)
}

/// One line of the table.
struct Row {
    what: String,
    measured: String,
    asked: Option<String>,
    is_broken: bool,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, runs) = (self.process.id(), self.durations.len());
        let (at_once, took, place) = (self.concurrency, self.took, self.place);
        writeln!(f, "load of `{id}` at {place}: {runs} runs, {at_once} at a time, in {took:.1?}")?;
        if self.measurements > 1 {
            writeln!(f, "measured {} times, this is the last", self.measurements)?;
        }
        write!(f, "{:12}{:>12}   asked", "", "measured")?;
        for row in self.rows() {
            let asked = row.asked.as_deref().unwrap_or("nothing");
            let broken = if row.is_broken { "broken" } else { "" };
            let line = format!("{:12}{:>12}   {asked:20}{broken}", row.what, row.measured);
            write!(f, "\n{}", line.trim_end())?;
        }
        let ended = Outcome::ALL.map(|outcome| (outcome, self.ended.count(outcome)));
        let ended = ended.iter().filter(|(_, runs)| *runs > 0);
        let ended: Vec<_> = ended.map(|(outcome, runs)| format!("{outcome} {runs}")).collect();
        write!(
            f,
            "\nended as {}; {} late; the longest took {:.1?}",
            ended.join(", "),
            self.ended.late(),
            self.max()
        )?;
        self.comparison.iter().try_for_each(|comparison| write!(f, "\n{comparison}"))
    }
}

/// No run of the process ended.
struct Unseen<'a> {
    load: &'a Load,
    place: &'static Location<'static>,
    others: BTreeSet<&'static str>,
}

impl fmt::Display for Unseen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, calls, place) = (self.load.process.id(), self.load.runs, self.place);
        write!(f, "load of `{id}` at {place}: {calls} calls, and no run of `{id}` ended; ")?;
        if self.others.is_empty() {
            return f.write_str("nothing else did. What is spawned needs `Carrier::current().carry(…)`");
        }
        write!(f, "only of `{}`", Vec::from_iter(self.others.iter().copied()).join("`, `"))
    }
}

/// Keeps what became of each run of one process.
#[derive(Debug)]
struct Log {
    process: &'static str,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    durations: Vec<Duration>,
    ended: Outcomes,
    /// The other processes that ran.
    others: BTreeSet<&'static str>,
}

impl Log {
    fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }
}

impl Sink for Log {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        let (Some(process), true) = (run.process(), run.is_of_process()) else { return };
        let mut told = self.told();
        if process.id() == self.process {
            told.durations.push(end.duration);
            told.ended.add(end.outcome, end.late);
        } else {
            told.others.insert(process.id());
        }
    }
}
