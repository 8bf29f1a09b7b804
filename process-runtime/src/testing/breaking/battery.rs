//! Every fault at every boundary of a process, and what must hold whatever happens.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use process_model::Outcome;

use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::run::carrier::Carrier;
use crate::run::scope::Scope;
use crate::testing::fault::{self, Fault, Misuse, is_paused};
use crate::testing::observing::missing;
use crate::testing::observing::observation::{Ended, Observation, ObservedRun};
use crate::testing::observing::observe::observe;
use crate::testing::observing::witness;

/// How long a run under a hang goes on in real time before the test ends it.
const HUNG: Duration = Duration::from_secs(10);
/// The key that tells the runs of one trial from those of another.
const TRIAL: &str = "battery_trial";

/// Breaks a process at every boundary, in every way, one run each: at the process itself, its stages, the dependencies
/// and processes that it calls, each returns every error that fits, is late, hangs, panics, and has its caller hang up.
///
/// Each run must hold what always holds: it ends exactly once, and so do all inside of it; nothing of one run is seen in
/// another; no gauge stays up; the outcome is one of those given, or what the fault itself is (a panic, a cancellation);
/// the required context is on every event; and no canary is anywhere.
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
/// let trials = Battery::of("fetch_rates")
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
    spared: Vec<String>,
    hung: Option<Duration>,
    place: &'static Location<'static>,
}

impl fmt::Debug for Battery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Battery").field("process", &self.process.id()).finish_non_exhaustive()
    }
}

/// One run of a battery.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trial {
    /// The boundary that was broken, and how: `stage1`, `hang`; nothing in the first trial.
    pub fault: Option<(String, &'static str)>,
    /// How the process's run ended, where it began.
    pub outcome: Option<Outcome>,
    /// Whether it was late.
    pub late: bool,
    /// Whether nothing but the test ended it: whoever calls the process waits for ever.
    pub is_stopped: bool,
}

impl Battery {
    /// Of a process.
    ///
    /// # Panics
    /// With the nearest id, where there is no such process.
    #[track_caller]
    pub fn of(process: &str) -> Battery {
        let process = registry::get(process).unwrap_or_else(|unknown| panic!("{unknown}"));
        Battery {
            process,
            outcomes: BTreeSet::new(),
            errors: Vec::new(),
            canaries: Vec::new(),
            spared: Vec::new(),
            hung: None,
            place: Location::caller(),
        }
    }

    /// The outcomes that a run may have.
    pub fn outcomes(mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Battery {
        self.outcomes.extend(outcomes.into_iter().map(Outcome::as_str));
        self
    }

    /// An error that boundaries return: each whose `Result` has errors of this type.
    pub fn error<E: 'static>(mut self, make: impl Fn() -> E + Send + Sync + 'static) -> Battery {
        self.errors.push(Fault::error(make));
        self
    }

    /// A text that stands in what is given to the process and that nobody named: it may be nowhere in what was captured:
    /// context, spans, events of Sentry and the log, of that what is at INFO or what a subscriber of the program wants.
    pub fn canary(mut self, text: &str) -> Battery {
        self.canaries.push(text.to_owned());
        self
    }

    /// A declared boundary that this way to call the process does not reach.
    pub fn spare(mut self, boundary: &str) -> Battery {
        self.spared.push(boundary.to_owned());
        self
    }

    /// How long a run may go on before the test ends it, as most do under a hang: twice the SLA where tokio's clock is
    /// paused, and ten seconds of real time elsewhere, where nothing is said.
    pub fn limit(mut self, limit: Duration) -> Battery {
        self.hung = Some(limit);
        self
    }

    /// Runs everything, each time with a call of `call`.
    ///
    /// # Panics
    /// With everything that did not hold, each beside the trial in which it did not; also where a declared boundary was not
    /// reached, or returns none of the errors that were given. Outside of a tokio runtime with a timer.
    pub async fn run<R>(self, call: impl AsyncFn() -> R) -> Vec<Trial> {
        match self.attempt(call).await {
            Ok(trials) => trials,
            Err(broken) => panic!("{broken} ({})", self.place),
        }
    }

    /// The trials, or everything that did not hold.
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
                under_way.broken.push(format!(
                    "`{boundary}` returns none of the errors that were given: give one of its type, or `spare` it"
                ));
            }
        }
        let UnderWay { trials, broken, .. } = under_way;
        if broken.is_empty() { Ok(trials) } else { Err(broken.join("\n\n")) }
    }

    fn faults(&self) -> Vec<Fault> {
        let late = self.process.sla() + Duration::from_millis(1);
        // Once is enough to be late; a boundary that is reached again and again would outlast the limit of a hang.
        let others =
            [Fault::delay(late).only(1), Fault::hang(), Fault::panic("by the battery"), Fault::cancel(1)];
        self.errors.iter().cloned().chain(others).collect()
    }

    /// How long a trial may go on. One that is delayed past its SLA must be able to end.
    fn limit_under(&self, fault: Option<&Fault>) -> Duration {
        let paused = 2 * self.process.sla();
        let limit = self.hung.unwrap_or_else(|| if is_paused() { paused } else { HUNG });
        if fault.is_some_and(|fault| fault.kind() == fault::DELAY) { limit.max(paused) } else { limit }
    }
}

/// A battery while it runs.
struct UnderWay<'b> {
    battery: &'b Battery,
    trials: Vec<Trial>,
    broken: Vec<String>,
}

impl UnderWay<'_> {
    /// Runs once, or says why the boundary cannot break so.
    async fn trial<R>(
        &mut self,
        fault: Option<(&str, Fault)>,
        call: &impl AsyncFn() -> R,
    ) -> Result<Observation<R>, Misuse> {
        let number = self.trials.len() as u64;
        let before = Carrier::current();
        // In a box: what is observed is moved a few times, and may be large.
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
            broken.push("the run left its scope behind on the thread".to_owned());
        }
        let fault = fault.map(|(at, fault)| (at.to_owned(), fault.kind()));
        let run = observation.all().find(|run| self.battery.is_run(run));
        self.trials.push(Trial {
            outcome: run.and_then(ObservedRun::outcome),
            late: run.is_some_and(ObservedRun::is_late),
            is_stopped: matches!(observation.ended, Ended::Stopped(_)),
            fault: fault.clone(),
        });
        if !broken.is_empty() {
            let trial = fault.map_or("without a fault".to_owned(), |(at, kind)| format!("{kind} at `{at}`"));
            self.broken.push(format!("{trial}: {}\nobserved: {observation}", broken.join("; ")));
        }
        Ok(observation)
    }

    /// The boundaries that the first trial reached. Each that is declared must be among them.
    fn boundaries<R>(&mut self, clean: Option<&Observation<R>>) -> Vec<String> {
        let battery = self.battery;
        let runs = clean.into_iter().flat_map(Observation::all).filter(|run| battery.is_run(run));
        // A call that nobody declares is told of already, and nothing can be broken there.
        let is_declared = |run: &&ObservedRun| match (run.process(), run.dependency()) {
            (Some(process), Some(dependency)) => process.declares(dependency),
            _ => true,
        };
        let inside = runs.flat_map(ObservedRun::all).filter(is_declared);
        let mut reached: BTreeSet<String> = inside.map(|run| run.name().to_owned()).collect();
        let process = battery.process;
        if !reached.contains(process.id()) {
            self.broken
                .push(format!("no run of `{}` was observed: does the call run it, and here?", process.id()));
        }
        let stages = process.stages();
        let of_stages = stages.iter().flat_map(|stage| stage.dependencies());
        let dependencies = process.dependencies().iter().chain(of_stages).map(String::as_str);
        let declared: BTreeSet<&str> = dependencies.chain(stages.iter().map(|stage| stage.id())).collect();
        for declared in declared {
            let is_spared = battery.spared.iter().any(|spared| spared == declared);
            let is_reached = reached.iter().any(|name| name.rsplit('.').next() == Some(declared));
            if !is_spared && !is_reached {
                self.broken.push(format!(
                    "`{declared}` is declared and was not reached: call the process so that it is, or `spare` it"
                ));
            }
        }
        let is_spared =
            |name: &str| battery.spared.iter().any(|spared| name.rsplit('.').next() == Some(spared));
        reached.retain(|name| name == process.id() || !is_spared(name));
        reached.into_iter().collect()
    }
}

impl Battery {
    fn is_run(&self, run: &ObservedRun) -> bool {
        run.is_process() && run.process().is_some_and(|process| std::ptr::eq(process, self.process))
    }

    /// What did not hold.
    fn invariants<R>(&self, observation: &Observation<R>, trial: u64, fault: Option<&str>) -> Vec<String> {
        let mut broken = Vec::new();
        // What a task of its own still does when the test has ended the rest is nobody's to wait for.
        let is_over = matches!(observation.ended, Ended::Returned(_) | Ended::Panicked(_));
        let may_go_on = |run: &ObservedRun| !is_over && run.is_elsewhere;
        for run in observation.all() {
            if run.outcome().is_none() && !may_go_on(run) {
                broken.push(format!("`{}` never ended", run.name()));
            }
            if run
                .context()
                .iter()
                .any(|(name, value)| *name == TRIAL && value.to_string() != trial.to_string())
            {
                broken.push(format!("`{}` has the context of another trial", run.name()));
            }
        }
        for outcome in observation.all().filter(|run| self.is_run(run)).filter_map(ObservedRun::outcome) {
            let is_of_the_fault = match outcome {
                Outcome::Panic => fault == Some(fault::PANIC),
                Outcome::Cancelled => matches!(fault, Some(fault::CANCEL | fault::HANG)),
                _ => false,
            };
            if !is_of_the_fault && !self.outcomes.contains(outcome.as_str()) {
                broken.push(format!("it ended in {outcome}, which is none of the outcomes given"));
            }
        }
        #[cfg(feature = "metrics")]
        for gauge in ["critical_process.active", "critical_process.overdue"] {
            let up: u64 =
                observation.metrics().iter().filter(|one| one.instrument == gauge).map(|one| one.value).sum();
            let going_on = observation.all().filter(|run| run.outcome().is_none() && may_go_on(run)).count();
            if up > going_on as u64 {
                broken.push(format!("{gauge} stays at {up}"));
            }
        }
        broken.extend(missing::recorded_keys(observation).iter().map(|place| format!("it lacks {place}")));
        let told = observation.told();
        broken.extend(
            self.canaries
                .iter()
                .filter(|canary| {
                    told.contains(canary.as_str())
                        || told.contains(canary.escape_debug().to_string().as_str())
                })
                .map(|canary| format!("the canary `{canary}` is in what was captured")),
        );
        broken
    }
}
