//! What a run is told to: beside tracing, OpenTelemetry and Sentry a destination of your own, a [`Sink`]. One needs it
//! to feed what none of these reaches, such as an audit trail, and in tests that ask what a run was told to. Give it to [`Install::sink`](crate::Install::sink), or to a test's domain.

// Each destination is one file behind one feature; this one decides whether any wants to hear of a run.
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "metrics")]
pub(crate) mod samples;
#[cfg(feature = "sentry")]
pub mod sentry;
#[cfg(feature = "tracing")]
pub(crate) mod span;
#[cfg(all(feature = "tracing", feature = "metrics"))]
pub(crate) mod tracer;

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use process_model::Outcome;

use crate::catalog::definition::{ProcessDefinition, StageDefinition};
use crate::run::context::Value;
use crate::run::domain::Core;
use crate::run::ending::Ending;
use crate::run::observed::Observed;
use crate::run::unit::Unit;

/// A destination of your own: it is told of every run of a domain, processes and stages alike, on the thread
/// that runs (of a run that is overdue, mostly on the watchdog's). A sink must not block; one that panics is
/// told no more, and the run goes on. Runs inside of a sink are counted and told to nobody.
pub trait Sink: Send + Sync + fmt::Debug + 'static {
    /// A run started.
    fn started(&self, run: &RunView<'_>) {
        let _ = run;
    }

    /// A run passed its SLA. Told once, from the watchdog while it still runs, or else just before it ends.
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
    unit: &'static Unit,
    observed: &'a Observed,
}

impl RunView<'_> {
    /// Told apart from every other run of this program.
    pub fn id(&self) -> u64 {
        self.observed.id
    }

    /// The run around this one.
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

    /// The key of its span, where a test records it.
    #[cfg(all(feature = "testing", feature = "tracing"))]
    pub(crate) fn span_key(&self) -> Option<u64> {
        self.observed.span.as_ref()?.key()
    }

    #[cfg(feature = "telemetry")]
    pub(crate) fn is_told_to_sentry(&self) -> bool {
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
    /// How.
    pub outcome: Outcome,
    /// Whether it was past its SLA.
    pub late: bool,
    /// How long it took.
    pub duration: Duration,
    /// The `error.type` of a failure, panic or rejection: of at most 32 for each process, then `_OTHER`.
    pub error_type: Option<&'static str>,
}

/// What a run finds at its start that wants to hear of it.
#[derive(Debug)]
pub(crate) struct Wanted {
    #[cfg(feature = "sentry")]
    pub(crate) outside: Option<sentry::Outside>,
}

impl Wanted {
    /// A test's domain hears of all its runs.
    pub(crate) fn by_domain() -> Wanted {
        Wanted {
            #[cfg(feature = "sentry")]
            outside: None,
        }
    }
}

/// Who wants to hear of a run of this unit that starts on this thread now, in ticks of the global clock;
/// `None` where nobody does.
#[inline(always)]
pub(crate) fn wanted(unit: &'static Unit, core: &Core, now: u64) -> Option<Wanted> {
    let wanted = Wanted {
        #[cfg(feature = "sentry")]
        outside: sentry::outside(now),
    };
    #[cfg(feature = "sentry")]
    if wanted.outside.is_some() {
        return Some(wanted);
    }
    #[cfg(feature = "tracing")]
    if span::may_be_wanted() {
        let mut is_wanted = false;
        unharmed(|| is_wanted = span::is_wanted(unit));
        if is_wanted {
            return Some(wanted);
        }
    }
    let _ = (unit, now);
    core.has_sinks().then_some(wanted)
}

/// Tells of a start.
pub(crate) fn started(core: &Core, unit: &'static Unit, observed: &Observed) {
    core.tell(&RunView { unit, observed }, |sink, run| sink.started(run));
}

/// Tells that a run passed its SLA; without `observed` nobody wants to know.
pub(crate) fn overdue(core: &Core, unit: &'static Unit, observed: Option<&Arc<Observed>>, elapsed: Duration) {
    let Some(observed) = observed else { return };
    #[cfg(feature = "tracing")]
    if let Some(span) = &observed.span {
        unharmed(|| span.overdue(unit, elapsed));
    }
    #[cfg(feature = "sentry")]
    unharmed(|| sentry::overdue(core, unit, observed, elapsed));
    core.tell(&RunView { unit, observed }, |sink, run| sink.overdue(run, elapsed));
}

/// Whether an end in time and without a fault is nothing to tell of, and there is nothing to close.
#[inline]
pub(crate) fn is_quiet(core: &Core, observed: &Observed, outcome: Outcome) -> bool {
    #[cfg(feature = "tracing")]
    if observed.span.is_some() {
        return false;
    }
    #[cfg(feature = "sentry")]
    if sentry::is_told(observed, outcome) {
        return false;
    }
    let _ = observed;
    matches!(outcome, Outcome::Success | Outcome::Degraded | Outcome::Cancelled) && !core.has_sinks()
}

/// Tells of an end, and closes what was opened.
pub(crate) fn ended(
    core: &Core,
    unit: &'static Unit,
    observed: &Arc<Observed>,
    ending: &Ending<'_>,
    end: &End,
) {
    #[cfg(feature = "sentry")]
    if sentry::is_told(observed, end.outcome) {
        unharmed(|| sentry::ended(unit, observed, ending, end));
    }
    #[cfg(feature = "tracing")]
    if let Some(span) = &observed.span {
        // Also in the middle of telling of something else: a span that stays open is kept for ever.
        caught(|| span.ended(unit, observed, ending, end));
        caught(|| span.close());
    }
    core.tell(&RunView { unit, observed }, |sink, run| sink.ended(run, end));
    let _ = ending;
}

thread_local! {
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Calls foreign code, one destination at a time: what panics takes down neither the application nor the
/// next destination. Runs inside of that code are accounted for and told to nobody, or a destination that is
/// a process itself would be told of what it does for ever. Whether `f` returned.
pub(crate) fn unharmed(f: impl FnOnce()) -> bool {
    if TELLING.replace(true) {
        return true;
    }
    let returned = caught(f);
    TELLING.set(false);
    returned
}

/// Calls foreign code that may be in the middle of being told. Whether `f` returned.
pub(crate) fn caught(f: impl FnOnce()) -> bool {
    let returned = catch_unwind(AssertUnwindSafe(f)).is_ok();
    if !returned {
        crate::base::notices::once("a subscriber, Sentry client or sink panicked while it was told of a run");
    }
    returned
}
