//! A layer that keeps every span and event of one test, without global state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Subscriber, dispatcher};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// The fields of a span or event, as text.
pub type Fields = BTreeMap<String, String>;

/// A layer that keeps every span and event.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Span>,
    loose: Vec<Fields>,
}

/// A span that was received.
#[derive(Clone, Debug)]
pub struct Span {
    /// The name of the span.
    pub name: &'static str,
    /// The target of the span.
    pub target: String,
    /// The level of the span.
    pub level: Level,
    /// The name of the span around this span, if there is one.
    pub parent: Option<&'static str>,
    /// The index of the span around this span, among all spans.
    pub parent_at: Option<usize>,
    /// The fields with which the span was opened, and those that were recorded later.
    pub fields: Fields,
    /// The events inside of the span, each with its level and fields.
    pub events: Vec<(Level, Fields)>,
    /// Whether the span is closed.
    pub closed: bool,
}

/// The index of a span among all spans.
struct Place(usize);

impl Capture {
    /// Creates an empty capture.
    pub fn new() -> Capture {
        Capture::default()
    }

    /// Creates a capture that is the subscriber of this thread until the guard is dropped.
    pub fn installed() -> (Capture, dispatcher::DefaultGuard) {
        let capture = Capture::new();
        let guard = dispatcher::set_default(&capture.dispatch());
        (capture, guard)
    }

    /// Returns a subscriber that has only this layer.
    pub fn dispatch(&self) -> Dispatch {
        // If only one subscriber exists when a callsite is registered, tracing-core decides whether the callsite is
        // enabled by asking the subscriber of the current thread. If another thread creates a second subscriber at
        // the same moment, this decision can overwrite the one of the second subscriber. While two more subscribers
        // always exist, this cannot happen.
        static OTHERS: LazyLock<[Dispatch; 2]> =
            LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::default())));
        LazyLock::force(&OTHERS);
        Dispatch::new(Registry::default().with(self.clone()))
    }

    /// Returns every span so far, in the order in which they were opened.
    pub fn spans(&self) -> Vec<Span> {
        self.kept().spans.clone()
    }

    /// Returns the only span with this name.
    ///
    /// # Panics
    /// If no span has this name, or more than one.
    #[track_caller]
    pub fn only(&self, name: &str) -> Span {
        let named = self.named(name);
        let [span] = &named[..] else {
            panic!("{} spans are named {name}: {:#?}", named.len(), self.spans())
        };
        span.clone()
    }

    /// Returns the spans with this name.
    pub fn named(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// Returns the events outside of all spans.
    pub fn loose_events(&self) -> Vec<Fields> {
        self.kept().loose.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Span {
    /// Returns the value of a field, or `None` if the field was not set.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span.parent();
        let parent_at = parent.as_ref().and_then(|parent| Some(parent.extensions().get::<Place>()?.0));
        let mut fields = Texts(Fields::new());
        attributes.record(&mut fields);
        let mut kept = self.kept();
        span.extensions_mut().insert(Place(kept.spans.len()));
        kept.spans.push(Span {
            name: span.name(),
            target: span.metadata().target().to_owned(),
            level: *span.metadata().level(),
            parent: parent.map(|parent| parent.name()),
            parent_at,
            fields: fields.0,
            events: Vec::new(),
            closed: false,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let place = place(&context, id);
        let mut fields = Texts(Fields::new());
        values.record(&mut fields);
        if let Some(place) = place {
            self.kept().spans[place].fields.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Texts(Fields::new());
        event.record(&mut fields);
        let place = context.event_span(event).and_then(|span| Some(span.extensions().get::<Place>()?.0));
        match place {
            Some(place) => self.kept().spans[place].events.push((*event.metadata().level(), fields.0)),
            None => self.kept().loose.push(fields.0),
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(place) = place(&context, &id) {
            let span = &mut self.kept().spans[place];
            assert!(!span.closed, "{} is closed twice", span.name);
            span.closed = true;
        }
    }
}

fn place<S: Subscriber + for<'a> LookupSpan<'a>>(context: &Context<'_, S>, id: &Id) -> Option<usize> {
    Some(context.span(id)?.extensions().get::<Place>()?.0)
}

struct Texts(Fields);

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
