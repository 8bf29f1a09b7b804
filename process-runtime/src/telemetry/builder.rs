//! Sets up telemetry. It reads the environment, builds the providers, and makes the providers and the subscriber
//! global. Parsing variables and building exporters do not belong here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::dispatcher::{Dispatch, set_global_default, with_default};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

#[cfg(feature = "prometheus")]
use super::environment::Scraped;
use super::environment::{Destination, Environment, Spans};
use super::guard::{self, Pipelines, Telemetry};
use super::logs::{self, Recorder, Refusal};
#[cfg(feature = "prometheus")]
use super::prometheus::Prometheus;
use super::{bridge, console, exporters, queue};
use crate::base::alarm::fork;
use crate::base::notices;
use crate::install::installation::Install;
use crate::observe::tracer::{DescribedTracer, announce};

/// The default for the longest time that a span waits before it is sent, as in OpenTelemetry's specification.
const DELAY: Duration = Duration::from_secs(5);
/// The default for the longest time that a log record waits before it is sent, as in OpenTelemetry's specification.
const LOG_DELAY: Duration = Duration::from_secs(1);
/// The default for the longest time that a span or a log record waits before it is written to a file. It is short
/// because developers read the files right after a failure.
const FILE_DELAY: Duration = Duration::from_millis(500);

/// Sets up telemetry from the environment variables and from additional settings.
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
    /// Returns a builder with the default settings, which [`init`](super::init) also uses.
    pub fn new() -> TelemetryBuilder {
        TelemetryBuilder::default()
    }

    /// Sets the service's name and version. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` take precedence. The
    /// default name is the name of the executable; the version has no default.
    pub fn service(mut self, name: impl Into<String>, version: impl Into<String>) -> TelemetryBuilder {
        self.service = Some((name.into(), version.into()));
        self
    }

    /// Sets the directory of the OTLP-JSON files. The default is `telemetry` in the working directory.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> TelemetryBuilder {
        self.directory = path.into();
        self
    }

    /// Sets the [`Install`] that [`init`](TelemetryBuilder::init) starts, for example an `Install` with sinks and
    /// expected processes.
    pub fn install(mut self, install: Install) -> TelemetryBuilder {
        self.install = install;
        self
    }

    /// Makes the metrics available through [`Telemetry::prometheus`], so that the service can serve them on a route of
    /// its own. The metrics are still sent to every other configured destination.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(mut self) -> TelemetryBuilder {
        self.is_scraped = true;
        self
    }

    /// Sets up telemetry. If the application has already set a `tracing` subscriber or a Sentry client, this is
    /// reported, and the existing one stays in use. With an existing subscriber, `init` exports no traces and no logs.
    ///
    /// While the value of an earlier call exists, a further call only starts its [`Install`] and reports this. The
    /// value that it returns flushes the telemetry of the earlier call.
    pub fn init(self) -> Telemetry {
        if fork::report() {
            return Telemetry::further(self.install.start(), Pipelines::default());
        }
        let mut running = guard::running();
        if let Some(pipelines) = &*running {
            notices::once(
                "`telemetry::init` was called before, and its value still exists: that call keeps sending traces, logs, \
                 metrics and errors; this call only adds the sinks, limits and expected processes of its `Install`",
            );
            let install = self.install.without_sentry().without_otlp_metrics();
            return Telemetry::further(install.start(), pipelines.clone());
        }
        let environment = Environment::read();
        environment.problems.iter().for_each(notices::once);
        let resource = resource(self.service.as_ref(), &environment.attributes);
        let sentry = environment.sentry.as_ref().filter(|_| is_without_sentry());
        let mut destinations = Vec::new();
        let exporters = exporters::Exporters::new(&self.directory);

        let delay = if environment.traces == Destination::Files { FILE_DELAY } else { DELAY };
        let delay = environment.spans.delay.unwrap_or(delay);
        let mut traced = |exporter: exporters::Placed<exporters::Traces>| {
            let batches = queue::batches(exporter.exporter, &environment.spans, delay);
            destinations.push(format!("traces: {}", exporter.place));
            let Spans { longest, limits, sampler, .. } = &environment.spans;
            let attributes = limits.max_attributes_per_span as usize;
            SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_sampler(sampler.clone())
                .with_span_limits(*limits)
                .with_span_processor(bridge::SpanEnricher::new(batches, *longest, attributes))
                .build()
        };
        let traces = exporters.traces(environment.traces, &environment.traces_over);
        let traces = traces.map(|exporter| quietly(|| traced(exporter)));
        let delay = if environment.logs == Destination::Files { FILE_DELAY } else { LOG_DELAY };
        let delay = environment.records.delay.unwrap_or(delay);
        let refusal = Arc::new(Refusal::new(traces.is_some()));
        let (logs, recorder) = exporters
            .logs(environment.logs, &environment.logs_over, &refusal)
            .map(|exporter| {
                destinations.push(format!("logs: {}", exporter.place));
                quietly(|| {
                    logs::start(exporter.exporter, refusal, &environment.records, delay, resource.clone())
                })
            })
            .unzip();
        let is_ours = subscribe(traces.as_ref(), recorder, environment.log.clone(), environment.has_colours);
        let (traces, logs) = (traces.filter(|_| is_ours), logs.filter(|_| is_ours));
        if !is_ours {
            destinations.clear();
        }
        if environment.propagates && is_ours {
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        }

        let mut begins = None;
        let (to, over) = (environment.metrics, &environment.metrics_over);
        let metrics = exporters.metrics(to, over, environment.temporality).map(|placed| {
            destinations.push(format!("metrics: {}", placed.place));
            let (exporter, first) = exporters::Metrics::new(placed.exporter);
            begins = Some(first);
            quietly(|| {
                let reader = PeriodicReader::builder(exporter).with_interval(environment.interval);
                SdkMeterProvider::builder().with_reader(reader.build())
            })
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
        // Without a limit of its own, an instrument would add up all series above the default limit.
        let with_all_series = |metrics: MeterProviderBuilder| metrics.with_view(exporters::with_all_series);
        let metrics = metrics
            .map(|metrics| quietly(|| with_all_series(metrics).with_resource(resource.clone()).build()));
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
        if environment.metrics != Destination::Otlp {
            install = install.without_otlp_metrics();
        }
        let installation = install.start();
        if let (Some(metrics), Some(begins)) = (&metrics, begins) {
            exporters::export_once(metrics, &begins);
        }
        let pipelines = Pipelines {
            traces,
            logs,
            metrics,
            sentry,
            #[cfg(feature = "prometheus")]
            prometheus,
        };
        *running = Some(pipelines.clone());
        Telemetry::first(installation, pipelines, exporters, destinations)
    }
}

/// Returns `true` if the application has not set a Sentry client. Otherwise reports the existing client and returns
/// `false`.
fn is_without_sentry() -> bool {
    let has_client = [sentry::Hub::main(), sentry::Hub::current()]
        .iter()
        .any(|hub| hub.client().is_some_and(|client| client.is_enabled()));
    if has_client {
        notices::once(
            "a Sentry client is already set: `telemetry::init` keeps it, and errors are sent through that client",
        );
    }
    !has_client
}

/// Builds a part of OpenTelemetry's SDK. The SDK reads variables itself, and logs what it ignores. `environment` has
/// read and reported them.
fn quietly<R>(build: impl FnOnce() -> R) -> R {
    with_default(&Dispatch::none(), build)
}

/// Whether a call of `init` has set the subscriber of the program.
static IS_SUBSCRIBED: AtomicBool = AtomicBool::new(false);

/// Sets the global subscriber and the global tracer provider. If another subscriber is already set, sets neither and
/// returns `false`.
fn subscribe(
    traces: Option<&SdkTracerProvider>,
    logs: Option<Recorder>,
    filter: Targets,
    has_colours: bool,
) -> bool {
    let tracer = traces.map(|traces| DescribedTracer::unannounced(traces.tracer("process-runtime")));
    let bridge = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(bridge::BridgeTracer(tracer))
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
    });
    let subscriber = tracing_subscriber::registry()
        .with(bridge::Bridge::new(bridge, logs))
        .with(console::log(filter, has_colours));
    if set_global_default(subscriber.into()).is_err() {
        notices::once(match IS_SUBSCRIBED.load(Ordering::Relaxed) {
            false => {
                "a tracing subscriber is already set: `telemetry::init` keeps it and exports no traces of its own"
            }
            true => {
                "a tracing subscriber is already set by an earlier call of `telemetry::init`, whose telemetry has \
                 stopped: a program can set it once, so this call exports no traces and no logs; call `init` once, and \
                 keep its value until the end of `main`"
            }
        });
        return false;
    }
    IS_SUBSCRIBED.store(true, Ordering::Relaxed);
    if console::log_records::start().is_err() {
        notices::once(
            "a logger of the `log` crate is already set; `telemetry::init` keeps it, so records of `log` go only to that \
             logger",
        );
    }
    if let Some(traces) = traces {
        announce();
        opentelemetry::global::set_tracer_provider(traces.clone());
    }
    true
}

/// Returns the resource attributes of this program. Those of the variables take precedence over those of the builder.
fn resource(service: Option<&(String, String)>, configured: &[(String, String)]) -> Resource {
    let mut builder = Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector));
    if let Some((name, version)) = service {
        builder = builder
            .with_service_name(name.clone())
            .with_attribute(KeyValue::new("service.version", version.clone()));
    } else {
        let program = std::env::current_exe().ok();
        let name =
            program.as_deref().and_then(Path::file_stem).map(|name| name.to_string_lossy().into_owned());
        builder = builder.with_service_name(name.unwrap_or_else(|| "unknown_service".to_owned()));
    }
    let configured = configured.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    builder.with_attributes(configured).build()
}
