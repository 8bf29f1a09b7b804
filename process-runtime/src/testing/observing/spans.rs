//! A tracing subscriber that records the spans of a test. The previous subscriber, which was current before the
//! test's domain, still receives everything that it enables, so that the application's log stays complete. Runs and
//! Sentry events do not belong here.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, NoSubscriber, Subscriber};
use tracing::{Event, Level, Metadata};
use tracing_core::span::Current;

use crate::base::foreign::text::bounded_debug;
use crate::base::lock::lock;
use crate::run::context::Value;
use crate::run::frame;

/// The maximum number of bytes of a recorded text. It is more than any destination receives, because a test may search
/// the text for a secret.
const LONGEST: usize = 1 << 20;

/// A span that was opened by a run or by code in its body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Span {
    /// The name of the span.
    pub name: &'static str,
    /// The target of the span. The span of a run has the target `critical_process`.
    pub target: &'static str,
    /// The fields with their values, from the start of the span or recorded later. If a field was recorded several
    /// times, it has the last value.
    pub fields: Vec<(&'static str, Value)>,
}

impl Span {
    /// Returns the value of a field; `None` if the span has no value for it.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// A recorded span, with the ids by which the span is found again.
#[derive(Debug)]
pub(in crate::testing) struct Recorded {
    id: Id,
    metadata: &'static Metadata<'static>,
    /// A number that is unique within the recorder. `id` is not unique, because the previous subscriber can reuse
    /// ids.
    pub(in crate::testing) key: u64,
    /// The id of the run in which the span was opened; `None` outside all runs.
    pub(in crate::testing) run: Option<u64>,
    pub(in crate::testing) span: Span,
}

type Spans = Arc<Mutex<Vec<Recorded>>>;

type Lines = Arc<Mutex<Vec<String>>>;

/// The subscriber of one domain, with everything that it has recorded.
pub(in crate::testing) struct Recorder {
    dispatch: Dispatch,
    spans: Spans,
    lines: Lines,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Creates a recorder that forwards to this thread's current subscriber.
    pub(in crate::testing) fn new() -> Recorder {
        // If only one subscriber exists, tracing-core asks the current subscriber of the registering thread whether a
        // new callsite is enabled. The answer can overwrite that of a second subscriber, which another thread creates
        // at the same time. Two more subscribers, which exist until the program ends, prevent this.
        static OTHERS: LazyLock<[Dispatch; 2]> =
            LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::default())));
        LazyLock::force(&OTHERS);
        let (spans, lines) = (Spans::default(), Lines::default());
        let before = dispatcher::get_default(Dispatch::clone);
        let recording = Recording {
            before,
            spans: Arc::clone(&spans),
            lines: Arc::clone(&lines),
            next: AtomicU64::new(1),
        };
        Recorder { dispatch: Dispatch::new(recording), spans, lines }
    }

    /// Sets the recorder as the subscriber of this thread, until the guard is dropped.
    pub(in crate::testing) fn enter(&self) -> DefaultGuard {
        dispatcher::set_default(&self.dispatch)
    }

    /// Takes the spans that were recorded so far.
    pub(in crate::testing) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *lock(&self.spans))
    }
}

impl Recorder {
    /// Takes everything that was recorded on spans and events, as text.
    pub(in crate::testing) fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.lines))
    }
}

/// Returns the key of a recorded span; `None` if the subscriber of the span is not a recorder, or has not recorded
/// the span.
pub(crate) fn key(dispatch: &Dispatch, id: &Id) -> Option<u64> {
    let recording = dispatch.downcast_ref::<Recording>()?;
    let spans = lock(&recording.spans);
    spans.iter().rev().find(|recorded| recorded.id == *id).map(|recorded| recorded.key)
}

/// The bit that marks an id as assigned by the recorder. The recorder assigns an id only if the previous subscriber
/// does not enable the span. All other spans keep the id of the previous subscriber, so that calls are forwarded
/// without translation.
const OWN: u64 = 1 << 63;

struct Recording {
    before: Dispatch,
    spans: Spans,
    lines: Lines,
    next: AtomicU64,
}

thread_local! {
    /// The spans that this thread is in, from any recorder.
    static ENTERED: RefCell<Vec<(Id, &'static Metadata<'static>)>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the spans that this thread is in. Returns `None` if the thread is ending and has dropped them.
fn with_entered<R>(f: impl FnOnce(&mut Vec<(Id, &'static Metadata<'static>)>) -> R) -> Option<R> {
    ENTERED.try_with(|entered| f(&mut entered.borrow_mut())).ok()
}

fn is_foreign(id: &Id) -> bool {
    id.into_u64() & OWN == 0
}

impl Recording {
    fn with(&self, id: &Id, f: impl FnOnce(&mut Span)) {
        let mut spans = lock(&self.spans);
        if let Some(span) = spans.iter_mut().rev().find(|recorded| recorded.id == *id) {
            f(&mut span.span);
        }
    }

    /// Keeps recorded values as text, even if they are replaced later or belong to no run.
    fn keep_text(&self, fields: &[(&'static str, Value)]) {
        if !fields.is_empty() {
            let line = format!("{fields:?}");
            lock(&self.lines).push(line);
        }
    }

    fn metadata_of(&self, id: &Id) -> Option<&'static Metadata<'static>> {
        let spans = lock(&self.spans);
        spans.iter().rev().find(|recorded| recorded.id == *id).map(|recorded| recorded.metadata)
    }

    /// Opens a new span in the previous subscriber. Returns `None` if that subscriber does not enable the span.
    fn open_before(&self, attributes: &Attributes<'_>) -> Option<Id> {
        let metadata = attributes.metadata();
        if !self.before.enabled(metadata) {
            return None;
        }
        Some(match attributes.parent() {
            Some(parent) if !is_foreign(parent) => {
                self.before.new_span(&Attributes::new(metadata, attributes.values()))
            }
            _ => self.before.new_span(attributes),
        })
    }
}

impl Subscriber for Recording {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO || self.before.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The hint of the previous subscriber is not accessible. This does no harm, because tracing uses the most
        // verbose hint of all subscribers.
        Some(LevelFilter::INFO)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let id = self.open_before(attributes).unwrap_or_else(|| Id::from_u64(OWN | key));
        let metadata = attributes.metadata();
        let mut span = Span { name: metadata.name(), target: metadata.target(), fields: Vec::new() };
        attributes.record(&mut Fields(&mut span.fields));
        self.keep_text(&span.fields);
        let run = frame::nearest().and_then(|nearest| nearest.run_around()).map(|run| run.id);
        lock(&self.spans).push(Recorded { id: id.clone(), metadata, key, run, span });
        id
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut fields = Vec::new();
        values.record(&mut Fields(&mut fields));
        self.keep_text(&fields);
        // The values are foreign code, so they are read before the lock is taken, and only once.
        self.with(id, |span| fields.into_iter().for_each(|(name, value)| put(&mut span.fields, name, value)));
        if is_foreign(id) {
            self.before.record(id, values);
        }
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        if is_foreign(id) && is_foreign(follows) {
            self.before.record_follows_from(id, follows);
        }
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Vec::new();
        event.record(&mut Fields(&mut fields));
        self.keep_text(&fields);
        if self.before.enabled(event.metadata()) && event.parent().is_none_or(is_foreign) {
            self.before.event(event);
        }
    }

    fn enter(&self, id: &Id) {
        if let Some(metadata) = self.metadata_of(id) {
            with_entered(|entered| entered.push((id.clone(), metadata)));
        }
        if is_foreign(id) {
            self.before.enter(id);
        }
    }

    fn exit(&self, id: &Id) {
        with_entered(|entered| {
            if let Some(last) = entered.iter().rposition(|(other, _)| other == id) {
                entered.remove(last);
            }
        });
        if is_foreign(id) {
            self.before.exit(id);
        }
    }

    fn current_span(&self) -> Current {
        let last = with_entered(|entered| entered.last().cloned()).flatten();
        match last {
            Some((id, metadata)) => Current::new(id, metadata),
            None => self.before.current_span(),
        }
    }

    fn clone_span(&self, id: &Id) -> Id {
        if is_foreign(id) { self.before.clone_span(id) } else { id.clone() }
    }

    fn try_close(&self, id: Id) -> bool {
        is_foreign(&id) && self.before.try_close(id)
    }
}

/// Adds the value of a field. It replaces an earlier value of the same field.
fn put(fields: &mut Vec<(&'static str, Value)>, name: &'static str, value: Value) {
    fields.retain(|(other, _)| *other != name);
    fields.push((name, value));
}

/// Collects the values of fields.
struct Fields<'a>(&'a mut Vec<(&'static str, Value)>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        put(self.0, field.name(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, i64::try_from(value).map_or(Value::U64(value), Value::I64));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::F64(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(bounded_debug(value, LONGEST).into()));
    }
}
