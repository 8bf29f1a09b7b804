//! Runs a process once for every kind of fault at every boundary, and checks the result of each run. A boundary is
//! the process itself, one of its stages, or a dependency or process that it calls. The mechanism that injects a
//! fault does not belong here; it is in `domain`.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use process_model::Outcome;

use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::run::carrier::Carrier;
use crate::run::scope::Scope;
use crate::testing::domain::fault::{self, Fault, Misuse, is_paused};
use crate::testing::domain::observe::observe;
use crate::testing::observing::missing;
use crate::testing::observing::observation::{Ended, Observation, ObservedRun};
use crate::testing::observing::witness;

/// The default time after which the battery stops a trial (one call of the process) if tokio's clock is not paused.
const HUNG: Duration = Duration::from_secs(10);
/// The context key under which each run carries the number of its trial. If a run has the number of another trial,
/// context has leaked between trials.
const TRIAL: &str = "battery_trial";

/// Injects every kind of fault at every boundary of a process, each in a trial of its own. A trial is one call that
/// runs the process. The boundaries are the process itself, its stages, and the dependencies and processes that it
/// calls. At each boundary, the battery injects a delay past the SLA, a hang, a panic, a cancellation, and every
/// [error](Battery::error) whose type the function returns.
///
/// After each trial, the battery checks that
///
/// * every run in the trial ended exactly once,
/// * no run has the context of another trial,
/// * the gauges of active and overdue runs are zero again,
/// * the outcome of the process is one of [`outcomes`](Battery::outcomes), or is caused by the fault itself: a panic
///   after an injected panic, a cancellation after an injected cancellation or hang,
/// * each declared context key that the process has from its start is also on the spans and Sentry events of the
///   process and of every run inside it,
/// * and no [canary](Battery::canary) was captured.
///
/// If a fault cancels a trial, or the trial reaches its limit, runs in spawned tasks can still be running. The
/// battery does not report these runs.
///
/// ```
/// use process_runtime::testing::Battery;
/// use process_runtime::{Outcome, critical_process, dependency};
///
/// #[critical_process(id = "fetch_rates", version = "1.0.0", sla = "5s", depends_on("rates_api"))]
/// async fn fetch(currency: &str) -> Result<u64, std::fmt::Error> {
///     dependency("rates_api", async { Ok(currency.len() as u64) }).await
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let trials = Battery::new("fetch_rates")
///     .outcomes([Outcome::Success, Outcome::Failure])
///     .error(|| std::fmt::Error)
///     .run(async || fetch("EUR").await)
///     .await;
/// assert_eq!(trials.len(), 1 + 2 * 5);
/// # });
/// ```
#[derive(Clone)]
#[must_use = "nothing runs before `run`"]
pub struct Battery {
    process: &'static ProcessDefinition,
    outcomes: BTreeSet<&'static str>,
    errors: Vec<Fault>,
    canaries: Vec<String>,
    skipped: Vec<String>,
    limit: Option<Duration>,
    place: &'static Location<'static>,
}

impl fmt::Debug for Battery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Battery").field("process", &self.process.id()).finish_non_exhaustive()
    }
}

/// The result of one trial of a battery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trial {
    /// The boundary and the kind of the fault, for example `fetch_rates.rates_api` and `hang`; `None` in the first
    /// trial, which has no fault.
    pub fault: Option<(String, &'static str)>,
    /// The outcome of the process's run; `None` if the run did not begin or did not end.
    pub outcome: Option<Outcome>,
    /// Whether the process's run was late.
    pub late: bool,
    /// Whether the battery stopped the trial at its [limit](Battery::limit). If so, nothing in the process ended the
    /// wait. In production, the caller of the process could wait for ever.
    pub stopped_by_test: bool,
}

impl Battery {
    /// Creates a battery for the process with this id.
    ///
    /// # Panics
    /// If no process has this id. The message suggests a similar id if there is one.
    #[track_caller]
    pub fn new(process: &str) -> Battery {
        let process = registry::get(process).unwrap_or_else(|unknown| panic!("{unknown}"));
        Battery {
            process,
            outcomes: BTreeSet::new(),
            errors: Vec::new(),
            canaries: Vec::new(),
            skipped: Vec::new(),
            limit: None,
            place: Location::caller(),
        }
    }

    /// Allows runs of the process to end with these outcomes. An outcome that the fault itself causes is always
    /// allowed. Without a call of this method, no other outcome is allowed, not even a success.
    pub fn outcomes(mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Battery {
        self.outcomes.extend(outcomes.into_iter().map(Outcome::as_str));
        self
    }

    /// Adds an error to inject, which `make` creates. The battery injects it at each boundary whose function returns
    /// a `Result` with this error type.
    pub fn error<E: 'static>(mut self, make: impl Fn() -> E + Send + Sync + 'static) -> Battery {
        self.errors.push(Fault::error(make));
        self
    }

    /// Adds a canary: a text that the call passes to the process and that must not be recorded, for example a
    /// password. The battery fails if the text occurs in the context, the spans, the log, the Sentry events or the
    /// metrics. The battery checks spans and log events at level INFO and above, and those at lower levels that the
    /// program's subscriber enables.
    pub fn canary(mut self, text: &str) -> Battery {
        self.canaries.push(text.to_owned());
        self
    }

    /// Skips a declared stage or dependency. The battery injects no fault at it. Use this if the call does not reach
    /// the stage or dependency; otherwise, the battery fails.
    pub fn skip(mut self, boundary: &str) -> Battery {
        self.skipped.push(boundary.to_owned());
        self
    }

    /// Sets the time after which the battery stops a trial. Most trials with a hang run until this limit. The default
    /// is twice the SLA if tokio's clock is paused, and ten seconds of real time otherwise. For a trial with an
    /// injected delay, the limit is at least twice the SLA.
    pub fn limit(mut self, limit: Duration) -> Battery {
        self.limit = Some(limit);
        self
    }

    /// Runs all trials and returns their results. Each trial calls `call` once. The first trial has no fault.
    ///
    /// # Panics
    /// * If a check fails. The message lists every failed check with its trial.
    /// * If the call does not reach the process, or a declared stage or dependency that is not
    ///   [skipped](Battery::skip).
    /// * If a boundary returns a `Result`, and no error of this type was added with [`error`](Battery::error), or if
    ///   no error was added at all.
    /// * Outside of a tokio runtime with a timer.
    pub async fn run<R>(self, call: impl AsyncFn() -> R) -> Vec<Trial> {
        match self.attempt(call).await {
            Ok(trials) => trials,
            Err(broken) => panic!("{broken} ({})", self.place),
        }
    }

    /// Runs all trials. Returns their results, or a report of every failed check.
    pub(super) async fn attempt<R>(&self, call: impl AsyncFn() -> R) -> Result<Vec<Trial>, String> {
        let mut under_way = UnderWay { battery: self, trials: Vec::new(), broken: Vec::new() };
        let clean = under_way.trial(None, &call).await.ok();
        let boundaries = under_way.boundaries(clean.as_ref());
        for boundary in &boundaries {
            let mut takes_errors = false;
            let mut errors = 0;
            for fault in self.faults() {
                let is_error = fault.kind() == fault::ERROR;
                match under_way.trial(Some((boundary, fault)), &call).await {
                    Ok(_) if is_error => errors += 1,
                    Err(Misuse::Refused(_)) if is_error => takes_errors = true,
                    _ => {}
                }
            }
            if errors == 0 && (takes_errors || self.errors.is_empty()) {
                let skip = match boundary.rsplit('.').next() {
                    Some(part) if boundary != self.process.id() => format!(", or `.skip(\"{part}\")`"),
                    _ => String::new(),
                };
                under_way.broken.push(format!(
                    "`{boundary}` was not tried with an error; add one of its error type with `.error(…)`{skip}"
                ));
            }
        }
        let UnderWay { trials, broken, .. } = under_way;
        if broken.is_empty() { Ok(trials) } else { Err(broken.join("\n\n")) }
    }

    fn faults(&self) -> Vec<Fault> {
        let late = self.process.sla() + Duration::from_millis(1);
        // Only the first call is delayed, because one delay already makes the run late. If the boundary is called
        // often, delays at every call could exceed the limit of the trial.
        let others = [
            Fault::delay(late).nth(1),
            Fault::hang(),
            Fault::panic("by the battery"),
            Fault::cancel_at_poll(1),
        ];
        self.errors.iter().cloned().chain(others).collect()
    }

    /// Returns the time after which the battery stops a trial with this fault. A trial with a delay past the SLA
    /// needs enough time to end after the delay.
    fn limit_under(&self, fault: Option<&Fault>) -> Duration {
        let paused = 2 * self.process.sla();
        let limit = self.limit.unwrap_or_else(|| if is_paused() { paused } else { HUNG });
        if fault.is_some_and(|fault| fault.kind() == fault::DELAY) { limit.max(paused) } else { limit }
    }
}

/// A battery that is running.
struct UnderWay<'b> {
    battery: &'b Battery,
    trials: Vec<Trial>,
    broken: Vec<String>,
}

impl UnderWay<'_> {
    /// Runs one trial and checks its result. If the fault cannot happen at this boundary, returns an error and does
    /// not add the trial to the results.
    async fn trial<R>(
        &mut self,
        fault: Option<(&str, Fault)>,
        call: &impl AsyncFn() -> R,
    ) -> Result<Observation<R>, Misuse> {
        let number = self.trials.len() as u64;
        let before = Carrier::current();
        // In a box, because the future is moved a few times and can be large.
        let work = Box::pin(Scope::new().set(TRIAL, number).in_scope(call()));
        let observing = observe(work).limit(self.battery.limit_under(fault.as_ref().map(|(_, fault)| fault)));
        let (observation, mut misuses) = match &fault {
            Some((at, fault)) => observing.fault(at, fault.clone()).attempt().await,
            None => observing.attempt().await,
        };
        let cannot = |misuse: &Misuse| matches!(misuse, Misuse::Refused(_) | Misuse::NoResult(_));
        if let Some(refusal) = misuses.iter().position(cannot) {
            return Err(misuses.swap_remove(refusal));
        }
        if let Some(witness) = witness::current() {
            witness.observed(&observation);
        }
        let kind = fault.as_ref().map(|(_, fault)| fault.kind());
        let mut broken: Vec<_> = misuses.iter().map(Misuse::to_string).collect();
        broken.extend(self.battery.invariants(&observation, number, kind));
        if !Carrier::current().is_same(&before) {
            broken.push("after the call, the thread is in another scope than before; leave each scope on the thread that entered it".to_owned());
        }
        let fault = fault.map(|(at, fault)| (at.to_owned(), fault.kind()));
        let run = observation.all().find(|run| self.battery.is_run(run));
        self.trials.push(Trial {
            outcome: run.and_then(ObservedRun::outcome),
            late: run.is_some_and(ObservedRun::is_late),
            stopped_by_test: matches!(observation.ended, Ended::Stopped(_)),
            fault: fault.clone(),
        });
        if !broken.is_empty() {
            let trial = fault.map_or("without a fault".to_owned(), |(at, kind)| format!("{kind} at `{at}`"));
            self.broken.push(format!("{trial}: {}\nobserved: {observation}", broken.join("; ")));
        }
        Ok(observation)
    }

    /// Returns the boundaries that the first trial reached, except skipped ones. Reports each declared boundary that
    /// was neither reached nor skipped.
    fn boundaries<R>(&mut self, clean: Option<&Observation<R>>) -> Vec<String> {
        let battery = self.battery;
        let runs = clean.into_iter().flat_map(Observation::all).filter(|run| battery.is_run(run));
        // Calls to undeclared dependencies are left out, because the observation already reports them, and no fault
        // can be injected at such a dependency.
        let is_declared = |run: &&ObservedRun| match (run.process(), run.dependency()) {
            (Some(process), Some(dependency)) => process.declares(dependency),
            _ => true,
        };
        let inside = runs.flat_map(ObservedRun::all).filter(is_declared);
        let mut reached: BTreeSet<String> = inside.map(|run| run.name().to_owned()).collect();
        let process = battery.process;
        if !reached.contains(process.id()) {
            self.broken.push(format!(
                "no run of `{}` was observed; call the process in the closure, and carry the scope into spawned tasks with `Carrier`",
                process.id()
            ));
        }
        let stages = process.stages();
        let of_stages = stages.iter().flat_map(|stage| stage.dependencies());
        let dependencies = process.dependencies().iter().chain(of_stages).map(String::as_str);
        let declared: BTreeSet<&str> = dependencies.chain(stages.iter().map(|stage| stage.id())).collect();
        for declared in declared {
            let is_skipped = battery.skipped.iter().any(|skipped| skipped == declared);
            let is_reached = reached.iter().any(|name| name.rsplit('.').next() == Some(declared));
            if !is_skipped && !is_reached {
                self.broken.push(format!(
                    "the call did not reach `{declared}`, which is declared; change the call so that it does, or skip the stage or \
                     dependency with `.skip(\"{declared}\")`"
                ));
            }
        }
        let is_skipped =
            |name: &str| battery.skipped.iter().any(|skipped| name.rsplit('.').next() == Some(skipped));
        reached.retain(|name| name == process.id() || !is_skipped(name));
        reached.into_iter().collect()
    }
}

impl Battery {
    fn is_run(&self, run: &ObservedRun) -> bool {
        run.is_process() && run.process().is_some_and(|process| std::ptr::eq(process, self.process))
    }

    /// Checks the observation of a trial. Returns a description of each failed check.
    fn invariants<R>(&self, observation: &Observation<R>, trial: u64, fault: Option<&str>) -> Vec<String> {
        let mut broken = Vec::new();
        // If the future neither returned nor panicked, a fault cancelled it or the limit stopped it. A spawned task
        // can then still be running.
        let is_over = matches!(observation.ended, Ended::Returned(_) | Ended::Panicked(_));
        let may_be_running = |run: &ObservedRun| !is_over && run.is_elsewhere;
        for run in observation.all() {
            if run.outcome().is_none() && !may_be_running(run) {
                broken.push(format!("`{}` never ended", run.name()));
            }
            if run
                .context()
                .iter()
                .any(|(name, value)| *name == TRIAL && value.to_string() != trial.to_string())
            {
                broken.push(format!("`{}` has the context of another call in the battery; carry the scope into spawned tasks with `Carrier`", run.name()));
            }
        }
        for outcome in observation.all().filter(|run| self.is_run(run)).filter_map(ObservedRun::outcome) {
            let is_from_the_fault = match outcome {
                Outcome::Panic => fault == Some(fault::PANIC),
                Outcome::Cancelled => matches!(fault, Some(fault::CANCEL | fault::HANG)),
                _ => false,
            };
            if !is_from_the_fault && !self.outcomes.contains(outcome.as_str()) {
                broken.push(format!("it ended as {outcome}, which is not one of the allowed outcomes"));
            }
        }
        #[cfg(feature = "metrics")]
        for gauge in ["critical_process.active", "critical_process.overdue"] {
            let up: u64 =
                observation.metrics().iter().filter(|one| one.instrument == gauge).map(|one| one.value).sum();
            let running =
                observation.all().filter(|run| run.outcome().is_none() && may_be_running(run)).count();
            if up > running as u64 {
                broken.push(format!("{gauge} stays at {up}"));
            }
        }
        broken.extend(missing::recorded_keys(observation).iter().map(|place| format!("missing {place}")));
        let captured = observation.captured_text();
        let is_in = |canary: &&String| {
            captured.contains(canary.as_str()) || captured.contains(&*canary.escape_debug().to_string())
        };
        let caught = self.canaries.iter().filter(is_in);
        broken.extend(caught.map(|canary| {
            format!("the canary `{canary}` is in the telemetry or the log; do not record or log this value")
        }));
        broken
    }
}
