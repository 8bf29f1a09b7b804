//! Makes records of the `log` crate events of `tracing`, so that they reach the log and the exporters. How events are
//! written does not belong here.

use std::cell::Cell;

use log::{Log, Metadata, Record, SetLoggerError};
use tracing::level_filters::LevelFilter;
use tracing_log::{AsLog as _, LogTracer};

/// Sets the logger of the program. Records that are less severe than `tracing` enables are discarded where they are
/// made.
///
/// # Errors
///
/// Returns an error if a logger is already set, which then stays in use.
pub(in crate::telemetry) fn start() -> Result<(), SetLoggerError> {
    log::set_boxed_logger(Box::new(Logger(LogTracer::new())))?;
    log::set_max_level(LevelFilter::current().as_log());
    Ok(())
}

struct Logger(LogTracer);

thread_local! {
    /// Whether this thread is inside of [`Logger::log`].
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        // With its feature `log-always`, `tracing` makes a record of each event, which would become an event again.
        let Ok(false) = IS_INSIDE.try_with(|is_inside| is_inside.replace(true)) else { return };
        let _leaves = Leaves;
        self.0.log(record);
    }

    fn flush(&self) {}
}

/// Records at its drop that the thread leaves [`Logger::log`], also if a subscriber panics.
struct Leaves;

impl Drop for Leaves {
    fn drop(&mut self) {
        let _ = IS_INSIDE.try_with(|is_inside| is_inside.set(false));
    }
}
