//! Runs that no user asked for: what a check does, in a domain of its own. They are in no figure and no objective, have
//! `critical_process.synthetic` on their spans and events, and are counted by `critical_process.synthetic.runs` alone.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_model::Outcome;

use super::status::Status;
use crate::observe::{End, RunView, Sink};
use crate::run::carrier::Carrier;
use crate::run::context::Value;
use crate::run::domain::Core;
use crate::run::own::{Own, SYNTHETIC, Surroundings, outermost, runtime_clock};

/// The most runs of one check that are looked after at once.
const RUNS: usize = 256;

/// The domain of one execution of a check.
#[derive(Debug)]
pub(super) struct Synthetic {
    scope: Carrier,
    seen: Arc<Seen>,
}

/// The surroundings of a check's runs.
#[derive(Debug)]
struct OfCheck;

impl Surroundings for OfCheck {
    fn is_synthetic(&self) -> bool {
        true
    }
}

/// A run that ended: of several of the same, the worst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ran {
    pub(super) process: Option<&'static str>,
    /// The stage or dependency; of neither, the run is of the process.
    pub(super) part: Option<Part>,
    pub(super) outcome: Outcome,
    pub(super) late: bool,
    pub(super) took: Duration,
    pub(super) error_type: Option<&'static str>,
}

impl Ran {
    /// How that was: what a probe asks of a process is to be had.
    pub(super) fn status(&self) -> Status {
        match self.part {
            None => Status::of_probed(self.outcome, self.late),
            Some(_) => Status::of(self.outcome, self.late),
        }
    }
}

/// What is inside of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Stage(&'static str),
    Dependency(&'static str),
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Ran>>);

impl Sink for Seen {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        let part = run.stage().map(|stage| Part::Stage(stage.id()));
        let part = part.or_else(|| run.dependency().map(Part::Dependency));
        let process = run.process().map(|process| process.id());
        #[cfg(feature = "metrics")]
        if let (Some(process), None) = (process, part) {
            super::metrics::count(process, end.outcome);
        }
        let End { outcome, late, duration, error_type, .. } = *end;
        let ran = Ran { process, part, outcome, late, took: duration, error_type };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.iter_mut().find(|other| (other.process, other.part) == (process, part)) {
            Some(other) if ran.status() > other.status() => *other = ran,
            Some(_) => {}
            None => seen.push(ran),
        }
    }
}

impl Synthetic {
    pub(super) fn new() -> Synthetic {
        let seen = Arc::<Seen>::default();
        let sinks = vec![Arc::clone(&seen) as Arc<dyn Sink>];
        let own = Own::new(Arc::new(OfCheck));
        let core = Arc::new(Core::new(runtime_clock(), RUNS, sinks, Some(own)));
        let scope = outermost(core, vec![(SYNTHETIC, Value::Bool(true))]);
        Synthetic { scope: Carrier::of(Arc::new(scope)), seen }
    }

    pub(super) fn carry<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.scope.clone().carry(future)
    }

    /// What ended so far.
    pub(super) fn take(&self) -> Vec<Ran> {
        std::mem::take(&mut *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
