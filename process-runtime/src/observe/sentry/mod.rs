//! Reports runs to Sentry (`sentry-core`). A failed process causes an event with its business context. A process that
//! is past its SLA causes a warning. A degraded process causes a breadcrumb, and so does a failed stage or a failed
//! call to a dependency. An outermost run creates a hub, which the runs inside it share. If nothing fails and Sentry
//! samples no transactions, this hub is the only cost.
//!
//! To send these events, the toolkit needs only a Sentry client. Other events come from the body of a run and from
//! Sentry's panic hook. To add the data of the run to those events too, add [`Integration`] to the client's options.
//! [`crate::Install`] adds this data without the integration, to the events of the main hub, of the current hub, and
//! of the hubs that are created from these two later.

mod client;
mod details;
mod event;
mod failure;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use process_model::Outcome;
use sentry_core::protocol::{Breadcrumb, Context, Event, Level, SpanStatus};
use sentry_core::{ClientOptions, Hub, TransactionContext, TransactionOrSpan};

pub(crate) use self::client::outside;
use self::details::Details;
use self::event::{BLOCK, describe, describe_as, is_withheld, opentelemetry_ids, send, tag};
use self::failure::{Captured, Identity, already_captured, capture};
use crate::base::lock::lock;
use crate::catalog::definition::{Definition, StageDefinition};
use crate::run::domain::Core;
use crate::run::domain::observed::Observed;
use crate::run::ending::{End, Ending};
use crate::run::ending_thread::sentry::alive;
use crate::run::frame;
use crate::run::hub::OuterHub;
use crate::run::unit::Unit;

/// The minimum time between two warnings about late runs of the same process.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// Adds the tags, context block, user and trace of the current run to every event of a client, on every thread.
///
/// ```
/// let options = sentry_core::ClientOptions::new()
///     .add_integration(process_runtime::sentry::Integration);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Integration;

impl sentry_core::Integration for Integration {
    fn name(&self) -> &'static str {
        "critical-process"
    }

    fn process_event(&self, event: Event<'static>, _: &ClientOptions) -> Option<Event<'static>> {
        Some(describe(event))
    }
}

/// Adds the data of the current run to the events of a hub, and of hubs that are created from it later. Does nothing
/// if the hub has no client, if the client has the [`Integration`], or if an earlier call was for the same hub.
pub(crate) fn add_to(hub: &Arc<Hub>) {
    static HUBS: Mutex<Vec<Weak<Hub>>> = Mutex::new(Vec::new());
    let mut hubs = lock(&HUBS);
    hubs.retain(|known| known.strong_count() > 0);
    let is_known = hubs.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(hub)));
    if is_known || hub.client().is_none() || has_integration(hub) {
        return;
    }
    hubs.push(Arc::downgrade(hub));
    drop(hubs);
    hub.configure_scope(|scope| scope.add_event_processor(|event| Some(describe(event))));
}

fn has_integration(hub: &Hub) -> bool {
    hub.with_integration(|_: &Integration| true)
}

/// Returns whether a client accepts events from this thread.
pub(crate) fn is_active() -> bool {
    alive(|| Hub::with_active(|_| true)).unwrap_or(false)
}

/// Returns the reason why Sentry receives no events, or `None` if a client accepts events from this thread.
pub(crate) fn problem() -> Option<String> {
    (!is_active()).then(|| {
        "no Sentry client is bound to sentry-core 0.49, so Sentry receives no events; initialise Sentry with a DSN \
         before `Install::start`, with a version of `sentry` that uses sentry-core 0.49 (check with \
         `cargo tree -d -i sentry-core`)"
            .to_owned()
    })
}

/// Opens the hub of a run. It is called at the first poll of the run, inside the run's span. A run inside another run
/// shares the hub of that run. An outermost run uses the hub that `sentry-tracing` has created for the run's span, and
/// `sentry-tracing` then creates the transactions. If `sentry-tracing` is not installed, an outermost run gets a new
/// hub, and every run starts a Sentry span if the client accepts transactions.
pub(crate) fn open(unit: &'static Unit, observed: &Observed) {
    let Some(current) = alive(Hub::current) else { return };
    let is_traced_elsewhere = |outer: &OuterHub| !Arc::ptr_eq(&current, &outer.hub);
    let opened = observed.hub.open(|outer| match is_traced_elsewhere(outer) {
        true => Arc::clone(&current),
        false => Arc::new(Hub::new_from_top(&current)),
    });
    if let Some((hub, outer)) = opened
        && outer.traces
        && !is_traced_elsewhere(outer)
    {
        let span = start_span(unit, observed, hub);
        let _ = Details::kept(&observed.hub).span.set(span);
    }
}

/// Starts the Sentry span of a run. If a run around it has a Sentry span, the new span becomes a child of the nearest
/// such span. If none has, but the application has started a transaction, the new span becomes a child of this
/// transaction. Without any of these, the new span is a new transaction.
fn start_span(unit: &'static Unit, observed: &Observed, hub: &Hub) -> TransactionOrSpan {
    let op = match unit.definition {
        Definition::Process(_) => "process",
        Definition::Stage(_) => "stage",
        Definition::Dependency(_) => "dependency",
    };
    let mut outer = observed.parent.upgrade();
    while let Some(run) = outer {
        if let Some(span) = span_of(&run) {
            return span.start_child(op, unit.name).into();
        }
        outer = run.parent.upgrade();
    }
    if let Some(span) = hub.configure_scope(|scope| scope.get_span()) {
        return span.start_child(op, unit.name).into();
    }
    let mut context = TransactionContext::builder(unit.name, op);
    if let Some(trace) = opentelemetry_ids() {
        context = context.with_trace_id(trace.trace_id).with_span_id(trace.span_id);
    }
    let span = TransactionOrSpan::from(hub.start_transaction(context.finish()));
    if let Some(process) = unit.process {
        span.set_tag("process_id", process.id());
        span.set_tag("process_version", process.version());
    }
    hub.configure_scope(|scope| scope.set_span(Some(span.clone())));
    span
}

/// Returns whether the end of a run must be reported to Sentry. An outermost run that succeeds and has no [`Details`]
/// need not be reported.
#[inline]
pub(crate) fn is_reported(observed: &Observed, outcome: Outcome) -> bool {
    outcome != Outcome::Success || observed.hub.has_details() || observed.parent.strong_count() > 0
}

/// Reports the end of a run.
pub(crate) fn ended(unit: &'static Unit, observed: &Arc<Observed>, ending: &Ending<'_>, end: &End) {
    let link = &observed.hub;
    finish_span(observed, end);
    let Some(hub) = link.hub() else { return };
    if let Some(run) = observed.parent.upgrade().and_then(|outer| outer.run_around()) {
        details::part_ended(&run.hub, unit.stage().map(StageDefinition::id), end);
    }
    if !unit.is_process() {
        return part_ended(unit, observed, hub, ending, end);
    }
    let parent = observed.parent_process();
    if let Some(error) = ending.error.as_ref().filter(|_| end.outcome.is_error()) {
        let captured = match already_captured(link, error, end) {
            Some(captured) => captured,
            // The event contains the ids of the run's span, so it is captured inside that span.
            None => frame::within(Some(unit), Some(observed), || {
                let _span = observed.visit_span();
                let _hub = observed.visit_hub();
                capture(unit, observed, hub, error, end)
            }),
        };
        if let Some(parent) = parent {
            *lock(&Details::kept(&parent.hub).failure) = Some(Captured { is_last: true, ..captured });
        }
        return;
    }
    // A cancelled process does not show that its parent handled an earlier failure.
    if end.outcome != Outcome::Cancelled
        && let Some(details) = parent.as_ref().and_then(|parent| Details::of(&parent.hub))
        && let Some(captured) = &mut *lock(&details.failure)
    {
        captured.is_last = false;
    }
    if end.outcome == Outcome::Degraded {
        hub.add_breadcrumb(breadcrumb(Level::Warning, format!("{} used its fallback", unit.name)));
    }
}

/// Returns the transaction or Sentry span of a run, or `None` if the run has neither.
fn span_of(observed: &Observed) -> Option<&TransactionOrSpan> {
    Details::of(&observed.hub)?.span.get()
}

fn finish_span(observed: &Observed, end: &End) {
    let Some(span) = span_of(observed) else { return };
    for (name, value) in observed.values_now().iter() {
        if let Some(tag) = tag(value) {
            span.set_tag(name, tag);
        }
    }
    span.set_status(match end.outcome {
        Outcome::Success | Outcome::Degraded => SpanStatus::Ok,
        Outcome::Rejected => SpanStatus::InvalidArgument,
        Outcome::Cancelled => SpanStatus::Cancelled,
        Outcome::Failure | Outcome::Panic => SpanStatus::InternalError,
    });
    span.set_tag("process_outcome", end.outcome);
    span.clone().finish();
}

/// Reports the end of a stage or of a call to a dependency, without an event. If the process returns the error, the
/// end of the process causes an event. Otherwise the process has handled the error.
fn part_ended(unit: &'static Unit, observed: &Observed, hub: &Hub, ending: &Ending<'_>, end: &End) {
    let failed = end.outcome.is_error();
    if let Some(error) = &ending.error
        && is_withheld(unit)
        && let Some(process) = observed.parent_process()
    {
        Details::kept(&process.hub).withhold(Identity::of(error));
    }
    if failed {
        let part = if unit.stage().is_some() { "stage" } else { "dependency" };
        let kind = end.error_type.unwrap_or_default();
        hub.add_breadcrumb(breadcrumb(Level::Error, format!("{part} {} failed: {kind}", unit.name)));
    }
}

fn breadcrumb(level: Level, message: String) -> Breadcrumb {
    Breadcrumb { category: Some("process".into()), message: Some(message), level, ..Breadcrumb::default() }
}

/// Warns that a process is past its SLA, at most once in [`BETWEEN_WARNINGS`] for each process. Does nothing for
/// stages, for dependencies, and for runs without a hub.
pub(crate) fn overdue(core: &Core, unit: &'static Unit, observed: &Arc<Observed>, elapsed: Duration) {
    let (Some(hub), true) = (observed.hub.hub(), unit.is_process()) else { return };
    // If a health check caused the run, the check itself reports that the run is late.
    if core.is_synthetic() {
        return;
    }
    let now = core.clock.now();
    if !core.account(unit).may_warn(now, core.clock.ticks(BETWEEN_WARNINGS)) {
        return;
    }
    let sla = unit.definition.sla().unwrap_or_default();
    let mut event = Event {
        level: Level::Warning,
        message: Some(format!("{} is past its SLA of {sla:?}", unit.name)),
        fingerprint: vec![unit.name.into(), "overdue".into()].into(),
        ..Event::default()
    };
    frame::within(Some(unit), Some(observed), || {
        let _span = observed.visit_span();
        let _hub = observed.visit_hub();
        describe_as(&mut event, unit, observed, None);
        if let Some(Context::Other(block)) = event.contexts.get_mut(BLOCK) {
            block.insert("elapsed_ms".into(), (elapsed.as_millis() as u64).into());
            block.insert("late".into(), true.into());
        }
        send(hub, event);
    });
}
