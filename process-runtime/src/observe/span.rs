//! The `tracing` span of a run. `tracing` describes a span by a callsite, which holds the name, level and fields of
//! the span. The macro `span!` would put the code for a callsite into every annotated function. This module instead
//! creates the callsite when a process, stage or dependency first runs. A span has fields for the constants of its
//! process, stage or dependency, fields that are recorded when the run ends, and a field for every context name of the
//! program, because an outer scope may set any of these names. Other destinations do not belong here.

use std::time::Duration;

use process_model::{ContextSource, ErrorText};
use tracing::Level;
use tracing::callsite::Identifier;
use tracing::dispatcher;
use tracing::field::{Field, FieldSet, Value as Recorded, ValueSet};
use tracing::level_filters::LevelFilter;
use tracing::metadata::{Kind, Metadata};
use tracing::span::Attributes;

#[cfg(feature = "metrics")]
use super::tracer;
use crate::base::destination::calls::Destination;
use crate::base::destination::unharmed;
use crate::run::context::Values;
use crate::run::domain::observed::Observed;
use crate::run::ending::{End, Ending};
use crate::run::span::{RuntimeCallsite, SpanHandle, SpanSite, as_recorded};
use crate::run::unit::Unit;

/// The target of the spans of runs and of the events in these spans. One filter directive therefore controls them all.
pub(crate) const TARGET: &str = "critical_process";
/// The name of the field for the outcome of a run.
pub(crate) const OUTCOME: &str = "critical_process.outcome";

/// The name of the field for the text of an error.
const ERROR_TEXT: &str = "exception.message";

/// The maximum number of fields of a span.
const FIELDS: usize = 64;
/// The number of initial values that is sufficient for most spans.
const FEW: usize = 8;

/// The fields that are recorded when a run ends. The last field, the text of the error, exists only with
/// `error_text = everywhere`.
const ENDS: [&str; 5] = [OUTCOME, "critical_process.late", "error.type", "otel.status_code", ERROR_TEXT];

/// Returns whether the run with the span that `metadata` describes lets the text of an error leave the program.
#[cfg(feature = "telemetry")]
pub(crate) fn sends_error_text(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field(ERROR_TEXT).is_some()
}

/// Creates the callsite for the spans of a unit. The callsite is not registered yet, and is never freed.
fn make(unit: &'static Unit) -> SpanSite {
    let callsite: &'static RuntimeCallsite = Box::leak(Box::new(RuntimeCallsite::new()));
    let common = unit.definition.common();
    // Bridges read the source location from the metadata. Fields with the location would export it a second time.
    let constants = constants(unit);
    let is_text_sent = common.error_text == ErrorText::Everywhere;
    let ends = &ENDS[..if is_text_sent { ENDS.len() } else { ENDS.len() - 1 }];
    let fixed: Vec<_> = constants.iter().map(|(name, _)| *name).chain(ends.iter().copied()).collect();
    let (ends, context) = (constants.len(), fixed.len());
    let names: &'static [&'static str] = fields(unit, fixed).leak();
    let place = unit.definition.place();
    let metadata = callsite.metadata.get_or_init(|| {
        Metadata::new(
            unit.name,
            TARGET,
            Level::INFO,
            place.map(|place| place.file.as_str()),
            place.map(|place| place.line),
            None,
            FieldSet::new(names, Identifier(callsite)),
            Kind::SPAN,
        )
    });
    let later = common.context.iter().filter(|key| key.source == ContextSource::Later);
    #[cfg(feature = "metrics")]
    let described = tracer::take_over(unit.name, &constants);
    #[cfg(feature = "metrics")]
    let constants = if described.is_some() { Vec::new() } else { constants };
    SpanSite {
        metadata,
        callsite,
        fields: metadata.fields().iter().collect(),
        constants: constants.into_iter().map(|(_, text)| text).collect(),
        #[cfg(feature = "metrics")]
        described,
        ends,
        context,
        later: later.map(|key| key.name.as_str()).collect(),
    }
}

/// Calls `f` with the initial values of a new span.
fn with_values(site: &SpanSite, values: &Values, f: impl FnOnce(&ValueSet<'_>)) {
    // Initialising an array for the largest span would cost more than the rest of this function.
    match site.constants.len() + values.iter().count() {
        0..=FEW => with_room::<FEW>(site, values, f),
        _ => with_room::<FIELDS>(site, values, f),
    }
}

fn with_room<const ROOM: usize>(site: &SpanSite, values: &Values, f: impl FnOnce(&ValueSet<'_>)) {
    let constants = site.constants.iter().enumerate().map(|(at, text)| (at, text as &dyn Recorded));
    // Values come in the order of their fields, so the next value usually belongs to the next field.
    let mut next = site.context;
    // A `later` key is one that the run may record itself after it has started. Bridges export a field that is
    // recorded twice as two attributes. An inherited value of such a key is therefore recorded only at the end, and
    // only if the run has not recorded a value.
    let own = values.iter().filter(|(name, _)| !site.later.contains(name));
    let context = own.filter_map(|(name, value)| {
        let place = site.place(name, next)?;
        next = place + 1;
        Some((place, as_recorded(value)))
    });
    let mut all: [(&Field, Option<&dyn Recorded>); ROOM] = [(&site.fields[0], None); ROOM];
    let mut room = all.iter_mut();
    constants.chain(context).for_each(|(place, value)| {
        if let Some(room) = room.next() {
            *room = (&site.fields[place], Some(value));
        }
    });
    f(&site.metadata.fields().value_set(&all));
}

/// Returns the names and values of the constant fields of the unit's spans.
fn constants(unit: &'static Unit) -> Vec<(&'static str, &'static str)> {
    let mut constants = Vec::new();
    if let Some(place) = unit.definition.place() {
        constants.push(("code.function.name", place.handler.as_str()));
    }
    if let Some(process) = unit.process {
        constants.extend([
            ("critical_process.id", process.id()),
            ("critical_process.version", process.version()),
            ("critical_process.criticality", process.criticality().as_str()),
        ]);
    }
    constants.extend(unit.stage().map(|stage| ("critical_process.stage", stage.id())));
    constants.extend(unit.dependency().map(|dependency| ("critical_process.dependency", dependency)));
    constants
}

/// Returns the names of the fields in this order: the fixed fields, the names whose values features of this crate set,
/// the unit's own context, and the other context names of the program. Names for which the span has no room are left
/// out and reported.
fn fields(unit: &'static Unit, fixed: Vec<&'static str>) -> Vec<&'static str> {
    let mut fields = fixed;
    fields.extend(crate::run::context::RESERVED);
    let room = FIELDS - fields.len();
    let own = unit.definition.common().context.iter().map(|key| key.name.as_str());
    for name in own.chain(crate::run::context::names()) {
        if !fields.contains(&name) {
            fields.push(name);
        }
    }
    if fields.len() > FIELDS {
        crate::base::notices::once(format!(
            "more than {room} context names in the program: the spans of `{}` omit {}; declare fewer names with \
             `context(…)`",
            unit.name,
            fields[FIELDS..].join(", ")
        ));
        fields.truncate(FIELDS);
    }
    fields
}

fn site(unit: &'static Unit) -> &'static SpanSite {
    unit.span.get().unwrap_or_else(|| first_site(unit))
}

#[cold]
fn first_site(unit: &'static Unit) -> &'static SpanSite {
    let site = unit.span.get_or_init(|| make(unit));
    // Registration calls the subscribers. They may run this unit, so no lock is held. Until the registration is
    // complete, other threads ask the subscriber for each run.
    site.callsite.register();
    site
}

/// Returns whether a subscriber may receive spans of the level INFO, which is the level of all runs.
#[inline]
pub(crate) fn may_be_wanted() -> bool {
    let level = LevelFilter::INFO;
    level <= tracing::level_filters::STATIC_MAX_LEVEL && level <= LevelFilter::current()
}

/// Returns `true` if a subscriber receives the spans of this unit, or if the unit declares context. Spans inside a run
/// may inherit its context, even if the run itself has no span.
pub(crate) fn is_wanted(unit: &'static Unit) -> bool {
    site(unit).is_enabled() || !unit.definition.common().context.is_empty()
}

/// Opens the span of a run as a child of the current span. Returns `None` if no subscriber receives the span.
pub(crate) fn open(unit: &'static Unit, values: &Values) -> Option<SpanHandle> {
    let site = site(unit);
    if !site.is_enabled() {
        return None;
    }
    let mut span = None;
    with_values(site, values, |values| {
        dispatcher::get_default(|dispatch| {
            let id = dispatch.new_span(&Attributes::new(site.metadata, values));
            span = Some(SpanHandle::new(dispatch.clone(), id));
        });
    });
    span
}

/// Returns the reason why some or all processes have no spans. Returns `None` if the subscriber receives the spans of
/// every process.
pub(crate) fn problem() -> Option<String> {
    if LevelFilter::current() == LevelFilter::OFF {
        return Some(
            "no tracing subscriber is set, so no spans are exported; set one before `Install::start`, built on the same \
             version of tracing-core (check with `cargo tree -d -i tracing-core`)"
                .to_owned(),
        );
    }
    let units = Unit::all().into_iter().filter(|unit| unit.is_process());
    let mut filtered: Vec<_> = units.filter(|unit| !site(unit).is_enabled()).map(|unit| unit.name).collect();
    filtered.sort_unstable();
    (!filtered.is_empty()).then(|| {
        format!(
            "the subscriber's filter drops the spans of {}; add `{TARGET}=info` to the filter",
            filtered.join(", ")
        )
    })
}

/// Records the outcome of the run in its span.
pub(crate) fn ended(
    span: &SpanHandle,
    unit: &'static Unit,
    observed: &Observed,
    ending: &Ending<'_>,
    end: &End,
) {
    let error_text = unit.definition.common().error_text;
    let mut message = None;
    if let (Some(error), ErrorText::Everywhere) = (&ending.error, error_text) {
        // The text is foreign code. A run that it starts is not reported, so that its own text is not taken again.
        unharmed(Destination::Subscriber, || message = error.text(error_text));
    }
    let outcome = end.outcome.as_str();
    let site = site(unit);
    for (name, value) in observed.values.iter() {
        if site.later.contains(&name) && !observed.has_recorded(name) {
            span.record_value(site, name, value);
        }
    }
    let status = end.outcome.is_error().then_some("ERROR");
    // `field` takes an index into `ENDS`. If the span has no field for the message, `message` is `None`.
    let field = |end: usize| &site.fields[site.ends + end];
    span.record(
        site,
        [
            (field(0), Some(&outcome)),
            (field(1), Some(&end.late)),
            (field(2), end.error_type.as_ref().map(|kind| kind as &dyn Recorded)),
            (field(3), status.as_ref().map(|status| status as &dyn Recorded)),
        ],
    );
    if let Some(message) = message {
        span.record(site, [(field(4), Some(&message))]);
    }
}

/// Adds a warning to the span of a run that has taken longer than its SLA. Does nothing if the span is already closed.
pub(crate) fn overdue(span: &SpanHandle, unit: &'static Unit, elapsed: Duration) {
    let Some(_visit) = span.visit() else { return };
    let sla = unit.definition.sla().unwrap_or_default();
    let (dispatch, id) = span.recorded();
    dispatcher::with_default(dispatch, || {
        tracing::event!(
            target: TARGET,
            parent: id,
            Level::WARN,
            critical_process.id = unit.process.map(|process| process.id()),
            critical_process.stage = unit.stage().map(|stage| stage.id()),
            elapsed_s = elapsed.as_secs_f64(),
            sla_s = sla.as_secs_f64(),
            owner = unit.process.and_then(|process| process.owner()),
            runbook = unit.process.and_then(|process| process.runbook()),
            "past its SLA"
        );
    });
}
