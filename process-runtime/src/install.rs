//! One call for a service that has its own set-up of tracing, OpenTelemetry and Sentry: it starts the
//! watchdog, attaches the meter provider and the Sentry integration, and says once what is amiss. Runs work
//! without it; what they then miss is the watchdog, metrics, and context on events that they send
//! themselves.

use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::Core;
use crate::observe::Sink;
use crate::{registry, report, watchdog};

/// What to install. Starting it again adds to what is there.
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
}

impl std::fmt::Debug for Install {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Install").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

/// Whether the application gave a meter provider, so that the global one is no concern.
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
    /// The watchdog, and what the globals of OpenTelemetry and Sentry offer.
    pub fn new() -> Install {
        Install::default()
    }

    /// Sends measurements to this provider. Without it they go to the global one, also when that is set
    /// later.
    #[cfg(feature = "metrics")]
    pub fn meter_provider<P>(mut self, provider: &P) -> Install
    where
        P: opentelemetry::metrics::MeterProvider + Clone + 'static,
    {
        self.meter_provider = Some(Box::new(provider.clone()));
        self
    }

    /// Tells this sink of every run.
    pub fn sink(mut self, sink: impl Sink) -> Install {
        self.sinks.push(Arc::new(sink));
        self
    }

    /// States which processes the program must have been linked with ([`registry::expect`]).
    pub fn expect<I>(self, ids: I) -> Install
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        registry::expect(ids);
        self
    }

    /// Installs, and reports once on standard error what [`Installation::report`] returns.
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
        watchdog::start();
        registry::validate().iter().for_each(|finding| report::once(finding.to_string()));
        sinks_that_go_nowhere().for_each(report::once);
        Installation { _private: () }
    }
}

/// What was installed. Dropping it changes nothing: the watchdog runs until [`Installation::stop`].
#[derive(Debug)]
pub struct Installation {
    _private: (),
}

impl Installation {
    /// Everything that was found amiss so far, by this installation or while processes ran.
    pub fn report(&self) -> Vec<String> {
        report::said()
    }

    /// Stops the watchdog and waits for its thread; what it had to say is written first. Samples that wait
    /// are recorded, so call it before the meter provider is shut down.
    pub fn stop(&self) {
        #[cfg(feature = "metrics")]
        crate::observe::metrics::drain();
        watchdog::stop();
    }
}

/// What the run of a process would be told to, and is not.
fn sinks_that_go_nowhere() -> impl Iterator<Item = String> {
    #[cfg(feature = "tracing")]
    let tracing = crate::observe::span::problem();
    #[cfg(not(feature = "tracing"))]
    let tracing = None;
    #[cfg(feature = "sentry")]
    let sentry = crate::observe::sentry::problem();
    #[cfg(not(feature = "sentry"))]
    let sentry = None;
    [tracing, sentry].into_iter().flatten()
}
