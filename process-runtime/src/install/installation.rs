//! [`Install`], the call at start-up, and [`Installation`], which stops what `Install` started. `Install` starts the
//! watchdog, the instruments and the event processor, but their code does not belong here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::watchdog;
use crate::base::alarm::{self, fork};
use crate::base::cause;
#[cfg(feature = "tracing")]
use crate::base::destination::calls::Destination;
#[cfg(feature = "tracing")]
use crate::base::destination::unharmed;
#[cfg(feature = "metrics")]
use crate::base::foreign::guard::discard;
use crate::base::foreign::limits::{self, Limits};
use crate::base::lock::lock;
use crate::base::notices;
use crate::catalog::findings;
use crate::observe::Sink;
use crate::run::domain::Core;
use crate::run::domain::sink::NamedSink;
#[cfg(any(feature = "metrics", feature = "sentry"))]
use crate::run::ending_thread;

/// The maximum time for which [`Installation::stop`] waits.
const END: Duration = Duration::from_secs(1);

/// Sets up the toolkit. Call [`start`](Install::start) once at start-up, after setting up tracing, OpenTelemetry and
/// Sentry.
///
/// `Install` starts the watchdog, attaches the meter provider, and reports each problem of the set-up once. It also
/// adds the context of a run to the Sentry events that the body of the run sends.
///
/// Without `Install`, runs still have spans, Sentry events for failures, and
/// [`registry::stats`](crate::registry::stats). They have no metrics and no lines on standard error. A late run is
/// then reported only at its end, because the watchdog does not run.
///
/// The context is added to the events of Sentry's main hub, of the current hub of the thread that calls
/// [`start`](Install::start), and of hubs that are created from these two later. Events from a thread that used
/// Sentry before the call of `start`, or from a client that is bound after that call, have no context. To add the
/// context to these events too, add `process_runtime::sentry::Integration` to the client's options.
///
/// A second installation adds to the first. If the second has another meter provider, histograms are recorded in that
/// provider from then on, and counters and gauges are exported through both providers.
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
    sinks: Vec<NamedSink>,
    limits: Option<Limits>,
    /// Whether the application intentionally has no Sentry client. If so, the missing client is not reported.
    without_sentry: bool,
    /// Whether the application sends no metrics over OTLP, so that a variable for their temporality has no effect.
    #[cfg(feature = "metrics")]
    without_otlp_metrics: bool,
}

impl std::fmt::Debug for Install {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Install").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

/// Whether the application has called [`Install::meter_provider`]. If so, the global meter provider is ignored.
#[cfg(feature = "metrics")]
static HAS_OWN_PROVIDER: AtomicBool = AtomicBool::new(false);

/// Attaches the global meter provider if it has changed. Does nothing if the application has passed its own provider
/// to [`Install::meter_provider`].
#[cfg(feature = "metrics")]
pub(crate) fn follow_global_meter_provider() {
    if !HAS_OWN_PROVIDER.load(Ordering::Acquire) {
        crate::observe::metrics::attach_global();
    }
}

impl Install {
    /// Creates a set-up that uses the global meter provider of OpenTelemetry and the bound Sentry client.
    pub fn new() -> Install {
        Install::default()
    }

    /// Sends measurements to this provider instead of the global meter provider. If this method is not called, the
    /// global provider is used, even if it is set after the start.
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
        self.sinks.push(NamedSink::new(Arc::new(sink)));
        self
    }

    /// Changes the limits of the texts and queues of the whole program. They are in force from the call of
    /// [`start`](Install::start) on.
    pub fn limits(mut self, limits: Limits) -> Install {
        self.limits = Some(limits);
        self
    }

    /// Declares that no metrics are sent over OTLP.
    #[cfg(feature = "telemetry")]
    pub(crate) fn without_otlp_metrics(mut self) -> Install {
        self.without_otlp_metrics = true;
        self
    }

    /// Declares that a missing Sentry client is intended, so it is not reported.
    #[cfg(feature = "telemetry")]
    pub(crate) fn without_sentry(mut self) -> Install {
        self.without_sentry = true;
        self
    }

    /// Declares the processes that the program must contain ([`registry::expect`](crate::registry::expect)).
    /// [`Installation::report`] names each missing process.
    pub fn expect<I>(self, ids: I) -> Install
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        findings::expect(ids);
        self
    }

    /// Starts the installation. Each problem in [`Installation::report`] is also written to standard error. Keep
    /// the returned [`Installation`], and call [`Installation::stop`] at the end of `main`.
    ///
    /// With feature `metrics` or `sentry`, sets a panic hook that calls the hook that was set before. Initialise Sentry
    /// before this call: otherwise the first use of the toolkit in the `Drop` of a thread-local value can abort the
    /// program, because Sentry's panic hook panics there.
    ///
    /// In the child of a `fork` without `exec`, whose parent has started an installation, nothing is started, because
    /// the parent's locks and queues may be in any state. This is reported once.
    pub fn start(self) -> Installation {
        if fork::report() {
            return Installation { is_stopped: AtomicBool::new(true) };
        }
        alarm::watch_forks();
        #[cfg(any(feature = "metrics", feature = "sentry"))]
        ending_thread::quiet();
        self.limits.into_iter().for_each(limits::set);
        self.sinks.into_iter().for_each(|sink| Core::global().add_sink(sink));
        #[cfg(feature = "metrics")]
        match self.meter_provider {
            Some(provider) => {
                HAS_OWN_PROVIDER.store(true, Ordering::Release);
                crate::observe::metrics::attach(&*provider);
                discard(provider);
            }
            None => follow_global_meter_provider(),
        }
        #[cfg(feature = "metrics")]
        if !self.without_otlp_metrics {
            crate::observe::metrics::temporality::preferred().into_iter().for_each(notices::once);
        }
        #[cfg(feature = "sentry")]
        {
            crate::observe::sentry::add_to(&sentry_core::Hub::main());
            // A thread that is ending may have no hub any more.
            if let Some(hub) = ending_thread::sentry::alive(sentry_core::Hub::current) {
                crate::observe::sentry::add_to(&hub);
            }
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
/// Dropping this value does not stop the installation. The watchdog runs until [`Installation::stop`] or the end of
/// the program. Lines and samples that are still queued at the end of the program are lost.
#[derive(Debug)]
pub struct Installation {
    is_stopped: AtomicBool,
}

/// Locks and returns the number of installations that are not stopped.
fn started() -> MutexGuard<'static, usize> {
    static STARTED: Mutex<usize> = Mutex::new(0);
    lock(&STARTED)
}

impl Installation {
    /// Returns every problem that was reported so far, at start-up or later. The list also includes problems that
    /// have ended since. A problem that can recur has one line, with the number of its occurrences and whether it has
    /// ended. A meter provider that no reader collects from is reported after 150 s.
    pub fn report(&self) -> Vec<String> {
        notices::printed().into_iter().chain(cause::occurred()).collect()
    }

    /// Stops the watchdog, unless another installation is running. Also records the samples that are still queued, so
    /// call `stop` before you shut down the meter provider. Then waits until the queued lines are written to standard
    /// error. `stop` waits at most one second in all, because a sink or the reader of standard error may hang.
    pub fn stop(&self) {
        if fork::is_child() {
            return;
        }
        let end = Instant::now() + END;
        #[cfg(feature = "metrics")]
        crate::observe::metrics::drain_until(end);
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

/// Returns up to two reasons: why tracing receives nothing or too little, and why Sentry receives nothing. The second
/// is omitted if `without_sentry` is true.
fn unconnected_destinations(without_sentry: bool) -> impl Iterator<Item = String> {
    #[cfg(feature = "tracing")]
    let tracing = {
        let mut problem = None;
        unharmed(Destination::Subscriber, || problem = crate::observe::span::problem());
        problem
    };
    #[cfg(not(feature = "tracing"))]
    let tracing = None;
    #[cfg(feature = "sentry")]
    let sentry = crate::observe::sentry::problem();
    #[cfg(not(feature = "sentry"))]
    let sentry = None::<String>;
    [tracing, sentry.filter(|_| !without_sentry)].into_iter().flatten()
}
