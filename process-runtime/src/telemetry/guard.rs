//! Flushes the running telemetry, and shuts it down within a limited time. Setting up telemetry does not belong here.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, Once, mpsc};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::exporters::Exporters;
#[cfg(feature = "prometheus")]
use super::prometheus::Prometheus;
use super::{console, diagnostics};
use crate::base::alarm::fork;
use crate::base::lock::lock;
use crate::base::notices;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::install::installation::Installation;
use crate::install::live;
use crate::observe::metrics::{LOST_EVENTS, LOST_RECORDS, LOST_SPANS, LOST_TRANSACTIONS, drain_until};
use crate::observe::{RunView, Sink};
use crate::run::domain::Core;
use crate::run::domain::sink::NamedSink;

/// How long the drop of [`Telemetry`] waits until the remaining telemetry is sent.
const FLUSH: Duration = Duration::from_secs(5);
/// The part of [`FLUSH`] that is reserved for the last lines of the log.
const LINES: Duration = Duration::from_millis(500);
/// The upper limit for the timeout of a flush. Larger values could overflow an [`Instant`].
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The time in which a stop may be a mistake. If telemetry stops sooner than this after its start, no process has run
/// before, and one runs afterwards, the guard was dropped too early.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long the first run after such a stop waits until the mistake is reported. The program may end with this run.
const REPORT: Duration = Duration::from_millis(50);

/// Where telemetry is sent. The clones share the same queues and connections.
#[derive(Clone, Default)]
pub(super) struct Pipelines {
    pub(super) traces: Option<SdkTracerProvider>,
    pub(super) logs: Option<SdkLoggerProvider>,
    pub(super) metrics: Option<SdkMeterProvider>,
    pub(super) sentry: Option<Arc<sentry::Client>>,
    #[cfg(feature = "prometheus")]
    pub(super) prometheus: Option<Prometheus>,
}

/// Locks and returns the pipelines of the call of `telemetry::init` whose [`Telemetry`] exists.
pub(super) fn running() -> MutexGuard<'static, Option<Pipelines>> {
    static RUNNING: Mutex<Option<Pipelines>> = Mutex::new(None);
    lock(&RUNNING)
}

/// The running telemetry, which stops when this guard is dropped.
///
/// The drop sends the remaining telemetry, waits for at most five seconds and stops the watchdog. Bind the guard to a
/// name such as `_telemetry`, because `let _ =` drops it immediately. `std::process::exit` ends the program without
/// dropping the guard.
#[must_use = "telemetry stops when this is dropped: keep it until the end of `main`"]
pub struct Telemetry {
    started: Instant,
    installation: Installation,
    pipelines: Pipelines,
    /// The threads of the exporters. `None` if the telemetry of an earlier call is in use, which then outlives this
    /// value.
    exporters: Option<Exporters>,
    destinations: Vec<String>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("destinations", &self.destinations).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Returns the value that owns `pipelines`.
    pub(super) fn first(
        installation: Installation,
        pipelines: Pipelines,
        exporters: Exporters,
        destinations: Vec<String>,
    ) -> Telemetry {
        let exporters = Some(exporters);
        Telemetry { started: Instant::now(), installation, pipelines, exporters, destinations }
    }

    /// Returns a value that uses the `pipelines` of an earlier call.
    pub(super) fn further(installation: Installation, pipelines: Pipelines) -> Telemetry {
        let (exporters, destinations) = (None, Vec::new());
        Telemetry { started: Instant::now(), installation, pipelines, exporters, destinations }
    }

    /// Returns where this call sends traces, logs, metrics and errors, one line for each destination. There is none if
    /// an earlier call sends them.
    pub fn destinations(&self) -> &[String] {
        &self.destinations
    }

    /// Returns the metrics for Prometheus. Returns `None` unless `OTEL_METRICS_EXPORTER` or
    /// [`TelemetryBuilder::prometheus`](super::TelemetryBuilder::prometheus) enables them.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> Option<&Prometheus> {
        self.pipelines.prometheus.as_ref()
    }

    /// Returns the running installation.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Sends the remaining telemetry, and waits until it is sent, for at most the time `most`. Returns `true` if
    /// everything was sent and no telemetry was lost during the call.
    pub fn flush(&self, most: Duration) -> bool {
        if fork::report() {
            return false;
        }
        let before = lost();
        let most = most.min(LONGEST);
        let deadline = Instant::now() + most;
        let drained = drain_until(deadline - most / 4);
        let Pipelines { traces, logs, metrics, sentry, .. } = self.pipelines.clone();
        // Metrics are sent last, so that they include the losses of the other signals. Each step has a share of the
        // time. Traces and logs share theirs.
        let traces = start(move || traces.is_none_or(|traces| flushed(|| traces.force_flush(), deadline)));
        let logs = start(move || logs.is_none_or(|logs| flushed(|| logs.force_flush(), deadline)));
        let half = deadline - until(deadline) / 2;
        let (traces, logs) = (traces.within(until(half)), logs.within(until(half)));
        let errors = sentry.is_none_or(|sentry| sentry.flush(Some(until(deadline).saturating_sub(most / 4))));
        let metrics = start(move || metrics.is_none_or(|metrics| metrics.force_flush().is_ok()));
        let is_sent = [traces, logs, metrics.within(until(deadline))] == [Some(true); 3] && errors;
        is_sent && drained && lost() == before
    }
}

/// Sends the waiting items of a signal. Returns whether all of them were sent before the deadline. A flush of
/// OpenTelemetry gives up after five seconds, so the flush is repeated until the deadline.
fn flushed(flush: impl Fn() -> OTelSdkResult, deadline: Instant) -> bool {
    loop {
        match flush() {
            Err(OTelSdkError::Timeout(_)) if !until(deadline).is_zero() => {}
            flushed => return flushed.is_ok(),
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let end = Instant::now() + FLUSH;
        let deadline = end - LINES;
        let Some(exporters) = self.exporters.take() else {
            return self.installation.stop();
        };
        if fork::is_child() {
            // The threads to wait for are in the parent process.
            return std::mem::forget(exporters);
        }
        let has_run =
            |process: &ProcessDefinition| live::stats(process.id()).is_ok_and(|stats| stats.started > 0);
        if self.started.elapsed() < AT_ONCE && !registry::all().any(has_run) {
            // A program that ends because of an error at its start also stops at once, but runs no process any more.
            Core::global().add_sink(NamedSink::new(Arc::new(StoppedTooEarly(Once::new()))));
        }
        diagnostics::stopping();
        self.installation.stop();
        *running() = None;
        let Pipelines { traces, logs, metrics, sentry, .. } = self.pipelines.clone();
        let (half, quarter) = (FLUSH / 2, FLUSH / 4);
        let middle = Instant::now() + half;
        let traces = start(move || traces.is_none_or(|traces| traces.shutdown_with_timeout(half).is_ok()));
        let logs = start(move || logs.is_none_or(|logs| logs.shutdown_with_timeout(half).is_ok()));
        let (traces, logs) = (traces.within(until(middle)), logs.within(until(middle)));
        let errors = sentry.is_none_or(|sentry| sentry.close(Some(until(deadline).saturating_sub(quarter))));
        let rest = until(deadline);
        let metrics =
            start(move || metrics.is_none_or(|metrics| metrics.shutdown_with_timeout(rest).is_ok()));
        if [traces, logs, metrics.within(rest)] != [Some(true); 3] || !errors {
            notices::once("some telemetry was not sent before the program ended");
        }
        drop(exporters);
        console::flush(end);
    }
}

/// A sink that reports a mistake: a process runs after the guard was dropped at once.
#[derive(Debug)]
struct StoppedTooEarly(Once);

impl Sink for StoppedTooEarly {
    fn started(&self, _: &RunView<'_>) {
        self.0.call_once(|| {
            notices::once(
                "telemetry stopped before any process ran: keep the value that `telemetry::init` returns until the \
                 end of `main`, as in `let _telemetry = telemetry::init();`",
            );
            notices::flush(Instant::now() + REPORT);
        });
    }
}

/// Returns how many spans, log records, events and transactions have been lost so far.
fn lost() -> u64 {
    let lost = [&LOST_SPANS, &LOST_RECORDS, &LOST_EVENTS, &LOST_TRANSACTIONS];
    lost.map(|lost| lost.load(Ordering::Relaxed)).into_iter().sum()
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// The result of a function that runs on a thread of its own.
struct Running<T>(mpsc::Receiver<T>);

impl<T> Running<T> {
    /// Returns the result. Returns `None` if the function panics or takes longer than `most`, or if its thread could
    /// not be started. If the function takes longer, it keeps running on its thread.
    fn within(self, most: Duration) -> Option<T> {
        self.0.recv_timeout(most).ok()
    }
}

/// Runs `f` on a thread of its own.
fn start<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("telemetry-flush".into());
    let _ = thread.spawn(move || drop(sender.send(f())));
    Running(receiver)
}
