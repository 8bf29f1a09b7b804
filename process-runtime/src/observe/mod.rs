//! Sends runs to a destination of your own, in addition to tracing, OpenTelemetry and Sentry. Implement [`Sink`], for
//! example to write an audit trail. To receive the runs of the program, pass the sink to
//! [`Install::sink`](crate::Install::sink). Runs inside health checks and tests do not go to this sink. To receive the
//! runs of one test, pass a sink to the builder of a `testing::Domain`.

// This folder also has the toolkit's own destinations, one in each file. This file decides whether a run is observed,
// which means that Sentry, the span or the sinks receive it, and calls these three in this order. `instrument` calls
// metrics and standard error, which also receive runs that are not observed. The format of a report does not belong
// here.
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(all(feature = "tracing", feature = "metrics"))]
pub(crate) mod monotonic;
#[cfg(feature = "metrics")]
pub(crate) mod samples;
#[cfg(feature = "sentry")]
pub mod sentry;
#[cfg(feature = "tracing")]
pub(crate) mod span;
pub(crate) mod standard_error;
#[cfg(all(feature = "tracing", feature = "metrics"))]
pub(crate) mod tracer;

use std::sync::Arc;
use std::time::Duration;

use process_model::Outcome;

use crate::base::alarm::fork;
#[cfg(any(feature = "tracing", feature = "sentry"))]
use crate::base::destination::calls::Destination;
#[cfg(any(feature = "tracing", feature = "sentry"))]
use crate::base::destination::unharmed;
use crate::run::context::Values;
use crate::run::domain::observed::{Observed, Opened};
pub use crate::run::domain::sink::{RunView, Sink};
use crate::run::domain::{Core, DomainRef};
pub use crate::run::ending::End;
use crate::run::ending::Ending;
#[cfg(feature = "sentry")]
use crate::run::hub::HubLink;
#[cfg(feature = "sentry")]
use crate::run::hub::OuterHub;
use crate::run::unit::Unit;

/// The result of [`wanted`] for a run that at least one destination receives. It contains the data that [`open`] uses.
#[derive(Debug)]
pub(crate) struct Wanted {
    #[cfg(feature = "sentry")]
    pub(crate) outside: Option<OuterHub>,
}

impl Wanted {
    /// Creates the result for a run in the domain of a test or a health check. Every run in such a domain is observed.
    pub(crate) fn by_domain() -> Wanted {
        Wanted {
            #[cfg(feature = "sentry")]
            outside: None,
        }
    }
}

/// Decides whether a run of this unit that starts on this thread is observed. Returns `None` if neither Sentry, the
/// span nor a sink receives the run. `now` is the start of the run, in ticks of the global clock.
#[inline(always)]
pub(crate) fn wanted(unit: &'static Unit, core: &Core, now: u64) -> Option<Wanted> {
    // A destination may wait for a lock that a thread of the parent held at the fork.
    if fork::is_child() {
        return None;
    }
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
        unharmed(Destination::Subscriber, || is_wanted = span::is_wanted(unit));
        if is_wanted {
            return Some(wanted);
        }
    }
    let _ = (unit, now);
    core.has_sinks().then_some(wanted)
}

/// Opens the span of a run, links the run to a Sentry hub, and returns the observed run. `outer` is the observed run
/// or scope around this run, if there is one.
pub(crate) fn open(
    unit: &'static Unit,
    outer: Option<&Arc<Observed>>,
    domain: DomainRef,
    values: Values,
    wanted: Wanted,
) -> Arc<Observed> {
    #[cfg(feature = "tracing")]
    let mut span = None;
    #[cfg(feature = "tracing")]
    if span::may_be_wanted() {
        unharmed(Destination::Subscriber, || span = span::open(unit, &values));
    }
    #[cfg(not(feature = "tracing"))]
    let span = None::<()>;
    #[cfg(feature = "sentry")]
    let hub = HubLink::of_run(outer.map(|outer| &outer.hub), wanted.outside, span.is_some());
    #[cfg(not(feature = "sentry"))]
    let _ = (outer, wanted, &span);
    let opened = Opened {
        #[cfg(feature = "tracing")]
        span,
        #[cfg(feature = "sentry")]
        hub,
    };
    Observed::run(unit, outer, domain, values, opened)
}

/// Reports the start of a run to the sinks.
pub(crate) fn started(core: &Core, unit: &'static Unit, observed: &Observed) {
    core.notify(&RunView::new(unit, observed), |sink, run| sink.started(run));
}

/// Reports that a run passed its SLA. Does nothing if `observed` is `None`, because then no destination receives the
/// run.
pub(crate) fn overdue(core: &Core, unit: &'static Unit, observed: Option<&Arc<Observed>>, elapsed: Duration) {
    let Some(observed) = observed else { return };
    #[cfg(feature = "tracing")]
    if let Some(span) = &observed.span {
        unharmed(Destination::Subscriber, || span::overdue(span, unit, elapsed));
    }
    #[cfg(feature = "sentry")]
    unharmed(Destination::Sentry, || sentry::overdue(core, unit, observed, elapsed));
    core.notify(&RunView::new(unit, observed), |sink, run| sink.overdue(run, elapsed));
}

/// Returns whether a run that is on time can end without any report. It can if the run has no span, if it succeeded,
/// was degraded or was cancelled, and if neither Sentry nor a sink must be notified of its end.
#[inline]
pub(crate) fn is_quiet(core: &Core, observed: &Observed, outcome: Outcome) -> bool {
    #[cfg(feature = "tracing")]
    if observed.span.is_some() {
        return false;
    }
    #[cfg(feature = "sentry")]
    if sentry::is_reported(observed, outcome) {
        return false;
    }
    let _ = observed;
    matches!(outcome, Outcome::Success | Outcome::Degraded | Outcome::Cancelled) && !core.has_sinks()
}

/// Reports the end of a run, and closes its span.
pub(crate) fn ended(
    core: &Core,
    unit: &'static Unit,
    observed: &Arc<Observed>,
    ending: &Ending<'_>,
    end: &End,
) {
    #[cfg(feature = "sentry")]
    if sentry::is_reported(observed, end.outcome) {
        unharmed(Destination::Sentry, || sentry::ended(unit, observed, ending, end));
    }
    // Of the destinations of `telemetry`, only a sink needs the id, and the span has none once it is closed.
    #[cfg(feature = "telemetry")]
    let trace_id = core.has_sinks().then(|| observed.trace_id()).flatten();
    #[cfg(feature = "tracing")]
    if let Some(span) = &observed.span {
        span::ended(span, unit, observed, ending, end);
        span.close(unit.name);
    }
    let view = RunView::new(unit, observed);
    #[cfg(feature = "telemetry")]
    let view = RunView { trace_id: trace_id.as_deref(), ..view };
    core.notify(&view, |sink, run| sink.ended(run, end));
    let _ = ending;
}

/// Reports every run of the domain that has passed its SLA since the previous scan. Returns the time until the next
/// deadline, or `None` if no run in flight has a deadline that is still to come.
pub(crate) fn scan(core: &Core) -> Option<Duration> {
    core.scan(&|unit, observed, elapsed| overdue(core, unit, observed, elapsed))
}
