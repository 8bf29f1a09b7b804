//! A span whose duration is that of the monotonic clock. The wall clock can be set while a span is open, and the span
//! would then end before its start, or hours after its end. The attributes of spans do not belong here.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, Status};

use crate::run::domain::Core;
use crate::run::span::is_closed_by_run;

/// A span of a [`DescribedTracer`](crate::DescribedTracer). Its start is a time of the wall clock, and its end
/// is that time plus the duration by the monotonic clock. If the span is closed after its end, and the wall clock was
/// not set meanwhile, its end is a time of the wall clock too.
#[derive(Debug)]
pub struct MonotonicSpan<S> {
    span: S,
    duration: Measured,
}

/// How the duration of a span is measured. `began` is the tick of the global clock at the start of the span.
#[derive(Debug)]
enum Measured {
    /// Not at all, because the span is not recorded.
    Not,
    /// Until the span is closed if its run closes it, and otherwise as `UntilEnd`. `name` is that of the run's unit.
    UntilClosed { start: SystemTime, began: u64, name: &'static str },
    /// Until the end by the wall clock.
    UntilEnd { start: SystemTime, began: u64 },
}

/// The kinds of spans, by the times at which the bridge builds and closes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// A run that has just begun on this thread, with the name of its unit. The span is built at its start, and
    /// normally closed at its end.
    RunOfThread(&'static str),
    /// A run that another thread has begun. The span is normally closed at its end.
    Run(&'static str),
    /// Any other span. The bridge builds it when it is first entered, and closes it some time after its end.
    Other,
}

/// Two clocks may differ by this and by a hundredth of the time, although neither was set.
const DRIFT: Duration = Duration::from_millis(1);

/// From this duration on, the rate of the clock is measured again at the end of a span.
const LONG: Duration = Duration::from_millis(100);

impl Measured {
    fn since(start: Option<SystemTime>, timing: Timing) -> Measured {
        let clock = &Core::global().clock;
        let mut began = clock.now();
        let start = match (start, timing) {
            (Some(start), Timing::RunOfThread(_)) => start,
            (Some(start), _) => {
                began = began.saturating_sub(clock.ticks(start.elapsed().unwrap_or_default()));
                start
            }
            (None, _) => SystemTime::now(),
        };
        match timing {
            Timing::Other => Measured::UntilEnd { start, began },
            Timing::Run(name) | Timing::RunOfThread(name) => Measured::UntilClosed { start, began, name },
        }
    }

    /// Returns the end of the span. `end` is its end by the wall clock. If the span is closed after its end, and the
    /// wall clock was not set meanwhile, `end` is also the result, so that it agrees with the ends of other spans.
    fn end(&self, end: SystemTime) -> SystemTime {
        let (start, took) = match *self {
            Measured::Not => return end,
            Measured::UntilClosed { start, began, name } if is_closed_by_run(name) => (start, elapsed(began)),
            Measured::UntilClosed { start, began, .. } | Measured::UntilEnd { start, began } => {
                let took = elapsed(began).saturating_sub(end.elapsed().unwrap_or_default());
                let by_wall_clock = end.duration_since(start).unwrap_or_default();
                if by_wall_clock.abs_diff(took) <= DRIFT + took / 100 {
                    return end;
                }
                (start, took)
            }
        };
        start.checked_add(took).unwrap_or(end)
    }
}

/// Returns the time since a tick of the global clock.
fn elapsed(began: u64) -> Duration {
    let clock = &Core::global().clock;
    let ticks = clock.now().saturating_sub(began);
    let elapsed = clock.duration(ticks);
    if elapsed < LONG {
        return elapsed;
    }
    clock.refine();
    clock.duration(ticks)
}

impl<S: Span> MonotonicSpan<S> {
    /// Builds a span.
    pub(super) fn build(
        builder: SpanBuilder,
        timing: Timing,
        build: impl FnOnce(SpanBuilder) -> S,
    ) -> MonotonicSpan<S> {
        let start = builder.start_time;
        let span = build(builder);
        let duration = if span.is_recording() { Measured::since(start, timing) } else { Measured::Not };
        MonotonicSpan { span, duration }
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
        let end = self.duration.end(end);
        self.span.end_with_timestamp(end);
    }
}
