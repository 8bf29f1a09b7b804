//! Runs a process many times, with concurrent calls, checks bounds, and compares the session with a baseline of
//! earlier sessions. A session is one execution of a load. `crowd` runs the concurrent calls. `baseline` keeps
//! earlier sessions and decides whether the current session is slower. Statistical tests do not belong here.

pub mod baseline;
mod crowd;

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_model::Outcome;
use process_model::grammar::check_id;
use tokio::time::Instant;

use self::baseline::{Baseline, Comparison, LoadKey, MEASUREMENTS, Percentile, TOLERANCE};
use crate::base::foreign::guard::Payload;
use crate::base::lock::lock;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::observe::{End, RunView, Sink};
use crate::stats::Outcomes;
use crate::testing::domain::Domain;
use crate::testing::observing::witness;

/// Calls a process many times and checks that its runs are within the bounds that the methods of this type set.
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
/// let report = Load::new("checkout")
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
/// [`Load::baseline`] also compares the durations of the runs with those of earlier executions of the load, which are
/// called sessions. The module [`baseline`](baseline) explains the statistical test.
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
    /// Creates a load for the process with this id. By default, the load has 100 calls, one at a time, and no bounds.
    ///
    /// # Panics
    /// If no process has this id. The message suggests a similar id if there is one.
    #[track_caller]
    pub fn new(id: &str) -> Load {
        // In a closure, the panic would report the closure's line instead of the caller's.
        let process = match registry::get(id) {
            Ok(process) => process,
            Err(unknown) => panic!("{unknown}"),
        };
        let bounds = Bounds::default();
        Load { process, concurrency: 1, runs: 100, bounds, baseline: None, tolerance: TOLERANCE }
    }

    /// Sets how many calls run at the same time.
    ///
    /// # Panics
    /// If `concurrency` is 0.
    #[track_caller]
    pub fn concurrency(mut self, concurrency: usize) -> Load {
        assert!(
            concurrency > 0,
            "invalid concurrency 0 for the load of `{}`: it must be at least 1",
            self.process.id()
        );
        self.concurrency = concurrency;
        self
    }

    /// Sets how many calls there are in total.
    ///
    /// # Panics
    /// If `runs` is 0.
    #[track_caller]
    pub fn runs(mut self, runs: usize) -> Load {
        assert!(
            runs > 0,
            "invalid number of runs 0 for the load of `{}`: it must be at least 1",
            self.process.id()
        );
        self.runs = runs;
        self
    }

    /// Requires the median duration to be at most `most`.
    ///
    /// # Panics
    /// If `most` is zero.
    #[track_caller]
    pub fn p50(self, most: Duration) -> Load {
        self.bound(Percentile::P50, most)
    }

    /// Requires 95 % of the runs to take at most `most`.
    ///
    /// # Panics
    /// If `most` is zero.
    #[track_caller]
    pub fn p95(self, most: Duration) -> Load {
        self.bound(Percentile::P95, most)
    }

    /// Requires 99 % of the runs to take at most `most`.
    ///
    /// # Panics
    /// If `most` is zero.
    #[track_caller]
    pub fn p99(self, most: Duration) -> Load {
        self.bound(Percentile::P99, most)
    }

    #[track_caller]
    fn bound(mut self, percentile: Percentile, most: Duration) -> Load {
        assert!(
            !most.is_zero(),
            "invalid {percentile} 0 for the load of `{}`: it must be more than zero",
            self.process.id()
        );
        self.bounds.percentiles[percentile as usize] = Some(most);
        self
    }

    /// Requires the error rate, (failure + panic) ÷ (ended − cancelled), to be at most `most`. If every run was
    /// cancelled, the error rate is undefined, and the bound is broken.
    ///
    /// # Panics
    /// If `most` is not between 0 and 1.
    #[track_caller]
    pub fn error_rate(mut self, most: f64) -> Load {
        assert!((0.0..=1.0).contains(&most), "invalid error rate {most}: it must be between 0 and 1");
        self.bounds.error_rate = Some(most);
        self
    }

    /// Compares this execution of the load (a session) with the earlier sessions that are stored under `name`, and
    /// then stores this session with them. A slower session is stored only if the user accepts it. The module
    /// [`baseline`](baseline) explains the statistical test, how to accept a session, and where sessions are stored.
    ///
    /// # Panics
    /// If `name` does not have the form of an id. The name becomes the name of a file.
    #[track_caller]
    pub fn baseline(mut self, name: &str) -> Load {
        if let Err(error) = check_id(name) {
            panic!("invalid baseline name `{name}`: it must have the form of an id; {}", error.help());
        }
        self.baseline = Some(name.to_owned());
        self
    }

    /// Sets how far a percentile must be above the mean of the earlier sessions before the percentile is reported as
    /// slower. This minimum applies even if the noise of the earlier sessions is very small. 0.25 means 25 %. The
    /// default is [`TOLERANCE`].
    ///
    /// # Panics
    /// If `tolerance` is negative or not finite.
    #[track_caller]
    pub fn tolerance(mut self, tolerance: f64) -> Load {
        assert!(
            tolerance >= 0.0 && tolerance.is_finite(),
            "invalid tolerance {tolerance}: it must be 0 or more, for example 0.25 for 25 %"
        );
        self.tolerance = tolerance;
        self
    }

    /// Calls `load` as often as [`Load::runs`] sets, and awaits all calls in one new domain. Every run of the process
    /// that ends in this domain is measured, with the outcome and duration of this run. The value that `load` returns
    /// is ignored. Time is measured by tokio's clock, which is real time unless the test pauses it. If the comparison
    /// with the baseline finds a slow-down, the load is measured again, up to [`MEASUREMENTS`] times in total. The
    /// report describes the last measurement.
    ///
    /// All calls run in the caller's task. They can borrow, need not be `Send`, and share the thread of this task. To
    /// load all threads of the runtime, spawn a task in each call and carry the domain into the task:
    /// `tokio::spawn(Carrier::current().carry(checkout("acme"))).await`.
    ///
    /// # Panics
    ///
    /// * If a bound is broken or the session is slower than the baseline. The message has a table of bounds and
    ///   measurements.
    /// * If no run of the process ended.
    /// * If `load` panics outside the runs of the process. A panic inside a run does not propagate. The run then has
    ///   the outcome `panic`.
    /// * If the number of runs is smaller than the concurrency.
    /// * Outside of a tokio runtime with a timer.
    #[track_caller]
    pub fn run<F, R>(self, load: F) -> impl Future<Output = LoadReport>
    where
        F: AsyncFn() -> R,
    {
        let Load { process, concurrency, runs, .. } = self;
        let id = process.id();
        assert!(
            runs >= concurrency,
            "invalid load of `{id}`: {runs} runs with a concurrency of {concurrency}; use at least {concurrency} runs"
        );
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
        let key = LoadKey::new(self.process.id(), self.concurrency, self.runs);
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
            report.print_notes();
            return report;
        }
    }

    async fn measure<R>(&self, place: &'static Location<'static>, load: &impl AsyncFn() -> R) -> LoadReport {
        let log = Arc::new(Log { process: self.process.id(), tally: Mutex::default() });
        let domain = Domain::builder().sink(Arc::clone(&log) as Arc<dyn Sink>).build();
        let mut panics = 0;
        // If a run of the process panics, `log` receives the outcome before the panic arrives here. Any other panic
        // is passed on.
        let panicked = |panic: Payload| {
            panics += 1;
            if panics > lock(&log.tally).ended.count(Outcome::Panic) {
                panic.resume();
            }
        };
        let call = || async {
            load().await;
        };
        let started = Instant::now();
        domain.run(crowd::run(self.concurrency, self.runs, call, panicked)).await;
        let took = started.elapsed();
        let Tally { mut durations, ended, others } = std::mem::take(&mut *lock(&log.tally));
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

/// The result of a load. Its `Display` prints the table of bounds and measurements.
#[derive(Clone, Debug)]
pub struct LoadReport {
    process: &'static ProcessDefinition,
    place: &'static Location<'static>,
    concurrency: usize,
    took: Duration,
    /// The durations of the runs, sorted. Never empty.
    durations: Vec<Duration>,
    ended: Outcomes,
    bounds: Bounds,
    measurements: usize,
    comparison: Option<Comparison>,
}

impl LoadReport {
    /// Returns the process.
    pub fn process(&self) -> &'static ProcessDefinition {
        self.process
    }

    /// Returns how many runs ended with each outcome. The number of runs equals the number of calls only if each call
    /// runs the process once.
    pub fn ended(&self) -> Outcomes {
        self.ended
    }

    /// Returns (failure + panic) ÷ (ended − cancelled), or `None` if the divisor is zero.
    pub fn error_rate(&self) -> Option<f64> {
        self.ended.error_rate()
    }

    /// Returns the median duration of all runs, whatever their outcome. Percentiles are computed from exact durations
    /// by the nearest-rank method.
    pub fn p50(&self) -> Duration {
        self.percentile(Percentile::P50)
    }

    /// Returns the duration that 95 % of the runs did not exceed.
    pub fn p95(&self) -> Duration {
        self.percentile(Percentile::P95)
    }

    /// Returns the duration that 99 % of the runs did not exceed.
    pub fn p99(&self) -> Duration {
        self.percentile(Percentile::P99)
    }

    /// Returns the duration of the longest run.
    pub fn max(&self) -> Duration {
        self.durations[self.durations.len() - 1]
    }

    /// Returns the time from the start until all calls had ended.
    pub fn elapsed(&self) -> Duration {
        self.took
    }

    /// Returns how often the load was measured. This is more than once if an earlier measurement was slower than the
    /// baseline.
    pub fn measurements(&self) -> usize {
        self.measurements
    }

    /// Returns whether the load has a bound or a baseline.
    fn is_bounded(&self) -> bool {
        let Bounds { percentiles, error_rate } = &self.bounds;
        error_rate.is_some() || self.comparison.is_some() || percentiles.iter().any(Option::is_some)
    }

    /// Returns the comparison with the baseline; `None` if the load has no baseline.
    pub fn comparison(&self) -> Option<&Comparison> {
        self.comparison.as_ref()
    }

    /// Prints the notes about the baseline to standard error, because the report itself is not printed if the bounds
    /// hold.
    fn print_notes(&self) {
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

    fn rows(&self) -> Vec<Line> {
        let percentile = |percentile: Percentile| {
            let (measured, most) =
                (self.percentile(percentile), self.bounds.percentiles[percentile as usize]);
            Line {
                name: percentile.to_string(),
                measured: format!("{measured:.1?}"),
                bound: most.map(|most| format!("at most {most:.1?}")),
                is_broken: most.is_some_and(|most| measured > most),
            }
        };
        let (rate, most) = (self.error_rate(), self.bounds.error_rate);
        let error_rate = Line {
            name: "error rate".to_owned(),
            measured: rate.map_or("none".to_owned(), percent),
            bound: most.map(|most| format!("at most {}", percent(most))),
            is_broken: most.is_some_and(|most| rate.is_none_or(|rate| rate > most)),
        };
        Percentile::ALL.into_iter().map(percentile).chain([error_rate]).collect()
    }
}

fn percent(rate: f64) -> String {
    format!("{:.2} %", 100.0 * rate)
}

/// One line of the table.
struct Line {
    name: String,
    measured: String,
    bound: Option<String>,
    is_broken: bool,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, runs) = (self.process.id(), self.durations.len());
        let (at_once, took, place) = (self.concurrency, self.took, self.place);
        writeln!(f, "load of `{id}` at {place}: {runs} runs, {at_once} at a time, in {took:.1?}")?;
        if self.measurements > 1 {
            writeln!(f, "measured {} times; this is the last measurement", self.measurements)?;
        }
        write!(f, "{:12}{:>12}   bound", "", "measured")?;
        for line in self.rows() {
            let bound = line.bound.as_deref().unwrap_or("none");
            let broken = if line.is_broken { "broken" } else { "" };
            let line = format!("{:12}{:>12}   {bound:20}{broken}", line.name, line.measured);
            write!(f, "\n{}", line.trim_end())?;
        }
        let ended = Outcome::ALL.map(|outcome| (outcome, self.ended.count(outcome)));
        let ended = ended.iter().filter(|(_, runs)| *runs > 0);
        let ended: Vec<_> = ended.map(|(outcome, runs)| format!("{outcome} {runs}")).collect();
        write!(
            f,
            "\nended as {}; {} late; the longest run took {:.1?}",
            ended.join(", "),
            self.ended.late(),
            self.max()
        )?;
        self.comparison.iter().try_for_each(|comparison| write!(f, "\n{comparison}"))
    }
}

/// The panic message of a load in which no run of the process ended.
struct Unseen<'a> {
    load: &'a Load,
    place: &'static Location<'static>,
    others: BTreeSet<&'static str>,
}

impl fmt::Display for Unseen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, calls, place) = (self.load.process.id(), self.load.runs, self.place);
        write!(f, "load of `{id}` at {place}: no run of `{id}` ended in {calls} calls; ")?;
        if self.others.is_empty() {
            return f.write_str(
                "no other process ran either; if the call spawns a task, carry the scope into it with \
                 `Carrier::current().carry(…)`",
            );
        }
        write!(f, "only `{}` ran", Vec::from_iter(self.others.iter().copied()).join("`, `"))
    }
}

/// A sink that collects the outcomes and durations of the runs of one process.
#[derive(Debug)]
struct Log {
    process: &'static str,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    durations: Vec<Duration>,
    ended: Outcomes,
    /// The ids of the other processes that ran.
    others: BTreeSet<&'static str>,
}

impl Sink for Log {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        let (Some(process), true) = (run.process(), run.is_of_process()) else { return };
        let mut tally = lock(&self.tally);
        if process.id() == self.process {
            tally.durations.push(end.duration);
            tally.ended.add(end.outcome, end.late);
        } else {
            tally.others.insert(process.id());
        }
    }
}
