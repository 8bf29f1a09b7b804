//! Builds the exporter for each destination, and starts Sentry. Reading environment variables does not belong here.

use std::future::ready;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry::Key;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{
    Compression, LogExporter as OtlpLogExporter, MetricExporter, Protocol as Encoding,
    SpanExporter as OtlpSpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream, Temporality};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use sentry::integrations::backtrace::ProcessStacktraceIntegration;
use sentry::integrations::contexts::ContextIntegration;
use sentry::integrations::panic::PanicIntegration;
use sentry::{Client, Hub};
use tokio::runtime::{Builder, Runtime};
use tracing::dispatcher::{Dispatch, with_default};
use ureq::http::Uri;

use super::environment::{Destination, Otlp, Protocol, Sentry, release_problem};
use super::files::{Directory, FileExporter};
use super::logs::Refusal;
use super::sentry::{SentryTransport, panicked};
use super::signal::{LOGS, METRICS, Route, Signal, TRACES};
use super::{diagnostics, http_client, logs};
use crate::base::foreign::{limits, text};
use crate::base::lock::lock;
use crate::base::notices;
use crate::observe::metrics::counters::most_series;

/// Builds exporters, and owns the directory and the runtime that they share.
#[derive(Debug)]
pub(super) struct Exporters {
    directory: Arc<Directory>,
    /// The runtime for gRPC and for Prometheus. The application's runtime is not used, because it may be busy or
    /// already stopped when the last spans are sent.
    runtime: Option<Runtime>,
    /// The routes of the signals that are sent to a collector.
    routes: Mutex<Vec<Route>>,
}

/// An exporter and a description of its destination.
#[derive(Debug)]
pub(super) struct Placed<E> {
    pub(super) exporter: E,
    pub(super) place: String,
}

impl Exporters {
    pub(super) fn new(directory: &Path) -> Exporters {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("telemetry").on_thread_start(logs::exports_only).enable_all();
        let runtime = runtime
            .build()
            .map_err(|error| notices::once(format!("cannot start the telemetry thread: {error}")))
            .ok();
        Exporters { directory: Arc::new(Directory::new(directory)), runtime, routes: Mutex::default() }
    }

    /// Returns the runtime, or `None` if its thread could not be started.
    #[cfg(feature = "prometheus")]
    pub(super) fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    pub(super) fn traces(&self, destination: Destination, over: &Otlp) -> Option<Placed<Traces>> {
        self.placed(destination, over, &TRACES, Traces::Files, |endpoint| {
            let exporter = match over.protocol {
                Protocol::Grpc => grpc(at(OtlpSpanExporter::builder().with_tonic(), over), over).build(),
                _ => http(at(OtlpSpanExporter::builder().with_http(), over), over, &endpoint, None).build(),
            };
            exporter.map(|exporter| Traces::Otlp(Box::new(exporter), endpoint))
        })
    }

    pub(super) fn metrics(
        &self,
        destination: Destination,
        over: &Otlp,
        temporality: Temporality,
    ) -> Option<Placed<ToMetrics>> {
        self.placed(destination, over, &METRICS, ToMetrics::Files, |endpoint| {
            let builder = MetricExporter::builder().with_temporality(temporality);
            let exporter = match over.protocol {
                Protocol::Grpc => grpc(at(builder.with_tonic(), over), over).build(),
                _ => http(at(builder.with_http(), over), over, &endpoint, None).build(),
            };
            exporter.map(|exporter| ToMetrics::Otlp(Box::new(exporter), endpoint))
        })
    }

    /// Returns the exporter of log records. It gives `refusal` if the collector does not accept them.
    pub(super) fn logs(
        &self,
        destination: Destination,
        over: &Otlp,
        refusal: &Arc<Refusal>,
    ) -> Option<Placed<Logs>> {
        self.placed(destination, over, &LOGS, Logs::Files, |endpoint| {
            let (builder, refusal) = (OtlpLogExporter::builder(), Arc::clone(refusal));
            let exporter = match over.protocol {
                Protocol::Grpc => grpc(at(builder.with_tonic(), over), over).build(),
                _ => http(at(builder.with_http(), over), over, &endpoint, Some(Arc::clone(&refusal))).build(),
            };
            exporter.map(|exporter| Logs::Otlp(Box::new(exporter), endpoint, refusal))
        })
    }

    fn placed<E>(
        &self,
        destination: Destination,
        over: &Otlp,
        signal: &'static Signal,
        files: fn(FileExporter) -> E,
        otlp: impl FnOnce(Endpoint) -> Result<E, opentelemetry_otlp::ExporterBuildError>,
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
                let problem =
                    |error| notices::once(format!("cannot send {} to {place}: {error}", signal.name));
                let endpoint = self.endpoint(signal, over);
                // The exporter reads the environment too, and logs what it ignores. `environment` has reported that.
                let exporter = with_default(&Dispatch::none(), || otlp(endpoint)).map_err(problem).ok()?;
                let name = if over.protocol == Protocol::Grpc { "gRPC" } else { "HTTP" };
                Some(Placed { exporter, place: format!("OTLP over {name} to {place}") })
            }
        }
    }
}

impl Exporters {
    fn endpoint(&self, signal: &'static Signal, over: &Otlp) -> Endpoint {
        let mut routes = lock(&self.routes);
        let route = Route::new(signal, http_client::place(&over.endpoint), &routes);
        routes.push(route.clone());
        Endpoint { protocol: over.protocol, route }
    }
}

/// Sets the configured endpoint and timeout.
fn at<B: WithExportConfig>(builder: B, over: &Otlp) -> B {
    builder.with_timeout(over.timeout).with_endpoint(over.endpoint.to_string())
}

/// Sets what the environment configures for gRPC.
fn grpc<B: WithTonicConfig>(builder: B, over: &Otlp) -> B {
    let configured = over.headers.clone();
    let builder = builder.with_tls_config(over.tls.grpc_config()).with_interceptor(
        move |mut request: tonic::Request<()>| {
            let mut headers = std::mem::take(request.metadata_mut()).into_headers();
            http_client::replace_headers(&mut headers, &configured);
            *request.metadata_mut() = MetadataMap::from_headers(headers);
            Ok(request)
        },
    );
    if over.is_compressed { builder.with_compression(Compression::Gzip) } else { builder }
}

/// Sets what the environment configures for HTTP. The client gives `refusal` if the collector does not accept the
/// signal.
fn http<B: WithHttpConfig + WithExportConfig>(
    builder: B,
    over: &Otlp,
    endpoint: &Endpoint,
    refusal: Option<Arc<Refusal>>,
) -> B {
    let client = http_client::Client::new(over, endpoint.route.clone(), refusal);
    let builder = builder.with_http_client(client).with_protocol(encoding(over.protocol));
    if over.is_compressed { builder.with_compression(Compression::Gzip) } else { builder }
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

/// The protocol and the route of an exporter, for the report of a failed export.
#[derive(Debug)]
pub(super) struct Endpoint {
    protocol: Protocol,
    route: Route,
}

impl Endpoint {
    /// Waits for an export, and reports why it failed. The error in the returned result says that its cause is already
    /// reported.
    async fn report(&self, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        let rejections = self.route.rejections();
        match export.await {
            Ok(()) => {
                if self.protocol == Protocol::Grpc {
                    self.route.accepted();
                }
                self.route.rejected_none_since(rejections);
                Ok(())
            }
            Err(OTelSdkError::InternalFailure(error)) => {
                // Over HTTP, the client has already reported the cause, which the exporter's error does not contain.
                if self.protocol == Protocol::Grpc {
                    self.report_grpc(&error);
                }
                Err(OTelSdkError::InternalFailure(diagnostics::ALREADY_REPORTED.to_owned()))
            }
            other => other,
        }
    }

    /// Gives the refusal if an export failed because the collector does not implement the service of the signal. Over
    /// HTTP, the client gives it.
    fn find_refusal(&self, exported: &OTelSdkResult, refusal: &Refusal) {
        const WHY: &str = "gRPC code: Unimplemented";
        if let Err(OTelSdkError::InternalFailure(error)) = exported
            && self.protocol == Protocol::Grpc
            && error.contains(WHY)
        {
            refusal.give(self.route.place(), WHY);
        }
    }

    /// Reports the cause of a failed export over gRPC. The error contains the code, and the source of an error of the
    /// connection.
    fn report_grpc(&self, error: &str) {
        let why = error.split_once("gRPC code: ").map_or(error, |(_, why)| why);
        let code = why.split(':').next().unwrap_or(why);
        let is_answer = why == code && !["Unavailable", "Cancelled", "DeadlineExceeded"].contains(&code);
        match is_answer {
            true => self.route.refused("", format_args!("the status is {code}")),
            false => self.route.unanswered(why),
        }
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
            Traces::Otlp(exporter, endpoint) => endpoint.report(exporter.export(batch)).await,
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
            Traces::Files(exporter) => SpanExporter::set_resource(exporter, resource),
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
            ToMetrics::Otlp(exporter, endpoint) => endpoint.report(exporter.export(metrics)).await,
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

/// The number of series that a meter provider keeps of an instrument by default.
const SERIES: usize = 2000;

/// A view that gives an instrument of the toolkit room for all its series, if it has more than a provider keeps by
/// default.
pub(super) fn with_all_series(instrument: &Instrument) -> Option<Stream> {
    let is_ours = instrument.name().starts_with("critical_process.");
    let most = most_series(instrument.name());
    (is_ours && most > SERIES).then(|| Stream::builder().with_cardinality_limit(most).build().ok())?
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

/// The exporter of log records.
#[derive(Debug)]
pub(super) enum Logs {
    Otlp(Box<OtlpLogExporter>, Endpoint, Arc<Refusal>),
    Files(FileExporter),
}

impl LogExporter for Logs {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        match self {
            Logs::Otlp(exporter, endpoint, refusal) => {
                let exported = exporter.export(batch).await;
                match exported {
                    Ok(()) => refusal.accepted(),
                    Err(_) => endpoint.find_refusal(&exported, refusal),
                }
                // A refusal is reported by itself.
                if refusal.is_given() { exported } else { endpoint.report(ready(exported)).await }
            }
            Logs::Files(exporter) => LogExporter::export(exporter, batch).await,
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self {
            Logs::Otlp(exporter, ..) => exporter.shutdown_with_timeout(timeout),
            Logs::Files(_) => Ok(()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match self {
            Logs::Otlp(exporter, ..) => exporter.set_resource(resource),
            Logs::Files(exporter) => LogExporter::set_resource(exporter, resource),
        }
    }
}

/// The longest time that a program that aborts on a panic waits until the event of the panic is sent to Sentry.
const PANIC: Duration = Duration::from_secs(2);

/// Starts Sentry.
pub(super) fn sentry(sentry: &Sentry, resource: &Resource) -> Arc<Client> {
    let release = sentry.release.clone().or_else(|| release_of(resource));
    let default = if cfg!(debug_assertions) { "development" } else { "production" };
    let environment = sentry.environment.clone().unwrap_or_else(|| default.to_owned());
    let transport = SentryTransport::new(sentry.authorities.clone(), sentry.proxy.clone());
    let options = sentry::ClientOptions::new()
        .dsn(&sentry.dsn)
        .maybe_release(release)
        .environment(environment)
        .traces_sample_rate(sentry.traces_sample_rate)
        .accept_invalid_certs(sentry.accepts_invalid_certificates)
        // Sentry's panic hook waits at most this long until the event is sent, and the panicking run waits with it.
        // This wait is needed only if the panic aborts the program.
        .shutdown_timeout(if cfg!(panic = "unwind") { Duration::ZERO } else { PANIC })
        // These are Sentry's default integrations, with one change: `SentryTransport` attaches the stack traces,
        // including those of panics.
        .default_integrations(false)
        .add_integration(ContextIntegration::new())
        .add_integration(PanicIntegration::new().add_extractor(panicked))
        .add_integration(ProcessStacktraceIntegration::new())
        .add_integration(crate::observe::sentry::Integration)
        .add_integration(transport.clone())
        .transport(transport);
    // `sentry::init` would replace what is not configured by what it reads from the environment itself.
    let client = Arc::new(Client::with_options(options));
    // A new thread copies its hub from the main hub, so the main hub needs the client too. The main hub is the hub of
    // the thread that first used Sentry, which may be another thread.
    [Hub::current(), Hub::main()].iter().for_each(|hub| hub.bind_client(Some(Arc::clone(&client))));
    client
}

/// Returns the default release, which consists of the service's name and version. Returns `None` without a version,
/// and for a release that Sentry would discard.
fn release_of(resource: &Resource) -> Option<String> {
    let attribute = |key: &'static str| resource.get(&Key::new(key)).map(|value| value.to_string());
    let release = format!("{}@{}", attribute("service.name")?, attribute("service.version")?);
    if let Some(problem) = release_problem(&release) {
        notices::once(format!(
            "invalid release `{}` from the service's name and version: Sentry accepts names with {problem}; events have \
             no release; set SENTRY_RELEASE",
            text::cut(&release, limits::header_text())
        ));
        return None;
    }
    Some(release)
}
