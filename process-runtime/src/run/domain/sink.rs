//! Sinks are destinations that the application defines. This module also has the views of a run that sinks receive.
//! The toolkit's own destinations do not belong here.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::observed::Observed;
use crate::base::destination::calls::Destination;
use crate::catalog::definition::{ProcessDefinition, StageDefinition};
use crate::run::context::Value;
use crate::run::ending::End;
use crate::run::unit::Unit;

/// A destination of your own. It receives runs of processes and stages, and calls to dependencies: those of the
/// program, or those of one test. Runs inside a health check go to no sink of the program.
///
/// The toolkit calls the methods on the thread of the run, but `overdue` mostly on the thread of the watchdog. A sink
/// must not block. If a sink panics, the run continues and the sink is not called again. Runs that a sink itself
/// starts are counted, but not reported to destinations.
pub trait Sink: Send + Sync + fmt::Debug + 'static {
    /// Receives a run that has started.
    fn started(&self, run: &RunView<'_>) {
        let _ = run;
    }

    /// Receives a run that has passed its SLA. This method is called once for each such run. Mostly the watchdog
    /// calls it while the run is in flight. If the watchdog did not do so, the method is called just before `ended`.
    fn overdue(&self, run: &RunView<'_>, elapsed: Duration) {
        let _ = (run, elapsed);
    }

    /// Receives a run that has ended.
    fn ended(&self, run: &RunView<'_>, end: &End) {
        let _ = (run, end);
    }
}

/// A sink with the name of its type, which notices use, as a destination.
#[derive(Clone, Debug)]
pub(crate) struct NamedSink {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) destination: Destination,
}

/// Returns a destination for a sink with this name.
fn destination(name: &'static str) -> Destination {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    Destination::Sink(name, NEXT.fetch_add(1, Ordering::Relaxed))
}

impl NamedSink {
    pub(crate) fn new<S: Sink>(sink: Arc<S>) -> NamedSink {
        NamedSink { sink, destination: destination(std::any::type_name::<S>()) }
    }

    /// Creates the entry of a sink that a test passes as a trait object, which has no name.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test(sink: Arc<dyn Sink>) -> NamedSink {
        NamedSink { sink, destination: destination("dyn Sink") }
    }
}

/// A run, as a sink sees it.
#[derive(Clone, Copy, Debug)]
pub struct RunView<'a> {
    pub(crate) unit: &'static Unit,
    pub(crate) observed: &'a Observed,
    /// The id of the trace of a run that has ended, whose span is closed.
    #[cfg(feature = "telemetry")]
    pub(crate) trace_id: Option<&'a str>,
}

impl<'a> RunView<'a> {
    pub(crate) fn new(unit: &'static Unit, observed: &'a Observed) -> RunView<'a> {
        RunView {
            unit,
            observed,
            #[cfg(feature = "telemetry")]
            trace_id: None,
        }
    }

    /// Returns the id of the run, which is unique in this program.
    pub fn id(&self) -> u64 {
        self.observed.id
    }

    /// Returns the id of the observed run around this run; `None` if this run is the outermost, or if the data of the
    /// outer run no longer exists.
    pub fn parent_id(&self) -> Option<u64> {
        let mut outer = self.observed.parent.upgrade()?;
        while outer.unit.is_none() {
            outer = outer.parent.upgrade()?;
        }
        Some(outer.id)
    }

    /// Returns the process to which this run belongs; `None` for a stage or a call to a dependency that belongs to no
    /// process.
    pub fn process(&self) -> Option<&'static ProcessDefinition> {
        self.unit.process
    }

    /// Returns the stage; `None` if this is not a run of a stage.
    pub fn stage(&self) -> Option<&'static StageDefinition> {
        self.unit.stage()
    }

    /// Returns the id of the dependency; `None` if this is not a call to a dependency.
    pub fn dependency(&self) -> Option<&'static str> {
        self.unit.dependency()
    }

    #[cfg(any(feature = "telemetry", feature = "testing"))]
    pub(crate) fn is_of_process(&self) -> bool {
        self.unit.is_process()
    }

    /// Returns the name of the span: `<process>` or `<process>.<stage or dependency>`.
    #[cfg(any(feature = "telemetry", feature = "testing"))]
    pub(crate) fn name(&self) -> &'static str {
        self.unit.name
    }

    /// Returns the subscriber that created the span of the run, and the span's id in this subscriber; `None` if the
    /// run has no span.
    #[cfg(all(feature = "testing", feature = "tracing"))]
    pub(crate) fn span(&self) -> Option<(&tracing::Dispatch, &tracing::Id)> {
        Some(self.observed.span.as_ref()?.recorded())
    }

    #[cfg(feature = "telemetry")]
    pub(crate) fn has_sentry_hub(&self) -> bool {
        self.observed.has_hub()
    }

    /// Returns the business context: inherited values, values taken at entry, and values recorded since. A newer
    /// value replaces an older one of the same name.
    pub fn context(&self) -> Vec<(&'static str, Value)> {
        self.observed.values_now().iter().map(|(name, value)| (name, value.clone())).collect()
    }
}
