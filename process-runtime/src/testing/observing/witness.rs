//! Collects what the body of a contract observes: the runs and loads of the contract's process. They are kept until
//! the contract's case is judged. The rules of a single case do not belong here.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_model::Outcome;

use super::missing;
use super::observation::{Ended, Observation, ObservedRun};
use crate::base::foreign::guard::{Payload, attempt};
use crate::base::lock::lock;
use crate::catalog::definition::ProcessDefinition;

/// Collects what one contract observes of its process: runs, and loads (many runs that are measured together).
#[derive(Debug)]
pub(in crate::testing) struct Witness {
    process: &'static ProcessDefinition,
    seen: Mutex<Vec<Seen>>,
}

/// A run or load of the contract's process that the body of the contract observed.
#[derive(Clone, Debug)]
pub(in crate::testing) enum Seen {
    /// A run.
    Run(RunFacts),
    /// A load whose bounds held, with the time that the load took.
    Load(Duration),
}

/// The facts about a run that decide whether the run proves a case.
#[derive(Clone, Debug)]
pub(in crate::testing) struct RunFacts {
    /// The outcome of the run; `None` if the run had not ended.
    pub(in crate::testing) outcome: Option<Outcome>,
    pub(in crate::testing) error_type: Option<&'static str>,
    pub(in crate::testing) late: bool,
    pub(in crate::testing) duration: Duration,
    /// How the test itself ended the observed future; `None` if the test did not end it.
    pub(in crate::testing) by_test: Option<ByTest>,
    /// The faults that were injected into the run and the runs inside it.
    pub(in crate::testing) faults: Vec<InjectedFault>,
    /// The places at which a declared context key is missing.
    pub(in crate::testing) missing: Vec<String>,
    /// How many Sentry events were sent in the run and the runs inside it.
    pub(in crate::testing) events: usize,
}

/// The way in which a test ends an observed future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::testing) enum ByTest {
    /// A fault cancelled the future.
    Cancelled,
    /// The future was still running at its limit.
    Stopped,
}

/// A fault that was injected.
#[derive(Clone, Copy, Debug)]
pub(in crate::testing) struct InjectedFault {
    /// The id of the boundary.
    pub(in crate::testing) at: &'static str,
    pub(in crate::testing) kind: &'static str,
    /// Whether the boundary is a dependency of the process whose run is judged, or another process that ran inside
    /// this run.
    pub(in crate::testing) is_at_dependency: bool,
}

thread_local! {
    /// The witnesses of the contracts whose bodies this thread is in, the innermost last. There are several if the
    /// test of one contract calls the test of another.
    static CURRENT: RefCell<Vec<Arc<Witness>>> = const { RefCell::new(Vec::new()) };
}

/// Returns the witness of the innermost contract whose body this thread is in; `None` outside of a contract.
pub(in crate::testing) fn current() -> Option<Arc<Witness>> {
    CURRENT.with_borrow(|current| current.last().cloned())
}

impl Witness {
    pub(in crate::testing) fn new(process: &'static ProcessDefinition) -> Arc<Witness> {
        Arc::new(Witness { process, seen: Mutex::default() })
    }

    /// Returns the process of the contract.
    pub(in crate::testing) fn process(&self) -> &'static ProcessDefinition {
        self.process
    }

    /// Calls `f` with this witness as the thread's witness. Returns the payload if `f` panics.
    pub(in crate::testing) fn within<R>(self: &Arc<Self>, f: impl FnOnce() -> R) -> Result<R, Payload> {
        CURRENT.with_borrow_mut(|current| current.push(Arc::clone(self)));
        let returned = attempt(f);
        CURRENT.with_borrow_mut(|current| current.pop());
        returned
    }

    /// Keeps the runs in an observation that are runs of the contract's process.
    pub(in crate::testing) fn observed<T>(&self, observation: &Observation<T>) {
        let by_test = match observation.ended {
            Ended::Returned(_) | Ended::Panicked(_) => None,
            Ended::Cancelled => Some(ByTest::Cancelled),
            Ended::Stopped(_) => Some(ByTest::Stopped),
        };
        let runs = observation.all().filter(|run| run.is_of(self.process));
        lock(&self.seen).extend(runs.map(|run| Seen::Run(RunFacts::new(run, by_test))));
    }

    /// Keeps a load whose bounds held. Ignores a load of another process.
    pub(in crate::testing) fn loaded(&self, process: &ProcessDefinition, took: Duration) {
        if std::ptr::eq(process, self.process) {
            lock(&self.seen).push(Seen::Load(took));
        }
    }

    /// Returns everything that was kept so far, in the order of the observations and loads.
    pub(in crate::testing) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }
}

impl RunFacts {
    fn new(run: &ObservedRun, by_test: Option<ByTest>) -> RunFacts {
        RunFacts {
            outcome: run.outcome(),
            error_type: run.error_type(),
            late: run.is_late(),
            duration: run.duration().or(run.overdue()).unwrap_or_default(),
            by_test,
            faults: run.all().flat_map(|one| injected(one, run)).collect(),
            missing: missing::declared_keys(run),
            #[cfg(feature = "sentry")]
            events: run.all().map(|one| one.events().len()).sum(),
            #[cfg(not(feature = "sentry"))]
            events: 0,
        }
    }

    /// Returns whether a fault of this kind was injected into the run or a run inside it.
    pub(in crate::testing) fn has_fault(&self, kind: &str) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }
}

/// Returns the faults at the boundary of `one`, which is `run` itself or a run inside it.
fn injected(one: &ObservedRun, run: &ObservedRun) -> impl Iterator<Item = InjectedFault> {
    let is_same_process =
        one.process().map(ProcessDefinition::id) == run.process().map(ProcessDefinition::id);
    let is_at_dependency =
        if one.is_process() { !is_same_process } else { one.dependency().is_some() && is_same_process };
    one.faults().iter().map(move |kind| InjectedFault { at: one.id(), kind, is_at_dependency })
}

impl ObservedRun {
    fn is_of(&self, process: &ProcessDefinition) -> bool {
        self.is_process() && self.process().is_some_and(|own| std::ptr::eq(own, process))
    }
}
