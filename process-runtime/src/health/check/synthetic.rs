//! The domain in which one execution of a check runs. The domain has its own clock, statistics, sinks and table of
//! runs in flight, so the runs inside it do not count in the statistics and objectives of the program. The spans and
//! events of these runs carry `critical_process.synthetic`. The only metric that counts these runs is
//! `critical_process.synthetic.runs`, which counts runs of processes. The verdict on an execution does not belong
//! here (`conclusion`).

#[cfg(feature = "metrics")]
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_model::Outcome;

use super::condition::Condition;
use super::reason::Reason;
use super::status::Status;
use crate::base::lock::lock;
use crate::observe::{End, RunView, Sink};
use crate::run::carrier::Carrier;
use crate::run::context::{SYNTHETIC, Value};
use crate::run::domain::Core;
use crate::run::domain::own::{Own, Surroundings, outermost, runtime_clock};
use crate::run::domain::sink::NamedSink;

/// The maximum number of runs in flight that are tracked for one execution of a check.
const MAX_TRACKED_RUNS: usize = 256;

/// The domain of one execution of a check.
#[derive(Debug)]
pub(super) struct Synthetic {
    scope: Carrier,
    runs: Arc<EndedRuns>,
}

/// The [`Surroundings`] of a check's domain. They mark the runs in the domain as synthetic.
#[derive(Debug)]
struct OfCheck;

impl Surroundings for OfCheck {
    fn is_synthetic(&self) -> bool {
        true
    }
}

/// A run that ended during an execution. If several runs of the same process and part ended, this is the worst of
/// them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedRun {
    pub(crate) process: Option<&'static str>,
    /// The stage or dependency. `None` for a run of the process itself.
    pub(crate) part: Option<Part>,
    pub(crate) outcome: Outcome,
    pub(crate) late: bool,
    pub(crate) took: Duration,
    pub(crate) error_type: Option<&'static str>,
}

impl EndedRun {
    /// Returns the status that follows from this run. If the run is rejected or cancelled, a process fails, but a
    /// part only warns.
    pub(crate) fn status(&self) -> Status {
        match self.part {
            None => Status::from_probed(self.outcome, self.late),
            Some(_) => Status::from_part(self.outcome, self.late),
        }
    }

    /// Returns the condition that follows from this run. If the run is late, its text contains `lateness`.
    pub(crate) fn condition(&self, lateness: &str) -> Condition {
        let status = self.status();
        if status == Status::Pass {
            return Condition::PASS;
        }
        let late = if self.late { format!(", late{lateness}") } else { String::new() };
        let error_type = self.error_type.map(|kind| format!(", {kind}")).unwrap_or_default();
        let is_only_late = self.outcome == Outcome::Success;
        let reason = if is_only_late { Reason::Overdue } else { Reason::CheckFailed };
        Condition::new(status, reason, format!("{}{late}{error_type}", self.outcome))
    }
}

/// A part of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Stage(&'static str),
    Dependency(&'static str),
}

#[derive(Debug, Default)]
struct EndedRuns(Mutex<Vec<EndedRun>>);

impl Sink for EndedRuns {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        let part = run.stage().map(|stage| Part::Stage(stage.id()));
        let part = part.or_else(|| run.dependency().map(Part::Dependency));
        let process = run.process().map(|process| process.id());
        #[cfg(feature = "metrics")]
        if let (Some(process), None) = (process, part) {
            count(process, end.outcome);
        }
        let End { outcome, late, duration, error_type, .. } = *end;
        let new = EndedRun { process, part, outcome, late, took: duration, error_type };
        let mut runs = lock(&self.0);
        match runs.iter_mut().find(|known| (known.process, known.part) == (process, part)) {
            Some(known) if new.status() > known.status() => *known = new,
            Some(_) => {}
            None => runs.push(new),
        }
    }
}

impl Synthetic {
    pub(super) fn new() -> Synthetic {
        let runs = Arc::<EndedRuns>::default();
        let sinks = vec![NamedSink::new(Arc::clone(&runs))];
        let own = Own::new(Arc::new(OfCheck));
        let core = Arc::new(Core::new(runtime_clock(), MAX_TRACKED_RUNS, sinks, Some(own)));
        let scope = outermost(core, vec![(SYNTHETIC, Value::Bool(true))]);
        Synthetic { scope: Carrier::of(Arc::new(scope)), runs }
    }

    /// Returns a future that polls `future` in this domain.
    pub(super) fn carry<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.scope.clone().carry(future)
    }

    /// Removes and returns the runs that have ended.
    pub(super) fn take(&self) -> Vec<EndedRun> {
        std::mem::take(&mut *lock(&self.runs.0))
    }
}

/// How many runs of processes ended in any synthetic domain, by process and outcome.
#[cfg(feature = "metrics")]
type Counts = BTreeMap<(&'static str, Outcome), u64>;

#[cfg(feature = "metrics")]
static COUNTS: Mutex<Counts> = Mutex::new(BTreeMap::new());

#[cfg(feature = "metrics")]
fn count(process: &'static str, outcome: Outcome) {
    *lock(&COUNTS).entry((process, outcome)).or_default() += 1;
}

/// Returns how many runs of processes have ended in synthetic domains, by process and outcome.
#[cfg(feature = "metrics")]
pub(crate) fn ended_runs() -> Counts {
    lock(&COUNTS).clone()
}
