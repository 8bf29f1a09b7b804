//! A span whose duration is that of the monotonic clock. The wall clock can be set while a span is open, and the span
//! would then end before its start, or hours after its end. The attributes of spans do not belong here.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, Status};

/// A span of a [`DescribedTracer`](crate::DescribedTracer). Its start is a time of the wall clock, and its end
/// is that time plus the duration by the monotonic clock.
#[derive(Debug)]
pub struct MonotonicSpan<S> {
    span: S,
    /// `None` if the span is not recorded.
    clock: Option<Clock>,
}

#[derive(Debug)]
struct Clock {
    start: SystemTime,
    /// The time between the start and `built`, by the wall clock. A bridge builds a span when the span is first
    /// entered.
    before: Duration,
    built: Instant,
    ends_when_closed: bool,
}

impl Clock {
    /// Returns the end of the span. `end` is the end by the wall clock, a time shortly before now: a bridge closes a
    /// span some time after its end.
    fn end(&self, end: SystemTime) -> SystemTime {
        let after = match self.ends_when_closed {
            true => Duration::ZERO,
            false => end.elapsed().unwrap_or_default(),
        };
        let took = (self.before + self.built.elapsed()).saturating_sub(after);
        self.start.checked_add(took).unwrap_or(end)
    }
}

impl<S: Span> MonotonicSpan<S> {
    /// Builds a span. The span of a run ends when it is closed, so that its end needs no look at the wall clock.
    pub(super) fn build(
        builder: SpanBuilder,
        ends_when_closed: bool,
        build: impl FnOnce(SpanBuilder) -> S,
    ) -> MonotonicSpan<S> {
        let start = builder.start_time;
        let span = build(builder);
        let clock = span.is_recording().then(|| {
            let now = SystemTime::now();
            let start = start.unwrap_or(now);
            let before = now.duration_since(start).unwrap_or_default();
            Clock { start, before, built: Instant::now(), ends_when_closed }
        });
        MonotonicSpan { span, clock }
    }
}

impl<S: Span> Span for MonotonicSpan<S> {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(
        &mut self,
        name: T,
        time: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        self.span.add_event_with_timestamp(name, time, attributes);
    }

    fn span_context(&self) -> &SpanContext {
        self.span.span_context()
    }

    fn is_recording(&self) -> bool {
        self.span.is_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.span.set_attribute(attribute);
    }

    fn set_status(&mut self, status: Status) {
        self.span.set_status(status);
    }

    fn update_name<T: Into<Cow<'static, str>>>(&mut self, name: T) {
        self.span.update_name(name);
    }

    fn add_link(&mut self, context: SpanContext, attributes: Vec<KeyValue>) {
        self.span.add_link(context, attributes);
    }

    fn end_with_timestamp(&mut self, end: SystemTime) {
        let end = self.clock.as_ref().map_or(end, |clock| clock.end(end));
        self.span.end_with_timestamp(end);
    }
}
