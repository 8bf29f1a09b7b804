//! The exporters of each destination.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::{
    MetricExporter, Protocol as Encoding, SpanExporter as OtlpSpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::{Builder, Runtime};

use super::environment::{Destination, Sentry};
use super::files::{Directory, FileExporter};
use super::http;
use super::ingest::Ingest;
use crate::report;

/// What exporters share.
#[derive(Debug)]
pub(super) struct Exporters {
    directory: Arc<Directory>,
    /// gRPC needs one, and not that of the application: that may be busy or gone when the last spans are sent.
    runtime: Option<Runtime>,
}

/// An exporter, and where it sends.
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
            .map_err(|error| report::once(format!("no thread for telemetry could be started: {error}")))
            .ok();
        Exporters { directory: Arc::new(Directory::new(directory)), runtime }
    }

    /// The threads of telemetry, where they could be started.
    #[cfg(feature = "prometheus")]
    pub(super) fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    pub(super) fn traces(&self, destination: Destination) -> Option<Placed<Traces>> {
        self.placed(destination, "traces", Traces::Files, |protocol| {
            match protocol {
                Protocol::Grpc => OtlpSpanExporter::builder().with_tonic().build(),
                Protocol::Http(client, encoding) => {
                    let builder = OtlpSpanExporter::builder().with_http().with_http_client(client);
                    builder.with_protocol(encoding).build()
                }
            }
            .map(|exporter| Traces::Otlp(Box::new(exporter)))
        })
    }

    pub(super) fn metrics(&self, destination: Destination) -> Option<Placed<Metrics>> {
        self.placed(destination, "metrics", Metrics::Files, |protocol| {
            match protocol {
                Protocol::Grpc => MetricExporter::builder().with_tonic().build(),
                Protocol::Http(client, encoding) => {
                    let builder = MetricExporter::builder().with_http().with_http_client(client);
                    builder.with_protocol(encoding).build()
                }
            }
            .map(|exporter| Metrics::Otlp(Box::new(exporter)))
        })
    }

    fn placed<E>(
        &self,
        destination: Destination,
        signal: &'static str,
        files: fn(FileExporter) -> E,
        otlp: impl FnOnce(Protocol) -> Result<E, opentelemetry_otlp::ExporterBuildError>,
    ) -> Option<Placed<E>> {
        match destination {
            Destination::Nowhere => None,
            Destination::Files => Some(Placed {
                exporter: files(FileExporter::new(&self.directory, signal)),
                place: format!("OTLP-JSON files in {}", self.directory.path().display()),
            }),
            Destination::Otlp => {
                let variable = |name: &str| {
                    let own = format!("OTEL_EXPORTER_OTLP_{}_{name}", signal.to_uppercase());
                    let all = format!("OTEL_EXPORTER_OTLP_{name}");
                    [own, all]
                        .into_iter()
                        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
                };
                let timeout =
                    variable("TIMEOUT").and_then(|millis| millis.parse().ok()).map(Duration::from_millis);
                let client = || http::Client::new(timeout.unwrap_or(OTLP_TIMEOUT));
                let said = variable("PROTOCOL").map(|protocol| protocol.to_ascii_lowercase());
                let protocol = match said.as_deref() {
                    Some("grpc") => Protocol::Grpc,
                    Some("http/json") => Protocol::Http(client(), Encoding::HttpJson),
                    // Said here, since the exporter's own default is the encoding that its crate features put first.
                    _ => Protocol::Http(client(), Encoding::HttpBinary),
                };
                let name = if matches!(protocol, Protocol::Grpc) { "gRPC" } else { "HTTP" };
                let _inside = self.runtime.as_ref().map(Runtime::enter);
                let built = otlp(protocol);
                let place =
                    variable("ENDPOINT").unwrap_or_else(|| "the collector on this machine".to_owned());
                let problem = |error| report::once(format!("no {signal} can be sent to {place}: {error}"));
                Some(Placed {
                    exporter: built.map_err(problem).ok()?,
                    place: format!("OTLP over {name} to {place}"),
                })
            }
        }
    }
}

impl Drop for Exporters {
    fn drop(&mut self) {
        // Also where the program's end is inside of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The time that OTLP gives an export.
const OTLP_TIMEOUT: Duration = Duration::from_secs(10);

enum Protocol {
    Grpc,
    Http(http::Client, Encoding),
}

/// Where spans go.
#[derive(Debug)]
pub(super) enum Traces {
    Otlp(Box<OtlpSpanExporter>),
    Files(FileExporter),
}

impl SpanExporter for Traces {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        match self {
            Traces::Otlp(exporter) => exporter.export(batch).await,
            Traces::Files(exporter) => SpanExporter::export(exporter, batch).await,
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self {
            Traces::Otlp(exporter) => exporter.shutdown_with_timeout(timeout),
            Traces::Files(_) => Ok(()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        match self {
            Traces::Otlp(exporter) => exporter.set_resource(resource),
            Traces::Files(exporter) => exporter.set_resource(resource),
        }
    }
}

/// Where measurements go.
#[derive(Debug)]
pub(super) enum Metrics {
    Otlp(Box<MetricExporter>),
    Files(FileExporter),
}

impl PushMetricExporter for Metrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        match self {
            Metrics::Otlp(exporter) => exporter.export(metrics).await,
            Metrics::Files(exporter) => PushMetricExporter::export(exporter, metrics).await,
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        match self {
            Metrics::Otlp(exporter) => exporter.force_flush(),
            Metrics::Files(_) => Ok(()),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self {
            Metrics::Otlp(exporter) => exporter.shutdown_with_timeout(timeout),
            Metrics::Files(_) => Ok(()),
        }
    }

    fn temporality(&self) -> Temporality {
        match self {
            Metrics::Otlp(exporter) => exporter.temporality(),
            Metrics::Files(exporter) => exporter.temporality(),
        }
    }
}

/// Starts Sentry.
pub(super) fn sentry(sentry: &Sentry, service: Option<&(String, String)>) -> sentry::ClientInitGuard {
    let said = std::env::var("SENTRY_RELEASE").ok().filter(|release| !release.is_empty());
    let release = said.or_else(|| service.map(|(name, version)| format!("{name}@{version}")));
    let ingest = Ingest::default();
    let options = sentry::ClientOptions::new()
        .dsn(&sentry.dsn)
        .maybe_release(release)
        .traces_sample_rate(sentry.traces_sample_rate)
        .add_integration(crate::sentry::Integration)
        .add_integration(ingest.clone())
        .transport(ingest);
    sentry::init(options)
}
