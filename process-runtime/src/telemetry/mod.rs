//! Sets up `tracing`, OpenTelemetry and Sentry in one call (feature `telemetry`).
//!
//! Use this module in a service that has no set-up of its own. A service that has one keeps it and calls [`Install`]
//! instead; the page [`adopting`](crate::adopting) shows how.
//!
//! Put this at the start of `main`:
//!
//! ```no_run
//! use process_runtime::telemetry::TelemetryBuilder;
//!
//! let _telemetry = TelemetryBuilder::new().service("shop", env!("CARGO_PKG_VERSION")).init();
//! ```
//!
//! The standard environment variables decide where telemetry is sent. Without any, traces and metrics are written to
//! files in the directory `telemetry`; [`timeline`] reads the traces. Standard output receives the log, and standard
//! error one line for each run.
//!
//! # Destinations
//!
//! Without any of these variables, both signals are written to OTLP-JSON files.
//!
//! * `OTEL_EXPORTER_OTLP_ENDPOINT` sends both signals to this collector.
//! * `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` send one signal to this URL. The
//!   other signal is not exported unless a variable configures it.
//! * `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` choose the exporter of a signal:
//!
//!   | exporter | where the signal is sent |
//!   |---|---|
//!   | `otlp` | to the endpoint; without an endpoint to a collector on this machine |
//!   | `console` | to the files |
//!   | `none` | it is not exported |
//!   | `prometheus` | metrics only, with feature `prometheus`: a server [scrapes them](#prometheus) |
//!
//!   `prometheus` can be combined with another exporter, as in `otlp,prometheus`.
//!
//! * `OTEL_SDK_DISABLED=true` turns both signals off.
//!
//! If one signal uses `otlp` or `prometheus`, the other is not exported unless a variable configures it.
//!
//! The directory contains at most 256 files of 128 MiB in all. The files that were written to longest ago are removed
//! first.
//!
//! # OTLP
//!
//! `OTEL_EXPORTER_OTLP_PROTOCOL` is `http/protobuf` (the default), `http/json` or `grpc`. A gRPC endpoint can be a host
//! and a port without a scheme; the connection then uses TLS unless `OTEL_EXPORTER_OTLP_INSECURE` is `true`.
//!
//! Over TLS, the collector's certificate must be signed by an authority in the PEM file that
//! `OTEL_EXPORTER_OTLP_CERTIFICATE` names. If that variable is not set, the authorities come from the file that
//! `SSL_CERT_FILE` names, or else from the list of Mozilla that was compiled into the program.
//! `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY` name the files with the client's
//! certificate and key.
//!
//! Each of these variables also exists for a single signal, as in `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`.
//!
//! Headers, timeouts, compression, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, the sampler, the span limits, the
//! batches and the interval of metrics follow the
//! [specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). One default
//! differs: spans wait half a second, and not five, before they are written to a file. `OTEL_BSP_SCHEDULE_DELAY`
//! changes this.
//!
//! # Sentry
//!
//! `SENTRY_DSN` enables Sentry. `SENTRY_ENVIRONMENT`, `SENTRY_RELEASE`, `SENTRY_TRACES_SAMPLE_RATE` (0 to 1, 0 by
//! default) and `SSL_CERT_FILE` configure it. The default release is the service's `name@version`.
//!
//! # The log
//!
//! `RUST_LOG` filters the log on standard output by targets and levels, as in `info,my_crate=debug`; the default is
//! `info`. It does not filter what is exported.
//!
//! # Spans and events
//!
//! Spans of level INFO and above are exported, and events of level WARN and above. Details that libraries log below
//! these levels, such as queries and headers, appear only in the log. Every span that starts inside a run carries the
//! business context of the run. This includes spans of libraries, whether they use `tracing` or OpenTelemetry's API.
//!
//! # Prometheus
//!
//! With feature `prometheus` and `OTEL_METRICS_EXPORTER=prometheus`, the metrics are served at
//! `http://localhost:9464/metrics`. `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` change the
//! address. Use `TelemetryBuilder::prometheus` to serve them on a route of the service instead. Prometheus sees these
//! metrics:
//!
//! | instrument | metric |
//! |---|---|
//! | `critical_process.duration` | histogram `critical_process_duration_seconds` |
//! | `critical_process.sla.utilization` | histogram `critical_process_sla_utilization_ratio` |
//! | `critical_process.stage.duration` | histogram `critical_process_stage_duration_seconds` |
//! | `critical_process.started` | counter `critical_process_started_total` |
//! | `critical_process.runs` | counter `critical_process_runs_total` |
//! | `critical_process.active` | gauge `critical_process_active` |
//! | `critical_process.overdue` | gauge `critical_process_overdue` |
//! | `critical_process.telemetry.dropped` | counter `critical_process_telemetry_dropped_total` |
//!
//! All of them have the label `critical_process_id`, except for `critical_process_telemetry_dropped_total`, which has
//! `reason`. The histograms and `critical_process_runs_total` also have `critical_process_outcome`. The histogram of
//! stages has `critical_process_stage`, and `critical_process_runs_total` has `critical_process_late` and `error_type`.
//! The bucket `le="1"` of the utilization counts the runs that met their SLA.
//!
//! Every series also has the label `otel_scope_name="critical_process"`, so aggregate with `sum by (…)`. The metric
//! `target_info` carries the service's name and version. Prometheus 3 writes the bucket as `le="1.0"`; `le=~"1(\\.0)?"`
//! matches both.
//!
//! # Problems
//!
//! An invalid variable, an unreachable collector and a full disk are each reported once, as a line on standard error
//! and in [`Installation::report`]. The application keeps running, and lost telemetry is counted. Threads of their own
//! write the log and these lines; if the streams are not read, at most 1 MiB of each is kept in memory.

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

/// How long the drop of [`Telemetry`] waits until the remaining telemetry is sent.
const FLUSH: Duration = Duration::from_secs(5);
/// The part of this time that is reserved for the last lines of the log.
const LINES: Duration = Duration::from_millis(500);
/// The upper limit for the timeout of a flush: larger values could overflow an [`Instant`].
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// If telemetry stops sooner than this and no process has run, the guard was probably dropped by mistake.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The longest time before spans are sent: the default of the specification.
const DELAY: Duration = Duration::from_secs(5);
/// The longest time before spans are written to a file. It is short because files are read during development, right
/// after a failure.
const FILE_DELAY: Duration = Duration::from_millis(500);

/// Sets up telemetry from the environment variables that the [module](self) lists.
///
/// Keep the returned [`Telemetry`] until the end of `main`: its drop sends the remaining telemetry and waits for at
/// most five seconds. A signal ends a program without running drops, so handle the SIGTERM that orchestrators send
/// and return from `main`.
///
/// ```no_run
/// let _telemetry = process_runtime::telemetry::init();
/// ```
///
/// The environment does not contain the service's version; pass `env!("CARGO_PKG_VERSION")` to
/// [`TelemetryBuilder::service`] to report it.
pub fn init() -> Telemetry {
    TelemetryBuilder::new().init()
}

/// Configures what the environment variables do not contain, and sets up telemetry.
///
/// ```no_run
/// use process_runtime::Install;
/// use process_runtime::telemetry::TelemetryBuilder;
///
/// let _telemetry = TelemetryBuilder::new()
///     .service("shop", env!("CARGO_PKG_VERSION"))
///     .install(Install::new().expect(["checkout"]))
///     .init();
/// ```
#[derive(Debug)]
#[must_use = "telemetry is not set up until `init` is called"]
pub struct TelemetryBuilder {
    service: Option<(String, String)>,
    directory: PathBuf,
    install: Install,
    /// Whether the service serves the metrics on a route of its own.
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
    /// Returns a builder that does the same as [`init`].
    pub fn new() -> TelemetryBuilder {
        TelemetryBuilder::default()
    }

    /// Sets the service's name and version. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence. The
    /// default name is the name of the executable, and there is no default version.
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> TelemetryBuilder {
        self.service = Some((name.into(), version.into()));
        self
    }

    /// Sets the directory of the OTLP-JSON files. The default is `telemetry` in the working directory.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> TelemetryBuilder {
        self.directory = path.into();
        self
    }

    /// Sets the [`Install`] to start, for example with sinks and expected processes.
    pub fn install(mut self, install: Install) -> TelemetryBuilder {
        self.install = install;
        self
    }

    /// Makes the metrics available through [`Telemetry::prometheus`], so that the service can serve them on a route of
    /// its own. They are still sent to every other configured destination.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(mut self) -> TelemetryBuilder {
        self.is_scraped = true;
        self
    }

    /// Sets up telemetry. An existing `tracing` subscriber or Sentry client of the application is kept and reported.
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
        let (prometheus, metrics) = match Prometheus::if_enabled(self.is_scraped, &environment.scraped) {
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

/// Returns whether the application has no Sentry client yet, and reports a client that it has.
fn is_without_sentry() -> bool {
    let has_client = [sentry::Hub::main(), sentry::Hub::current()].iter().any(|hub| hub.client().is_some());
    if has_client {
        notices::once(
            "a Sentry client is already set: `telemetry::init` keeps it, and errors are sent through that client",
        );
    }
    !has_client
}

/// Sets the global subscriber and tracer provider. Returns `false` if another subscriber is already set.
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
        // The error has two possible causes and does not name its own. A second attempt fails only for one of them:
        // an existing subscriber.
        let taken = set_global_default(Dispatch::none()).map_err(|taken| taken.to_string());
        if taken == Err(error.to_string()) {
            notices::once(
                "a tracing subscriber is already set: `telemetry::init` keeps it and exports no traces of its own",
            );
            return false;
        }
        // With the feature `tracing-log`, which the application may enable, the subscriber also becomes the logger.
        notices::once(
            "a logger of the `log` crate is already set: `telemetry::init` keeps it, and `log` records go only there",
        );
    }
    if let Some(traces) = traces {
        announce();
        opentelemetry::global::set_tracer_provider(traces.clone());
    }
    true
}

/// Returns the resource attributes of this program.
fn resource(service: Option<&(String, String)>) -> Resource {
    // The environment variables take precedence over the builder.
    let configured = Resource::builder().build();
    let mut builder = Resource::builder_empty();
    if let Some((name, version)) = service {
        builder = builder
            .with_service_name(name.clone())
            .with_attribute(opentelemetry::KeyValue::new("service.version", version.clone()));
    } else if let Some(name) = std::env::current_exe().ok().as_deref().and_then(std::path::Path::file_stem) {
        builder = builder.with_service_name(name.to_string_lossy().into_owned());
    }
    let is_unknown = |value: &opentelemetry::Value| value.as_str().starts_with("unknown_service");
    let configured =
        configured.iter().filter(|(key, value)| key.as_str() != "service.name" || !is_unknown(value));
    builder
        .with_attributes(
            configured.map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone())),
        )
        .build()
}

/// The running telemetry, which stops when this guard is dropped.
///
/// The drop sends the remaining telemetry, waits for at most five seconds and stops the watchdog. Bind the guard to a
/// name such as `_telemetry`: `let _ =` drops it immediately. `std::process::exit` ends the program without the drop.
#[must_use = "telemetry stops when this is dropped: keep it until the end of `main`"]
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
    /// Returns where traces, metrics and errors are sent, one line for each destination.
    pub fn destinations(&self) -> &[String] {
        &self.destinations
    }

    /// Returns the metrics for Prometheus if [`TelemetryBuilder::prometheus`] or `OTEL_METRICS_EXPORTER` enabled them.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(&self) -> Option<&Prometheus> {
        self.prometheus.as_ref()
    }

    /// Returns the running installation.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Sends the remaining telemetry and waits until it is sent, for at most this long. Returns whether everything was
    /// sent and nothing was lost in the meantime.
    pub fn flush(&self, most: Duration) -> bool {
        let before = crate::observe::metrics::lost();
        crate::observe::metrics::drain();
        let most = most.min(LONGEST);
        let deadline = Instant::now() + most;
        let (traces, metrics) = (self.traces.clone(), self.metrics.clone());
        // Metrics are sent last so that they include the losses of the others. Each step has a share of the time.
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

/// Returns whether all spans were sent before the deadline. A flush of OpenTelemetry gives up after five seconds, so it
/// is repeated.
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
                "telemetry stopped before any process ran: keep the value that `telemetry::init` returns until the \
                 end of `main`, as in `let _telemetry = telemetry::init();`",
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
            notices::once("some telemetry was not sent before the program ended");
        }
        drop(self.exporters.take());
        console::flush(end);
    }
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Returns the result of `f`, or `None` if it takes longer; `f` then keeps running on a thread of its own.
fn within<T: Send + 'static>(most: Duration, f: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("telemetry-flush".into());
    thread.spawn(move || drop(sender.send(f()))).ok()?;
    receiver.recv_timeout(most).ok()
}
