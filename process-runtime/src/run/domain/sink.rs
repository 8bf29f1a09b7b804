//! A destination of the application's own, and a run as it sees it.

use std::fmt;
use std::time::Duration;

use process_model::Outcome;

use super::observed::Observed;
use crate::catalog::definition::{ProcessDefinition, StageDefinition};
use crate::run::context::Value;
use crate::run::unit::Unit;

/// A destination of your own, which receives every run of processes and stages.
///
/// Its methods run on the thread of the run; `overdue` mostly on the watchdog's. A sink must not block. One that panics
/// receives nothing more, and the run continues. Runs inside a sink are counted, but not reported to destinations.
pub trait Sink: Send + Sync + fmt::Debug + 'static {
    /// A run started.
    fn started(&self, run: &RunView<'_>) {
        let _ = run;
    }

    /// A run passed its SLA. Called once: by the watchdog while the run is in flight, or else just before it ends.
    fn overdue(&self, run: &RunView<'_>, elapsed: Duration) {
        let _ = (run, elapsed);
    }

    /// A run ended.
    fn ended(&self, run: &RunView<'_>, end: &End) {
        let _ = (run, end);
    }
}

/// A run, as a sink sees it.
#[derive(Clone, Copy, Debug)]
pub struct RunView<'a> {
    pub(crate) unit: &'static Unit,
    pub(crate) observed: &'a Observed,
}

impl RunView<'_> {
    /// Returns an id that is unique in this program.
    pub fn id(&self) -> u64 {
        self.observed.id
    }

    /// Returns the id of the run around this one.
    pub fn parent_id(&self) -> Option<u64> {
        let mut outer = self.observed.parent.upgrade()?;
        while outer.unit.is_none() {
            outer = outer.parent.upgrade()?;
        }
        Some(outer.id)
    }

    /// The process that runs, or for which the stage or call runs.
    pub fn process(&self) -> Option<&'static ProcessDefinition> {
        self.unit.process
    }

    /// The stage, where a stage runs.
    pub fn stage(&self) -> Option<&'static StageDefinition> {
        self.unit.stage()
    }

    /// The id of the dependency, where this is a call to one.
    pub fn dependency(&self) -> Option<&'static str> {
        self.unit.dependency()
    }

    #[cfg(any(feature = "telemetry", feature = "testing"))]
    pub(crate) fn is_of_process(&self) -> bool {
        self.unit.is_process()
    }

    /// `<process>.<stage or dependency>`, as the span is called.
    #[cfg(any(feature = "telemetry", feature = "testing"))]
    pub(crate) fn name(&self) -> &'static str {
        self.unit.name
    }

    /// Returns the subscriber that has the span of the run, and its id there.
    #[cfg(all(feature = "testing", feature = "tracing"))]
    pub(crate) fn span(&self) -> Option<(&tracing::Dispatch, &tracing::Id)> {
        Some(self.observed.span.as_ref()?.recorded())
    }

    #[cfg(feature = "telemetry")]
    pub(crate) fn has_sentry_hub(&self) -> bool {
        self.observed.has_hub()
    }

    /// The business context: inherited, taken at entry, and recorded since.
    pub fn context(&self) -> Vec<(&'static str, Value)> {
        self.observed.values_now().iter().map(|(name, value)| (name, value.clone())).collect()
    }
}

/// How a run ended, as a sink sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// The outcome.
    pub outcome: Outcome,
    /// Whether it was past its SLA.
    pub late: bool,
    /// Its duration.
    pub duration: Duration,
    /// The `error.type` of a failure, panic or rejection: of at most 32 for each process, then `_OTHER`.
    pub error_type: Option<&'static str>,
}
