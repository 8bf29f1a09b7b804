//! Builds the exporter for each destination, and starts Sentry. Reading environment variables does not belong here.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use opentelemetry::Key;
use opentelemetry_otlp::{
    MetricExporter, Protocol as Encoding, SpanExporter as OtlpSpanExporter, WithExportConfig,
    WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use sentry::integrations::backtrace::ProcessStacktraceIntegration;
use sentry::integrations::contexts::ContextIntegration;
use sentry::integrations::panic::PanicIntegration;
use tokio::runtime::{Builder, Runtime};
use ureq::http::Uri;

use super::environment::{Destination, Otlp, Protocol, Sentry};
use super::files::{Directory, FileExporter};
use super::sentry_transport::SentryTransport;
use super::{diagnostics, http_client, sentry_transport};
use crate::base::notices;

/// Builds exporters, and owns the directory and the runtime that they share.
#[derive(Debug)]
pub(super) struct Exporters {
    directory: Arc<Directory>,
    /// The runtime for gRPC and for Prometheus. The application's runtime is not used, because it may be busy or
    /// already stopped when the last spans are sent.
    runtime: Option<Runtime>,
}

/// An exporter and a description of its destination.
#[derive(Debug)]
pub(super) struct Placed<E> {
    pub(super) exporter: E,
    pub(super) place: String,
}

impl Exporters {
    pub(super) fn new(directory: &Path) -> Exporters {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("telemetry").enable_all().build();
        let runtime = runtime
            .map_err(|error| notices::once(format!("cannot start the telemetry thread: {error}")))
            .ok();
        Exporters { directory: Arc::new(Directory::new(directory)), runtime }
    }

    /// Returns the runtime, or `None` if its thread could not be started.
    #[cfg(feature = "prometheus")]
    pub(super) fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    pub(super) fn traces(&self, destination: Destination, over: &Otlp) -> Option<Placed<Traces>> {
        self.placed(destination, over, "traces", Traces::Files, || {
            let exporter = match over.protocol {
                Protocol::Grpc => at(OtlpSpanExporter::builder().with_tonic(), over)
                    .with_tls_config(over.tls.grpc_config())
                    .build(),
                protocol => {
                    let builder = at(OtlpSpanExporter::builder().with_http(), over);
                    builder
                        .with_http_client(http_client::Client::new(over.timeout, &over.tls))
                        .with_protocol(encoding(protocol))
                        .build()
                }
            };
            exporter.map(|exporter| Traces::Otlp(Box::new(exporter), Endpoint::new(over)))
        })
    }

    pub(super) fn metrics(&self, destination: Destination, over: &Otlp) -> Option<Placed<ToMetrics>> {
        self.placed(destination, over, "metrics", ToMetrics::Files, || {
            let exporter = match over.protocol {
                Protocol::Grpc => at(MetricExporter::builder().with_tonic(), over)
                    .with_tls_config(over.tls.grpc_config())
                    .build(),
                protocol => {
                    let builder = at(MetricExporter::builder().with_http(), over);
                    builder
                        .with_http_client(http_client::Client::new(over.timeout, &over.tls))
                        .with_protocol(encoding(protocol))
                        .build()
                }
            };
            exporter.map(|exporter| ToMetrics::Otlp(Box::new(exporter), Endpoint::new(over)))
        })
    }

    fn placed<E>(
        &self,
        destination: Destination,
        over: &Otlp,
        signal: &'static str,
        files: fn(FileExporter) -> E,
        otlp: impl FnOnce() -> Result<E, opentelemetry_otlp::ExporterBuildError>,
    ) -> Option<Placed<E>> {
        match destination {
            Destination::Nowhere => None,
            Destination::Files => Some(Placed {
                exporter: files(FileExporter::new(&self.directory, signal)),
                place: format!("OTLP-JSON files in {}", self.directory.path().display()),
            }),
            Destination::Otlp => {
                let _inside = self.runtime.as_ref().map(Runtime::enter);
                let place = shown(&over.endpoint);
                let problem = |error| notices::once(format!("cannot send {signal} to {place}: {error}"));
                let exporter = otlp().map_err(problem).ok()?;
                let name = if over.protocol == Protocol::Grpc { "gRPC" } else { "HTTP" };
                Some(Placed { exporter, place: format!("OTLP over {name} to {place}") })
            }
        }
    }
}

/// Sets the configured endpoint and timeout.
fn at<B: WithExportConfig>(builder: B, over: &Otlp) -> B {
    builder.with_timeout(over.timeout).with_endpoint(over.endpoint.to_string())
}

/// Returns the encoding for a protocol over HTTP. Without an explicit encoding, the exporter would use a default that
/// depends on the features of its crate.
fn encoding(protocol: Protocol) -> Encoding {
    if protocol == Protocol::HttpJson { Encoding::HttpJson } else { Encoding::HttpBinary }
}

/// Formats a URL without the user name and password that it may contain.
fn shown(url: &Uri) -> String {
    let (host, port) = (url.host().unwrap_or_default(), url.port_u16());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme_str().unwrap_or_default(), url.path())
}

impl Drop for Exporters {
    fn drop(&mut self) {
        // Unlike a plain drop, `shutdown_background` does not panic inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The protocol and the address of an exporter's endpoint, for the report of a failed export.
#[derive(Debug)]
pub(super) struct Endpoint {
    protocol: Protocol,
    place: String,
}

impl Endpoint {
    fn new(over: &Otlp) -> Endpoint {
        Endpoint { protocol: over.protocol, place: http_client::place(&over.endpoint) }
    }

    /// Reports why an export failed, unless the HTTP client has already reported the cause. The same cause is reported
    /// only once, even if several signals fail. The error in the returned result says that its cause is already
    /// reported.
    fn report_failure(&self, exported: OTelSdkResult) -> OTelSdkResult {
        let Err(OTelSdkError::InternalFailure(error)) = exported else { return exported };
        // Over HTTP, the client has already reported the cause, which the exporter's error does not contain.
        if self.protocol == Protocol::Grpc {
            // The text before the code differs between traces and metrics. It is cut off, so that both signals cause
            // the same report, which is printed once.
            let why = error.split_once("gRPC code: ").map_or(&*error, |(_, why)| why);
            notices::once(format!("cannot send telemetry to {}: {why}", self.place));
        }
        Err(OTelSdkError::InternalFailure(diagnostics::ALREADY_REPORTED.to_owned()))
    }
}

/// The exporter of spans.
#[derive(Debug)]
pub(super) enum Traces {
    Otlp(Box<OtlpSpanExporter>, Endpoint),
    Files(FileExporter),
}

impl SpanExporter for Traces {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        match self {
            Traces::Otlp(exporter, endpoint) => endpoint.report_failure(exporter.export(batch).await),
            Traces::Files(exporter) => SpanExporter::export(exporter, batch).await,
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self {
            Traces::Otlp(exporter, _) => exporter.shutdown_with_timeout(timeout),
            Traces::Files(_) => Ok(()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match self {
            Traces::Otlp(exporter, _) => exporter.set_resource(resource),
            Traces::Files(exporter) => exporter.set_resource(resource),
        }
    }
}

/// The destination of metrics.
#[derive(Debug)]
pub(super) enum ToMetrics {
    Otlp(Box<MetricExporter>, Endpoint),
    Files(FileExporter),
}

/// The exporter of metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    to: ToMetrics,
    /// Receives a message when an export begins, which is after all values were read.
    begun: SyncSender<()>,
}

impl Metrics {
    /// Returns the exporter, and a receiver of a message when the first export begins.
    pub(super) fn new(to: ToMetrics) -> (Metrics, Receiver<()>) {
        let (begun, begins) = mpsc::sync_channel(1);
        (Metrics { to, begun }, begins)
    }
}

impl PushMetricExporter for Metrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        // Nothing receives the message of a later export.
        let _ = self.begun.try_send(());
        match &self.to {
            ToMetrics::Otlp(exporter, endpoint) => endpoint.report_failure(exporter.export(metrics).await),
            ToMetrics::Files(exporter) => PushMetricExporter::export(exporter, metrics).await,
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        match &self.to {
            ToMetrics::Otlp(exporter, _) => exporter.force_flush(),
            ToMetrics::Files(_) => Ok(()),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match &self.to {
            ToMetrics::Otlp(exporter, _) => exporter.shutdown_with_timeout(timeout),
            ToMetrics::Files(_) => Ok(()),
        }
    }

    fn temporality(&self) -> Temporality {
        match &self.to {
            ToMetrics::Otlp(exporter, _) => exporter.temporality(),
            ToMetrics::Files(exporter) => exporter.temporality(),
        }
    }
}

/// The maximum time for which [`export_once`] waits.
const FIRST: Duration = Duration::from_secs(1);

/// Exports the metrics of the start-up. Otherwise, the first export of a counter would come up to a minute later, and
/// a backend would not see the increase until then. Waits until all values are read, but not until they are sent.
pub(super) fn export_once(metrics: &SdkMeterProvider, begins: &Receiver<()>) {
    let metrics = metrics.clone();
    let thread = thread::Builder::new().name("telemetry-start".into());
    match thread.spawn(move || metrics.force_flush()) {
        Ok(_) => drop(begins.recv_timeout(FIRST)),
        Err(error) => notices::once(format!("cannot export the metrics of the start-up: {error}")),
    }
}

/// The longest time that a program that aborts on a panic waits until the event of the panic is sent to Sentry.
const PANIC: Duration = Duration::from_secs(2);

/// Starts Sentry.
pub(super) fn sentry(sentry: &Sentry, resource: &Resource) -> sentry::ClientInitGuard {
    let release = std::env::var("SENTRY_RELEASE").ok().filter(|release| !release.is_empty());
    let of_resource = |key: &'static str| resource.get(&Key::new(key)).map(|value| value.to_string());
    let of_service = || Some(format!("{}@{}", of_resource("service.name")?, of_resource("service.version")?));
    let transport = SentryTransport::new(sentry.authorities.clone());
    let options = sentry::ClientOptions::new()
        .dsn(&sentry.dsn)
        .maybe_release(release.or_else(of_service))
        .traces_sample_rate(sentry.traces_sample_rate)
        // Sentry's panic hook waits at most this long until the event is sent, and the panicking run waits with it.
        // This wait is needed only if the panic aborts the program.
        .shutdown_timeout(if cfg!(panic = "unwind") { Duration::ZERO } else { PANIC })
        // These are Sentry's default integrations, with one change: `SentryTransport` attaches the stack traces,
        // including those of panics.
        .default_integrations(false)
        .add_integration(ContextIntegration::new())
        .add_integration(PanicIntegration::new().add_extractor(sentry_transport::panicked))
        .add_integration(ProcessStacktraceIntegration::new())
        .add_integration(crate::observe::sentry::Integration)
        .add_integration(transport.clone())
        .transport(transport);
    let guard = sentry::init(options);
    // A new thread copies its hub from the main hub, so the main hub needs the client too. The main hub is the hub of
    // the thread that first used Sentry. If that is another thread, `sentry::init` has not bound the client to the
    // main hub.
    sentry::Hub::main().bind_client(sentry::Hub::current().client());
    guard
}
