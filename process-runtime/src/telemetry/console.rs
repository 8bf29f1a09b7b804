//! What a person reads: the log, filtered by `RUST_LOG`, on standard output; and while no exporter is configured a
//! line for each run on standard error.

use std::fmt::Write as _;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::reported;
use crate::observe::{End, RunView, Sink};
use crate::report;

/// The filter where `RUST_LOG` says nothing.
const LOG: &str = "info";

/// The log: events alone. Runs and their spans are told elsewhere, and to write a span's fields costs more than the
/// span.
pub(super) fn log<S: Subscriber + for<'s> LookupSpan<'s>>() -> impl Layer<S> {
    let written = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    let filter = written.as_deref().unwrap_or(LOG).parse::<EnvFilter>().unwrap_or_else(|error| {
        report::once(format!("RUST_LOG cannot be read ({error}); it is taken for `{LOG}`"));
        EnvFilter::new(LOG)
    });
    let events = filter_fn(|metadata| metadata.is_event() && !reported::is_of_opentelemetry(metadata));
    tracing_subscriber::fmt::layer().with_filter(events.and(filter))
}

/// A line for each run.
#[derive(Debug)]
pub(super) struct Runs {
    /// Without a Sentry client, failures of processes have their line already.
    pub(super) failures_too: bool,
}

impl Sink for Runs {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        if end.outcome.is_error() && run.stage().is_none() && !self.failures_too {
            return;
        }
        let mut line = String::from("critical_process: ");
        line.push_str(run.process().map_or("", |process| process.id()));
        if let Some(stage) = run.stage() {
            let _ = write!(line, ".{}", stage.id());
        }
        let late = if end.late { ", late" } else { "" };
        let _ = write!(line, ": {}{late} after {:.1?}", end.outcome, end.duration);
        if let Some(kind) = end.error_type {
            let _ = write!(line, ", {kind}");
        }
        for (name, value) in run.context() {
            let _ = write!(line, ", {name}={value}");
        }
        report::line(line);
    }
}
