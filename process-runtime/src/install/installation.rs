//! The call at start-up. The watchdog, the instruments and the event processor, which it starts, must not go in here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::watchdog;
use crate::base::lock::lock;
use crate::base::notices;
use crate::catalog::findings;
use crate::observe::Sink;
use crate::run::domain::Core;

/// The maximum time for which [`Installation::stop`] waits.
const END: Duration = Duration::from_secs(1);

/// The set-up of the toolkit: call it once at start-up, after setting up tracing, OpenTelemetry and Sentry.
///
/// It starts the watchdog, attaches the meter provider, adds the run's context to Sentry events that the body of a run
/// sends, and reports each problem of the set-up once.
///
/// Without it, runs still have spans, Sentry events for failures, and [`registry::stats`](crate::registry::stats). They
/// have no metrics and no lines on standard error, and without the watchdog a late run is reported only at its end.
///
/// The context is added to events of Sentry's main hub, the hub of this thread, and hubs created from these later.
/// Events of a thread that used Sentry before, or of a client that is bound later, have no context. To add the context
/// there too, add `process_runtime::sentry::Integration` to the client's options.
///
/// A second installation adds to the first. If it has another meter provider, histograms move to that provider, and
/// counters and gauges are exported through both.
///
/// # Examples
///
/// ```
/// let installation = process_runtime::Install::new().expect(["ship_order"]).start();
/// // This example does not contain the process, so the report names it.
/// assert!(installation.report().iter().any(|line| line.contains("ship_order")));
/// installation.stop();
/// ```
#[derive(Default)]
#[must_use = "nothing is installed before `start`"]
pub struct Install {
    #[cfg(feature = "metrics")]
    meter_provider: Option<Box<dyn opentelemetry::metrics::MeterProvider>>,
    sinks: Vec<Arc<dyn Sink>>,
    /// Whether a missing Sentry client is intended and not reported.
    without_sentry: bool,
}

impl std::fmt::Debug for Install {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Install").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

/// Whether the application has passed a meter provider, so that the global one is ignored.
#[cfg(feature = "metrics")]
static HAS_OWN_PROVIDER: AtomicBool = AtomicBool::new(false);

/// Attaches the global meter provider if it has changed, unless the application has passed its own.
#[cfg(feature = "metrics")]
pub(crate) fn follow_global_meter_provider() {
    if !HAS_OWN_PROVIDER.load(Ordering::Acquire) {
        crate::observe::metrics::attach_global();
    }
}

impl Install {
    /// Creates an installation with the watchdog and the global providers of OpenTelemetry and Sentry.
    pub fn new() -> Install {
        Install::default()
    }

    /// Sends measurements to this provider instead of the global one. The global one may be set after the start, too.
    #[cfg(feature = "metrics")]
    pub fn meter_provider<P>(mut self, provider: &P) -> Install
    where
        P: opentelemetry::metrics::MeterProvider + Clone + 'static,
    {
        self.meter_provider = Some(Box::new(provider.clone()));
        self
    }

    /// Reports every run to this sink.
    pub fn sink(mut self, sink: impl Sink) -> Install {
        self.sinks.push(Arc::new(sink));
        self
    }

    /// Declares that the environment turns Sentry off, so a missing client is not reported.
    #[cfg(feature = "telemetry")]
    pub(crate) fn without_sentry(mut self) -> Install {
        self.without_sentry = true;
        self
    }

    /// Declares the processes that the program must contain ([`registry::expect`](crate::registry::expect)). The
    /// report names each missing process.
    pub fn expect<I>(self, ids: I) -> Install
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        findings::expect(ids);
        self
    }

    /// Starts the installation, and writes the lines of [`Installation::report`] to standard error once. Keep the
    /// returned [`Installation`], and call [`Installation::stop`] at the end of `main`.
    pub fn start(self) -> Installation {
        self.sinks.into_iter().for_each(|sink| Core::global().add_sink(sink));
        #[cfg(feature = "metrics")]
        match self.meter_provider {
            Some(provider) => {
                HAS_OWN_PROVIDER.store(true, Ordering::Release);
                crate::observe::metrics::attach(&*provider);
            }
            None => follow_global_meter_provider(),
        }
        #[cfg(feature = "sentry")]
        {
            crate::observe::sentry::add_to(&sentry_core::Hub::main());
            crate::observe::sentry::add_to(&sentry_core::Hub::current());
        }
        notices::start();
        watchdog::start();
        *started() += 1;
        findings::validate().iter().for_each(|finding| notices::once(finding.to_string()));
        unconnected_destinations(self.without_sentry).for_each(notices::once);
        Installation { is_stopped: AtomicBool::new(false) }
    }
}

/// A started installation.
///
/// Dropping it changes nothing: the watchdog runs until [`Installation::stop`] or the end of the program. Lines and
/// samples that are still queued at the end of the program are lost.
#[derive(Debug)]
pub struct Installation {
    is_stopped: AtomicBool,
}

/// Returns the number of installations that are not stopped.
fn started() -> MutexGuard<'static, usize> {
    static STARTED: Mutex<usize> = Mutex::new(0);
    lock(&STARTED)
}

impl Installation {
    /// Returns every problem reported so far, at start-up or while processes ran. It is a history, so it includes
    /// solved problems. A meter provider without a reader is reported after 150 s.
    pub fn report(&self) -> Vec<String> {
        notices::printed()
    }

    /// Stops the watchdog, unless another installation is running, and waits until the queued lines are written to
    /// standard error. It waits at most one second, because a sink or the reader of standard error may hang. It also
    /// records queued samples, so call it before you shut down the meter provider.
    pub fn stop(&self) {
        #[cfg(feature = "metrics")]
        crate::observe::metrics::drain();
        let end = Instant::now() + END;
        let mut started = started();
        if !self.is_stopped.swap(true, Ordering::AcqRel) {
            *started -= 1;
        }
        let is_last = *started == 0;
        drop(started);
        if is_last {
            watchdog::stop(end);
        }
        notices::flush(end);
    }
}

/// Returns the reasons why tracing or Sentry receives nothing.
fn unconnected_destinations(without_sentry: bool) -> impl Iterator<Item = String> {
    #[cfg(feature = "tracing")]
    let tracing = crate::observe::span::problem();
    #[cfg(not(feature = "tracing"))]
    let tracing = None;
    #[cfg(feature = "sentry")]
    let sentry = crate::observe::sentry::problem();
    #[cfg(not(feature = "sentry"))]
    let sentry = None::<String>;
    [tracing, sentry.filter(|_| !without_sentry)].into_iter().flatten()
}
