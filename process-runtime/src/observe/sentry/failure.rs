//! Sends one event for each failure. If an outer process fails with the error of an inner process, this module
//! recognises the error and sends no second event. Warnings and breadcrumbs do not belong here.

use std::error::Error;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use process_model::{ErrorText, Outcome};
use sentry_core::Hub;
use sentry_core::protocol::{Context, Event, Exception, Level, Mechanism};
use sentry_core::types::Uuid;

use super::details::Details;
use super::event::{BLOCK, describe_as, is_withheld, send};
use super::has_integration;
use crate::base::foreign::chain::{links, sources};
use crate::base::foreign::limits;
use crate::base::foreign::text::{bounded, cut_again};
use crate::run::domain::observed::Observed;
use crate::run::ending::{End, ErrorRef, RunError};
use crate::run::hub::HubLink;
use crate::run::unit::Unit;

/// A failure for which an event was sent to Sentry.
#[derive(Clone, Debug)]
pub(super) struct Captured {
    /// The id of the first event about the failure.
    pub(super) event: Uuid,
    pub(super) fingerprint: Vec<String>,
    pub(super) identity: Identity,
    /// `true` until another process with the same parent ends without a failure. The end of a cancelled process
    /// changes nothing.
    pub(super) is_last: bool,
}

/// Returns the captured failure if an event has already reported it, and otherwise `None`. There are two such cases.
/// Either Sentry's panic hook has sent an event for the panic of this run. Or the inner process that failed last has
/// sent an event, its error is in the chain of sources of `fault`, and no other inner process has ended without a
/// failure since.
pub(super) fn already_captured(link: &HubLink, error: &RunError<'_>, end: &End) -> Option<Captured> {
    if let Some(&event) = Details::of(link).and_then(|details| details.panicked.get())
        && end.outcome == Outcome::Panic
    {
        return Some(captured(event, Vec::new(), error));
    }
    Details::of(link)?.failure().filter(|captured| captured.is_last && captured.identity.is_in(error))
}

/// The properties by which an outer process recognises an error: the type, if it is known, and the text. A run may keep
/// many identities, so an identity has only the fingerprints of these texts. It is `Copy`, so it cannot own a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Identity {
    /// An error that implements the standard trait `Error`, and the source of this error.
    Link { error: Shown<Print>, source: Option<Shown<Print>> },
    /// Any other error.
    Value { error_type: &'static str, text: Option<Print> },
}

/// The fingerprint of a text. The key is random, so no one can make two texts with the same fingerprint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Print(u64, u64);

impl Print {
    fn of(text: &str) -> Print {
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        let [one, other] = &*KEYS;
        Print(one.hash_one(text), other.hash_one(text))
    }
}

/// The parts of an error that Sentry shows: its text, and the type that Sentry parses from its `Debug` form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shown<T> {
    shown_type: T,
    text: T,
}

/// The maximum number of bytes of the type of an exception.
const LONGEST_TYPE: usize = 256;

impl Shown<String> {
    /// Returns the parts of an error. The text is cut at `longest` bytes.
    fn of(error: &dyn Error, longest: usize) -> Shown<String> {
        let text = bounded(&error, longest);
        // A type is the first word of a `Debug` form. The form of an error that is only a text is the quoted text.
        let debug = bounded(&format_args!("{error:?}"), limits::error_text());
        let shown_type = match debug.starts_with('"') {
            true => "Error".to_owned(),
            false => cut_again(sentry_core::parse_type_from_debug(&debug), LONGEST_TYPE).into_owned(),
        };
        Shown { shown_type, text }
    }
}

impl Shown<Print> {
    fn of(error: &dyn Error) -> Shown<Print> {
        let Shown { shown_type, text } = Shown::<String>::of(error, limits::error_text());
        Shown { shown_type: Print::of(&shown_type), text: Print::of(&text) }
    }
}

impl Identity {
    pub(super) fn of(error: &RunError<'_>) -> Identity {
        match error.value {
            ErrorRef::Chain(error) => {
                let source = sources(error).next().map(Shown::<Print>::of);
                Identity::Link { error: Shown::<Print>::of(error), source }
            }
            other => {
                let text = other.text().as_deref().map(Print::of);
                Identity::Value { error_type: error.error_type, text }
            }
        }
    }

    /// Returns whether `link`, an error in a chain of sources, is the error with this identity. If the error has a
    /// source, this also returns `true` for a transparent wrapper around the error. Such a wrapper has another type,
    /// but the same text and the same source.
    fn is_link(&self, link: &dyn Error) -> bool {
        let Identity::Link { error, source } = self else { return false };
        let shown = Shown::<Print>::of(link);
        shown == *error
            || (source.is_some()
                && shown.text == error.text
                && sources(link).next().map(Shown::<Print>::of) == *source)
    }

    /// Returns whether `fault` is the error with this identity, or has that error in its chain of sources.
    pub(super) fn is_in(&self, error: &RunError<'_>) -> bool {
        match error.value {
            ErrorRef::Chain(error) => links(error).any(|link| self.is_link(link)),
            _ => *self == Identity::of(error),
        }
    }
}

fn captured(event: Uuid, fingerprint: Vec<String>, error: &RunError<'_>) -> Captured {
    Captured { event, fingerprint, identity: Identity::of(error), is_last: true }
}

/// Sends the event for a failure, unless Sentry's panic hook has already sent one. Returns the captured failure.
pub(super) fn capture(
    unit: &'static Unit,
    observed: &Arc<Observed>,
    hub: &Arc<Hub>,
    error: &RunError<'_>,
    end: &End,
) -> Captured {
    let first = Details::of(&observed.hub).and_then(Details::failure);
    if end.outcome == Outcome::Panic
        && has_panic_hook(hub)
        && let Some(last) = hub.last_event_id()
    {
        // Sentry's panic hook has already sent the event, which is therefore the last event of the hub. The run's
        // details do not contain the id of this event, because our integration is not installed.
        return captured(last, Vec::new(), error);
    }
    let fingerprint = match &first {
        Some(first) if !first.fingerprint.is_empty() => first.fingerprint.clone(),
        _ => vec![unit.name.to_owned(), end.error_type.unwrap_or_default().to_owned()],
    };
    // In Sentry, failures in health checks get an issue of their own, separate from the failures of other runs.
    let fingerprint = match observed.domain.core().is_synthetic() {
        true if first.is_none() => [fingerprint, vec!["synthetic".to_owned()]].concat(),
        _ => fingerprint,
    };
    let mut event = Event {
        level: if end.outcome == Outcome::Panic { Level::Fatal } else { Level::Error },
        fingerprint: fingerprint.iter().cloned().map(Into::into).collect::<Vec<_>>().into(),
        ..error_event(unit, observed, error, end)
    };
    if let Some(exception) = event.exception.values.last_mut() {
        exception.mechanism = Some(Mechanism {
            ty: "critical_process".into(),
            handled: Some(end.outcome != Outcome::Panic),
            ..Mechanism::default()
        });
    }
    describe_as(&mut event, unit, observed, Some(end));
    if let (Some(first), Some(Context::Other(block))) = (&first, event.contexts.get_mut(BLOCK)) {
        block.insert("first_event_id".into(), first.event.simple().to_string().into());
    }
    let event = send(hub, event);
    captured(first.map_or(event, |first| first.event), fingerprint, error)
}

/// Creates the event for an error. It has one exception for each error in the chain of sources, the innermost first.
/// If the chain is unknown, or if its text must not be sent, the event has a single exception with the `error.type`.
fn error_event(unit: &'static Unit, observed: &Observed, error: &RunError<'_>, end: &End) -> Event<'static> {
    let is_withheld =
        is_withheld(unit) || Details::of(&observed.hub).is_some_and(|details| details.is_withheld(error));
    let error_text = if is_withheld { ErrorText::Never } else { unit.definition.common().error_text };
    match error.value {
        ErrorRef::Chain(error) if error_text != ErrorText::Never => chain_event(error),
        _ => {
            let exception = Exception {
                ty: end.error_type.unwrap_or("error").to_owned(),
                value: error.text(error_text),
                ..Exception::default()
            };
            Event { exception: vec![exception].into(), ..Event::default() }
        }
    }
}

/// Creates an event with an exception for each error of a chain. `sentry_core::event_from_error` would do the same
/// without a limit.
fn chain_event(error: &dyn Error) -> Event<'static> {
    let mut room = limits::chain_text();
    let mut exceptions = Vec::new();
    for link in links(error) {
        let Shown { shown_type, text } = Shown::<String>::of(link, limits::error_text().min(room));
        room = room.saturating_sub(text.len());
        exceptions.push(Exception { ty: shown_type, value: Some(text), ..Exception::default() });
        if room == 0 {
            break;
        }
    }
    exceptions.reverse();
    Event { exception: exceptions.into(), ..Event::default() }
}

/// Returns whether Sentry's panic integration is installed but ours is not. Our integration would have recorded the
/// event of the panic hook in `Details::panicked`.
fn has_panic_hook(hub: &Hub) -> bool {
    let named = |client: Arc<sentry_core::Client>| {
        client.options().integrations.iter().any(|integration| integration.name() == "panic")
    };
    !has_integration(hub) && hub.client().is_some_and(named)
}
