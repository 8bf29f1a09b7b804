//! The one call at start-up. What it starts is elsewhere: the watchdog, the instruments, the event processor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::watchdog;
use crate::base::lock::lock;
use crate::base::notices;
use crate::catalog::findings;
use crate::observe::Sink;
use crate::run::domain::Core;

/// The time that the end of an installation waits.
const END: Duration = Duration::from_secs(1);

/// The one call at start-up, after the application's set-up of tracing, OpenTelemetry and Sentry.
///
/// It starts the watchdog, attaches the meter provider, adds the run's context to events that the body of a run sends
/// to Sentry itself, and reports problems of the set-up once.
///
/// Runs work without it: spans, Sentry's events of failures and [`registry::stats`](crate::registry::stats). What is
/// missing then is the watchdog (a late run is reported only at its end), metrics, and lines on standard error.
///
/// It reaches Sentry's main hub, the hub of this thread, and hubs made from these afterwards. A thread that used Sentry
/// before keeps a hub whose own events have no context, and so does a client that is bound later: add
/// `process_runtime::sentry::Integration` to the client's options, which reaches all of them.
///
/// Starting another installation adds to the first. With another meter provider, histograms move to that one; both read
/// counters and gauges.
///
/// # Examples
///
/// ```
/// let installation = process_runtime::Install::new().expect(["ship_order"]).start();
/// // Nothing of that name was linked with this example, and the report says so.
/// assert!(installation.report().iter().any(|line| line.contains("ship_order")));
/// installation.stop();
/// ```
#[derive(Default)]
#[must_use = "nothing is installed before `start`"]
pub struct Install {
    #[cfg(feature = "metrics")]
    meter_provider: Option<Box<dyn opentelemetry::metrics::MeterProvider>>,
    sinks: Vec<Arc<dyn Sink>>,
    /// Whether the absence of a Sentry client is intended.
    without_sentry: bool,
}

impl std::fmt::Debug for Install {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Install").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

/// Whether the application gave a meter provider, so that the global one is ignored.
#[cfg(feature = "metrics")]
static HAS_OWN_PROVIDER: AtomicBool = AtomicBool::new(false);

/// Attaches the global meter provider if it changed.
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

    /// Sends measurements to this provider instead of the global one. The global one may also be set later.
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

    /// States that the environment switches Sentry off.
    #[cfg(feature = "telemetry")]
    pub(crate) fn without_sentry(mut self) -> Install {
        self.without_sentry = true;
        self
    }

    /// Declares the processes that the program must contain ([`registry::expect`](crate::registry::expect));
    /// one that is missing is in the report.
    pub fn expect<I>(self, ids: I) -> Install
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        findings::expect(ids);
        self
    }

    /// Installs, and reports once on standard error what [`Installation::report`] returns. Keep what it
    /// returns, and call [`Installation::stop`] at the end of `main`.
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
        sinks_that_go_nowhere(self.without_sentry).for_each(notices::once);
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

/// The number of installations that are not stopped.
fn started() -> MutexGuard<'static, usize> {
    static STARTED: Mutex<usize> = Mutex::new(0);
    lock(&STARTED)
}

impl Installation {
    /// Returns every problem that was reported so far, by this installation or while processes ran. It is a history: a
    /// problem that is solved stays in it. Measurements without a reader are reported after 150 s.
    pub fn report(&self) -> Vec<String> {
        notices::said()
    }

    /// Stops the watchdog, unless another installation is running, and waits until the queued lines are written to
    /// standard error. It waits at most one second, because a sink or the reader of standard error may hang. Samples
    /// that are queued are recorded, so call it before the meter provider is shut down.
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

/// Returns why destinations receive nothing.
fn sinks_that_go_nowhere(without_sentry: bool) -> impl Iterator<Item = String> {
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
