//! Telemetry in one call (feature `telemetry`), for a service that has no set-up of its own: [`init`] reads the
//! standard variables, wires `tracing`, OpenTelemetry and Sentry, and [installs](Install). A service that
//! has its own set-up keeps it and calls [`Install`] instead.
//!
//! # Where it goes
//!
//! | set | traces and metrics go |
//! |---|---|
//! | nothing | to OTLP-JSON files (at most 256 of 128 MiB in all; those written to longest ago go first), and one line for each run to standard error |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | there |
//! | that of a signal (`…_TRACES_ENDPOINT`, `…_METRICS_ENDPOINT`) | there, and the other signal nowhere unless something says where |
//! | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` | `otlp`: to the endpoint, by default the collector on this machine; `console`: to the files; `none`: nowhere; `prometheus` (metrics alone; feature `prometheus`): [fetched from here](#prometheus), also beside another (`otlp,prometheus`). With `otlp` or `prometheus` the other signal goes nowhere unless something says where |
//! | `OTEL_SDK_DISABLED=true` | nowhere |
//!
//! `OTEL_EXPORTER_OTLP_PROTOCOL` is `http/protobuf` (the default), `http/json` or `grpc`, whose endpoint may be a host
//! and port alone: TLS is then up to `OTEL_EXPORTER_OTLP_INSECURE`. Over TLS a peer must be vouched for by who stands in
//! the PEM file `OTEL_EXPORTER_OTLP_CERTIFICATE`, or else in `SSL_CERT_FILE`, or else by one of the authorities that
//! browsers believe, as they were when this was built; `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `…_CLIENT_KEY` are
//! shown to it. Each of these may be that of a signal (`OTEL_EXPORTER_OTLP_TRACES_…`). Headers, timeouts and
//! compression, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, the sampler, the limits of spans, the batches and the
//! interval of metrics are those of the
//! [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/),
//! but that spans wait half a second for a file, and not five, where `OTEL_BSP_SCHEDULE_DELAY` does not say.
//!
//! `SENTRY_DSN` turns Sentry on; `SENTRY_ENVIRONMENT`, `SENTRY_RELEASE` and `SENTRY_TRACES_SAMPLE_RATE` (0 to 1,
//! default 0) are read with it, `SSL_CERT_FILE` too, and without `SENTRY_RELEASE` the release is the service's `name@version`. `RUST_LOG` filters the log on standard output by targets and levels
//! (`info,my_crate=debug`), and nothing else: spans of runs are always opened.
//!
//! Spans of level INFO and above are exported, and of events warnings and errors: what libraries say of their inside
//! below that (queries, headers) stays in the log. Every span that begins inside a run carries the run's business
//! context, those of libraries too, made with `tracing` or with OpenTelemetry's own API.
//!
//! # Prometheus
//!
//! With feature `prometheus` and `OTEL_METRICS_EXPORTER=prometheus` the measurements are served at
//! `http://localhost:9464/metrics`; `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` say where else.
//! `TelemetryBuilder::prometheus` offers them to a route of the service's own. Prometheus sees
//!
//! | instrument | as | labels |
//! |---|---|---|
//! | `critical_process.duration` | histogram `critical_process_duration_seconds` | `critical_process_id`, `critical_process_outcome` |
//! | `critical_process.sla.utilization` | histogram `critical_process_sla_utilization_ratio`; `le="1"` is what was on time | the same |
//! | `critical_process.stage.duration` | histogram `critical_process_stage_duration_seconds` | the same, `critical_process_stage` |
//! | `critical_process.started` | counter `critical_process_started_total` | `critical_process_id` |
//! | `critical_process.runs` | counter `critical_process_runs_total` | `critical_process_id`, `critical_process_outcome`, `critical_process_late`, `error_type` |
//! | `critical_process.active` | gauge `critical_process_active` | `critical_process_id` |
//! | `critical_process.overdue` | gauge `critical_process_overdue` | `critical_process_id` |
//! | `critical_process.telemetry.dropped` | counter `critical_process_telemetry_dropped_total` | `reason` |
//!
//! Every series has the label `otel_scope_name="critical_process"` too, so rules say `sum by (…)`. The service's name
//! and version stand in `target_info`. Prometheus 3 writes the boundary as `le="1.0"`; `le=~"1(\\.0)?"` matches both.
//!
//! # When something is wrong
//!
//! A variable that cannot be read, a collector that cannot be reached, a disk that is full: one line on standard error
//! each, which [`Installation::report`](crate::Installation::report) also returns; the application runs on, and what
//! is lost is counted. Log and lines are written by threads of their own: where nobody reads them, at most 1 MiB of each
//! waits.

mod bridge;
mod console;
mod diagnostics;
mod environment;
mod exporters;
mod files;
mod http_client;
#[cfg(feature = "prometheus")]
mod prometheus;
mod queue;
mod sentry_transport;
pub mod timeline;

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::dispatcher::{Dispatch, set_global_default};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[cfg(feature = "prometheus")]
use self::environment::Scraped;
use self::environment::{Destination, Environment};
#[cfg(feature = "prometheus")]
pub use self::prometheus::{CollectError, Prometheus};
use crate::base::notices;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::install::installation::{Install, Installation};
use crate::install::live;
use crate::observe::tracer::{DescribedTracer, announce};

/// How long the end of [`Telemetry`] waits for what is still to be sent.
const FLUSH: Duration = Duration::from_secs(5);
/// How much of that is for the last lines.
const LINES: Duration = Duration::from_millis(500);
/// The longest that a flush waits, whatever it is told.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Telemetry that ends this soon, before any process ran, was hardly meant to.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long spans may wait to be sent, as the specification has it.
const DELAY: Duration = Duration::from_secs(5);
/// How long spans may wait for a file. Whoever looks for a trace there has just seen it fail.
const FILE_DELAY: Duration = Duration::from_millis(500);

/// Telemetry as the environment says; see the [module](self). Keep what it returns until the end of `main`: its
/// drop sends what waits, for at most five seconds. A signal ends a program without any drop: wait for SIGTERM, as
/// orchestrators send it, and return from `main`.
///
/// ```no_run
/// let _telemetry = process_runtime::telemetry::init();
/// ```
///
/// It cannot know the service's version: give [`TelemetryBuilder::service`] `env!("CARGO_PKG_VERSION")`.
pub fn init() -> Telemetry {
    TelemetryBuilder::new().init()
}

/// [`init`] with what the environment does not know.
#[derive(Debug)]
#[must_use = "nothing is set up before `init`"]
pub struct TelemetryBuilder {
    service: Option<(String, String)>,
    directory: PathBuf,
    install: Install,
    /// Whether a route of the service wants the measurements.
    #[cfg(feature = "prometheus")]
    is_scraped: bool,
}

impl Default for TelemetryBuilder {
    fn default() -> TelemetryBuilder {
        TelemetryBuilder {
            service: None,
            directory: PathBuf::from("telemetry"),
            install: Install::new(),
            #[cfg(feature = "prometheus")]
            is_scraped: false,
        }
    }
}

impl TelemetryBuilder {
    /// What [`init`] does.
    pub fn new() -> TelemetryBuilder {
        TelemetryBuilder::default()
    }

    /// The service's name and version, where `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` do not say. Without
    /// either the name is that of the executable.
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> TelemetryBuilder {
        self.service = Some((name.into(), version.into()));
        self
    }

    /// Where the OTLP-JSON files go while no exporter is configured; `telemetry` in the working directory by default.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> TelemetryBuilder {
        self.directory = path.into();
        self
    }

    /// What is installed: sinks, expected processes.
    pub fn install(mut self, install: Install) -> TelemetryBuilder {
        self.install = install;
        self
    }

    /// Keeps measurements for a Prometheus that scrapes a route of the service ([`Telemetry::prometheus`]), beside
    /// wherever else they go.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(mut self) -> TelemetryBuilder {
        self.is_scraped = true;
        self
    }

    /// Sets up. Where the application has a tracing subscriber or a Sentry client already, its own stays, which is
    /// reported.
    pub fn init(self) -> Telemetry {
        let environment = Environment::read();
        environment.problems.iter().for_each(notices::once);
        let resource = resource(self.service.as_ref());
        let sentry = environment.sentry.as_ref().filter(|_| is_without_sentry());
        let mut destinations = Vec::new();
        let exporters = exporters::Exporters::new(&self.directory);

        let delay = if environment.traces == Destination::Files { FILE_DELAY } else { DELAY };
        let delay = environment.spans.delay.unwrap_or(delay);
        let traces = exporters.traces(environment.traces, &environment.traces_over).map(|exporter| {
            let batches = queue::batches(exporter.exporter, &environment.spans, delay);
            destinations.push(format!("traces: {}", exporter.place));
            SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_sampler(environment.spans.sampler.clone())
                .with_span_limits(environment.spans.limits)
                .with_span_processor(bridge::SpanEnricher::new(batches, environment.spans.longest))
                .build()
        });
        let is_ours = subscribe(traces.as_ref());
        let traces = traces.filter(|_| is_ours);
        if !is_ours {
            destinations.clear();
        }
        if environment.propagates && is_ours {
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        }

        let metrics = exporters.metrics(environment.metrics, &environment.metrics_over).map(|exporter| {
            destinations.push(format!("metrics: {}", exporter.place));
            let reader = PeriodicReader::builder(exporter.exporter).with_interval(environment.interval);
            SdkMeterProvider::builder().with_reader(reader.build())
        });
        #[cfg(feature = "prometheus")]
        let (prometheus, metrics) = match Prometheus::wanted(self.is_scraped, &environment.scraped) {
            Some((prometheus, reader)) => {
                if let Scraped::At { host, port } = &environment.scraped {
                    destinations.extend(prometheus.serve(host, *port, exporters.runtime()));
                }
                (Some(prometheus), Some(metrics.unwrap_or_default().with_reader(reader)))
            }
            None => (None, metrics),
        };
        let metrics = metrics.map(|metrics| metrics.with_resource(resource.clone()).build());
        let sentry = sentry.map(|sentry| {
            destinations.push(format!("errors: Sentry at {}", sentry.host));
            exporters::sentry(sentry, &resource)
        });

        let mut install = self.install;
        if let Some(metrics) = &metrics {
            opentelemetry::global::set_meter_provider(metrics.clone());
            install = install.meter_provider(metrics);
        }
        if environment.traces == Destination::Files && is_ours {
            install = install.sink(console::RunLines);
        }
        if environment.sentry.is_none() {
            install = install.without_sentry();
        }
        let installation = install.start();
        Telemetry {
            began: Instant::now(),
            installation,
            traces,
            metrics,
            sentry,
            exporters: Some(exporters),
            destinations,
            #[cfg(feature = "prometheus")]
            prometheus,
        }
    }
}

/// Whether this program has no Sentry client of its own.
fn is_without_sentry() -> bool {
    let has_client = [sentry::Hub::main(), sentry::Hub::current()].iter().any(|hub| hub.client().is_some());
    if has_client {
        notices::once(
            "a Sentry client is set already: `telemetry::init` leaves it, and errors go where it says",
        );
    }
    !has_client
}

/// Makes the subscriber the program's, and the provider behind it. Whether there was none.
fn subscribe(traces: Option<&SdkTracerProvider>) -> bool {
    let tracer = traces.map(|traces| DescribedTracer::unannounced(traces.tracer("process-runtime")));
    let bridge = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(bridge::BridgeTracer(tracer))
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
    });
    let subscriber =
        tracing_subscriber::registry().with(bridge.map(bridge::Bridge::new)).with(console::log());
    if let Err(error) = subscriber.try_init() {
        // It has two causes and does not say which. By now this would fail for the one of them.
        let taken = set_global_default(Dispatch::none()).map_err(|taken| taken.to_string());
        if taken == Err(error.to_string()) {
            notices::once(
                "a tracing subscriber is set already: `telemetry::init` leaves it, and traces go where it says",
            );
            return false;
        }
        // Where the application has the feature `tracing-log`, the subscriber takes what is logged through `log` too.
        notices::once("a logger of `log` is set already: what is logged through `log` goes where it says");
    }
    if let Some(traces) = traces {
        announce();
        opentelemetry::global::set_tracer_provider(traces.clone());
    }
    true
}

fn resource(service: Option<&(String, String)>) -> Resource {
    // The variables win over what the code says.
    let said = Resource::builder().build();
    let mut builder = Resource::builder_empty();
    if let Some((name, version)) = service {
        builder = builder
            .with_service_name(name.clone())
            .with_attribute(opentelemetry::KeyValue::new("service.version", version.clone()));
    } else if let Some(name) = std::env::current_exe().ok().as_deref().and_then(std::path::Path::file_stem) {
        builder = builder.with_service_name(name.to_string_lossy().into_owned());
    }
    let is_unknown = |value: &opentelemetry::Value| value.as_str().starts_with("unknown_service");
    let said = said.iter().filter(|(key, value)| key.as_str() != "service.name" || !is_unknown(value));
    builder
        .with_attributes(said.map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone())))
        .build()
}

/// What [`init`] set up. Its drop sends what waits, for at most five seconds, and stops the watchdog. Name it: `let _ =`
/// drops it at once, and `std::process::exit` never does.
#[must_use = "telemetry ends when this is dropped: keep it until the end of `main`"]
pub struct Telemetry {
    began: Instant,
    installation: Installation,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    sentry: Option<sentry::ClientInitGuard>,
    exporters: Option<exporters::Exporters>,
    destinations: Vec<String>,
    #[cfg(feature = "prometheus")]
    prometheus: Option<Prometheus>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("destinations", &self.destinations).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Where traces, metrics and errors go: a line each.
    pub fn destinations(&self) -> &[String] {
        &self.destinations
    }

    /// What a Prometheus scrapes, where [`TelemetryBuilder::prometheus`] or `OTEL_METRICS_EXPORTER` asks for it.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> Option<&Prometheus> {
        self.prometheus.as_ref()
    }

    /// What is installed.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Sends what waits, for at most this long. Whether all of it was sent, and nothing was lost meanwhile.
    pub fn flush(&self, most: Duration) -> bool {
        let before = crate::observe::metrics::lost();
        crate::observe::metrics::drain();
        let most = most.min(LONGEST);
        let deadline = Instant::now() + most;
        let (traces, metrics) = (self.traces.clone(), self.metrics.clone());
        // Measurements last, so that they know what was lost, but with a part of the time for each.
        let traces =
            within(until(deadline) / 2, move || traces.is_none_or(|traces| flushed(&traces, deadline)));
        let errors = self
            .sentry
            .as_ref()
            .is_none_or(|sentry| sentry.flush(Some(until(deadline).saturating_sub(most / 4))));
        let metrics =
            within(until(deadline), move || metrics.is_none_or(|metrics| metrics.force_flush().is_ok()));
        let is_sent = traces == Some(true) && metrics == Some(true) && errors;
        is_sent && crate::observe::metrics::lost() == before
    }
}

/// Whether all spans were sent. OpenTelemetry waits for five seconds at a time.
fn flushed(traces: &SdkTracerProvider, deadline: Instant) -> bool {
    loop {
        match traces.force_flush() {
            Err(OTelSdkError::Timeout(_)) if !until(deadline).is_zero() => {}
            flushed => return flushed.is_ok(),
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let end = Instant::now() + FLUSH;
        let deadline = end - LINES;
        let has_run =
            |process: &ProcessDefinition| live::stats(process.id()).is_ok_and(|stats| stats.started > 0);
        if self.began.elapsed() < AT_ONCE && !registry::all().any(has_run) {
            notices::once(
                "telemetry ended before any process ran: keep what `telemetry::init` returns until the end of \
                 `main`, as in `let _telemetry = telemetry::init();`",
            );
        }
        self.installation.stop();
        let (traces, metrics) = (self.traces.take(), self.metrics.take());
        let (half, quarter) = (FLUSH / 2, FLUSH / 4);
        let traces =
            within(half, move || traces.is_none_or(|traces| traces.shutdown_with_timeout(half).is_ok()));
        let errors = self
            .sentry
            .take()
            .is_none_or(|sentry| sentry.close(Some(until(deadline).saturating_sub(quarter))));
        let rest = until(deadline);
        let metrics =
            within(rest, move || metrics.is_none_or(|metrics| metrics.shutdown_with_timeout(rest).is_ok()));
        if traces != Some(true) || metrics != Some(true) || !errors {
            notices::once("not all telemetry could be sent before the program ended");
        }
        drop(self.exporters.take());
        console::flush(end);
    }
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// What `f` gave, unless that took longer: it then goes on alone.
fn within<T: Send + 'static>(most: Duration, f: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("telemetry-flush".into());
    thread.spawn(move || drop(sender.send(f()))).ok()?;
    receiver.recv_timeout(most).ok()
}
