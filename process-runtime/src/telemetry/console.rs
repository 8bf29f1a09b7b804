//! What a person reads: the log, filtered by `RUST_LOG`, on standard output; and while no exporter is configured a
//! line for each run on standard error.

use std::fmt::Write as _;
use std::time::Instant;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::diagnostics;
use crate::base::notices;
use crate::base::output::STANDARD_OUTPUT;
use crate::observe::{End, RunView, Sink};

/// The filter where `RUST_LOG` says nothing.
const LOG: &str = "info";

/// The log, and what of everything there is may be heard at all: spans of level INFO and above, of events warnings and
/// what the log wants. That is settled once for each callsite, so it costs a run nothing.
pub(super) fn log<S: Subscriber + for<'s> LookupSpan<'s>>() -> impl Layer<S> {
    let written = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    let wanted = written.as_deref().unwrap_or(LOG).parse::<Targets>().unwrap_or_else(|error| {
        notices::once(format!("RUST_LOG cannot be read ({error}); it is taken for `{LOG}`"));
        Targets::new().with_default(LevelFilter::INFO)
    });
    if let Err(error) = STANDARD_OUTPUT.start() {
        notices::once(format!("the thread that writes the log cannot be started: {error}"));
    }
    Log { written: tracing_subscriber::fmt::layer().with_writer(|| &STANDARD_OUTPUT), wanted }
}

struct Log<L> {
    written: L,
    wanted: Targets,
}

impl<L> Log<L> {
    fn is_written(&self, metadata: &Metadata<'_>) -> bool {
        !diagnostics::is_of_opentelemetry(metadata)
            && self.wanted.would_enable(metadata.target(), metadata.level())
    }

    fn is_heard(&self, metadata: &Metadata<'_>) -> bool {
        let least = if metadata.is_span() { Level::INFO } else { Level::WARN };
        *metadata.level() <= least || metadata.is_event() && self.is_written(metadata)
    }
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Log<L> {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.is_heard(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.is_heard(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let written = self.wanted.iter().map(|(_, level)| level).chain(self.wanted.default_level()).max();
        Some(LevelFilter::INFO.max(written.unwrap_or(LevelFilter::OFF)))
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if diagnostics::is_of_opentelemetry(event.metadata()) {
            diagnostics::report(event);
        } else if self.is_written(event.metadata()) {
            self.written.on_event(event, context);
        }
    }
}

/// Waits until log and lines are written, but not longer than until `end`.
pub(super) fn flush(end: Instant) {
    STANDARD_OUTPUT.flush(end);
    notices::flush(end);
}

/// A line for each run.
#[derive(Debug)]
pub(super) struct RunLines;

impl Sink for RunLines {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        // The failure of a process that Sentry cannot be told of has its line already.
        if end.outcome.is_error() && run.is_of_process() && !run.is_told_to_sentry() {
            return;
        }
        let mut line = String::from("critical_process: ");
        line.push_str(run.name());
        let late = if end.late { ", late" } else { "" };
        let _ = write!(line, ": {}{late} after {:.1?}", end.outcome, end.duration);
        for (name, value) in run.context() {
            let _ = write!(line, ", {name}={value}");
        }
        if let Some(kind) = end.error_type {
            let _ = write!(line, ", {kind}");
        }
        notices::line(line);
    }
}
