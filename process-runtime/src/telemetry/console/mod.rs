//! Writes the lines that people read on a terminal. The log, filtered by `RUST_LOG`, is written to standard output. If
//! traces are written to files, each run that ends is also written as one line to standard error. Exporters do not
//! belong here.

mod line;
pub(super) mod log_records;

use std::io::{self, IsTerminal as _};
use std::time::Instant;

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::{diagnostics, logs};
use crate::base::foreign::quote;
use crate::base::notices;
use crate::base::output::STANDARD_OUTPUT;
use crate::observe::standard_error::RunLine;
use crate::observe::{End, RunView, Sink};

/// Returns the layer that writes the log. This layer is also the filter of the whole subscriber. It enables spans of
/// level INFO and above, the events that become log records, and the events that `filter` selects. `tracing` caches the
/// decision for each callsite, so the filter costs a run nothing. Without `has_colours`, and unless standard output is
/// a terminal, the log has no escape sequences.
pub(super) fn log<S: Subscriber + for<'s> LookupSpan<'s>>(
    filter: Targets,
    has_colours: bool,
) -> impl Layer<S> {
    if let Err(error) = STANDARD_OUTPUT.start() {
        notices::once(format!("cannot start the thread that writes the log: {error}"));
    }
    // `with_ansi(true)` requires a feature of `tracing-subscriber`. With this feature, colours are the default.
    let is_plain = !has_colours || !io::stdout().is_terminal();
    let output = move || StandardOutput { is_plain };
    let writer = tracing_subscriber::fmt::layer().fmt_fields(line::Line).with_writer(output);
    let writer = if is_plain { writer.with_ansi(false) } else { writer };
    Log { writer, filter }
}

/// Passes each line of the log to the thread that writes standard output.
struct StandardOutput {
    /// Whether the line has no colours.
    is_plain: bool,
}

impl io::Write for StandardOutput {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The target of a record of the crate `log` may be any text. The line itself contains escape sequences only
        // for colours.
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        let is_forged = |character| quote::is_hidden(character) && (self.is_plain || character != '\u{1b}');
        match text.contains(is_forged) {
            true => STANDARD_OUTPUT.push((text.replace(is_forged, " ") + "\n").as_bytes()),
            false => STANDARD_OUTPUT.push(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Log<L> {
    writer: L,
    filter: Targets,
}

impl<L> Log<L> {
    fn is_written(&self, metadata: &Metadata<'_>) -> bool {
        !diagnostics::is_of_opentelemetry(metadata)
            && self.filter.would_enable(metadata.target(), metadata.level())
    }

    fn is_enabled(&self, metadata: &Metadata<'_>) -> bool {
        match metadata.is_span() {
            true => *metadata.level() <= Level::INFO,
            false => logs::is_recorded(metadata) || metadata.is_event() && self.is_written(metadata),
        }
    }
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Log<L> {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.is_enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.is_enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let most_verbose =
            self.filter.iter().map(|(_, level)| level).chain(self.filter.default_level()).max();
        Some(LevelFilter::INFO.max(most_verbose.unwrap_or(LevelFilter::OFF)))
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if diagnostics::is_of_opentelemetry(event.metadata()) {
            diagnostics::report(event);
        } else if self.is_written(event.normalized_metadata().as_ref().unwrap_or(event.metadata())) {
            self.writer.on_event(event, context);
        }
    }
}

/// Waits until the log and the lines on standard error are written, at most until `end`.
pub(super) fn flush(end: Instant) {
    STANDARD_OUTPUT.flush(end);
    notices::flush(end);
}

/// A sink that writes one line for each run to standard error.
#[derive(Debug)]
pub(super) struct RunLines;

impl Sink for RunLines {
    fn ended(&self, run: &RunView<'_>, end: &End) {
        // If Sentry does not receive the failure of a process, `observe::standard_error` has already written a line
        // for it, with the text of the error.
        if end.outcome.is_error() && run.is_of_process() && !run.has_sentry_hub() {
            return;
        }
        let mut line = RunLine::new(run.name(), end);
        line.trace_id(run.trace_id);
        line.context(run.context());
        line.write();
    }
}
