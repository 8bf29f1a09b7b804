//! Adds the data of a run to an event: tags, the context block `process`, the user, and the trace. Deciding whether an
//! event is sent does not belong here.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use process_model::ErrorText;
use sentry_core::Hub;
use sentry_core::protocol::{Context, Event, Exception, TraceContext, User, Value as Json};
use sentry_core::types::Uuid;

use super::details::Details;
use crate::base::foreign::guard::attempt;
use crate::base::foreign::limits;
use crate::base::foreign::text::cut_again;
use crate::run::context::Value;
use crate::run::domain::observed::Observed;
use crate::run::ending::End;
use crate::run::frame;
use crate::run::unit::Unit;

/// The name of the context block in an event.
pub(super) const BLOCK: &str = "process";
/// The maximum number of characters of a tag. Sentry truncates longer tags.
const LONGEST_TAG: usize = 200;

type Block = BTreeMap<String, Json>;

thread_local! {
    /// The context block of the event that [`send`] is sending. [`describe`] adds it to the event again, because
    /// Sentry's scope may replace the block in the event.
    static DESCRIBED: Cell<Option<Block>> = const { Cell::new(None) };
}

/// Sends an event that already has the data of its run.
pub(super) fn send(hub: &Hub, event: Event<'static>) -> Uuid {
    if let Some(Context::Other(block)) = event.contexts.get(BLOCK) {
        keep_described(Some(block.clone()));
    }
    let sent = attempt(|| hub.capture_event(event));
    keep_described(None);
    sent.unwrap_or_else(|payload| payload.resume())
}

/// Sets the context block of the event that this thread is sending. Does nothing if the thread is ending and has
/// already dropped it; the event then has the block that Sentry's scope leaves in it.
fn keep_described(block: Option<Block>) {
    let _ = DESCRIBED.try_with(|described| described.set(block));
}

/// Adds the data of the current run to an event that other code sends, and cuts the texts of its errors and panics. An
/// event from [`send`] already has the data of its run, so it only receives its context block again.
pub(super) fn describe(mut event: Event<'static>) -> Event<'static> {
    for text in event.exception.values.iter_mut().filter_map(|exception| exception.value.as_mut()) {
        if text.len() > limits::error_text() {
            *text = cut_again(text, limits::error_text()).into_owned();
        }
    }
    if let Some(block) = DESCRIBED.try_with(Cell::take).ok().flatten() {
        add_block(&mut event, block.clone());
        keep_described(Some(block));
        return event;
    }
    let Some(nearest) = frame::nearest() else {
        return event;
    };
    let run = if nearest.unit.is_some_and(Unit::is_process) {
        Some(Arc::clone(&nearest))
    } else {
        nearest.parent_process()
    };
    let is_panic =
        |exception: &Exception| exception.mechanism.as_ref().is_some_and(|mechanism| mechanism.ty == "panic");
    let panicked = event.exception.iter().any(is_panic);
    match run.as_ref().and_then(|run| Some((run, run.unit?))) {
        Some((run, unit)) => {
            if panicked {
                let _ = Details::kept(&run.hub).panicked.set(event.event_id);
                if is_withheld(unit) || nearest.unit.is_some_and(is_withheld) {
                    withhold_text(&mut event);
                }
            }
            describe_as(&mut event, unit, &nearest, None);
        }
        None => describe_values(&mut event, &nearest),
    }
    event
}

pub(super) fn is_withheld(unit: &'static Unit) -> bool {
    unit.definition.common().error_text == ErrorText::Never
}

/// Removes the text of every exception in the event of a panic. The message of a panic counts as error text.
fn withhold_text(event: &mut Event<'static>) {
    for exception in &mut event.exception.values {
        exception.value = None;
    }
}

/// Adds the tags, the context block, the user and the trace of a run. `end` is `None` while the run is in flight.
pub(super) fn describe_as(
    event: &mut Event<'static>,
    unit: &'static Unit,
    observed: &Observed,
    end: Option<&End>,
) {
    let mut block = Block::new();
    if let Some(process) = unit.process {
        event.tags.insert("process_id".into(), process.id().into());
        event.tags.insert("process_version".into(), process.version().into());
        event.transaction.get_or_insert_with(|| process.id().into());
        block.insert("id".into(), process.id().into());
        block.insert("name".into(), process.name().into());
        block.insert("version".into(), process.version().into());
        block.insert("criticality".into(), process.criticality().as_str().into());
        block.insert("sla_ms".into(), (process.sla().as_millis() as u64).into());
        block.insert("handler".into(), process.handler().into());
        for (key, value) in [("owner", process.owner()), ("runbook", process.runbook())] {
            if let Some(value) = value {
                block.insert(key.into(), value.into());
            }
        }
    }
    if let Some(end) = end {
        event.tags.insert("process_outcome".into(), end.outcome.as_str().into());
        block.insert("outcome".into(), end.outcome.as_str().into());
        block.insert("late".into(), end.late.into());
        block.insert("duration_ms".into(), (end.duration.as_millis() as u64).into());
        if let Some(error_type) = end.error_type {
            block.insert("error_type".into(), error_type.into());
        }
    }
    let stage = observed.unit.and_then(|unit| unit.stage()).map(|stage| stage.id());
    if let Some(stage) =
        stage.or_else(|| Details::of(&observed.hub).and_then(|details| details.failed_stage(end)))
    {
        block.insert("stage".into(), stage.into());
    }
    for (name, value) in observed.values_now().iter() {
        block.entry(name.into()).or_insert_with(|| json(value));
    }
    add_block(event, block);
    describe_values(event, observed);
    if let Some(trace) = opentelemetry_ids() {
        event.contexts.insert("trace".into(), Context::Trace(Box::new(trace)));
    }
}

/// Adds the context block. If the application has added a block of the same name, the two blocks are merged. If both
/// blocks have a key, the value from `block` is kept.
fn add_block(event: &mut Event<'static>, mut block: Block) {
    if let Some(Context::Other(theirs)) = event.contexts.remove(BLOCK) {
        for (name, value) in theirs {
            block.entry(name).or_insert(value);
        }
    }
    event.contexts.insert(BLOCK.into(), Context::Other(block));
}

/// Adds the business context as tags. The value of `user_id` also becomes the id of the user, unless the event already
/// has a user id.
fn describe_values(event: &mut Event<'static>, observed: &Observed) {
    for (name, value) in observed.values_now().iter() {
        if name == "user_id" {
            let user = event.user.get_or_insert_with(User::default);
            user.id.get_or_insert_with(|| value.to_string());
        }
        event.tags.extend(tag(value).map(|tag| (name.into(), tag)));
    }
}

/// Returns a value as a tag, or `None` if Sentry would cut or reject it.
pub(super) fn tag(value: &Value) -> Option<String> {
    let text = value.to_string();
    let is_kept = text.chars().count() <= LONGEST_TAG && !text.is_empty() && !text.contains(['\n', '\r']);
    is_kept.then_some(text)
}

fn json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::U64(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::Text(value) => (**value).into(),
    }
}

/// Returns the ids of the current OpenTelemetry span, which link an event to its trace. Returns `None` without a
/// current span.
#[cfg(feature = "metrics")]
pub(super) fn opentelemetry_ids() -> Option<TraceContext> {
    let ids = crate::run::trace::current_span()?;
    Some(TraceContext {
        trace_id: ids.trace_id().to_bytes().into(),
        span_id: ids.span_id().to_bytes().into(),
        ..TraceContext::default()
    })
}

#[cfg(not(feature = "metrics"))]
pub(super) fn opentelemetry_ids() -> Option<TraceContext> {
    None
}
