//! Attaches the destinations of a row: a subscriber, a Sentry client, a meter provider, a reporter. These are
//! global, so each row runs in its own child process. The exporters discard their data, but the queues in front
//! of the exporters are real.

use std::sync::Arc;
use std::time::Duration;

use fastrace::collector::{Config, Reporter, SpanRecord};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter};
use process_runtime::DescribedTracer;
use sentry::integrations::tracing::SpanLayer;
use sentry::{ClientInitGuard, ClientOptions, Envelope, Transport};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is attached while a row runs. Write `..NOTHING` for the fields that a row does not need.
#[derive(Clone, Copy)]
pub(crate) struct Attached {
    pub(crate) spans: Spans,
    /// A Sentry client that samples this share of transactions. `None` means no client.
    pub(crate) sentry: Option<f32>,
    /// Whether the subscriber has the layer of `sentry-tracing` beside the bridge to OpenTelemetry.
    pub(crate) sentry_layer: bool,
    /// Whether the OpenTelemetry SDK is the global meter provider.
    pub(crate) metrics: bool,
    /// Whether fastrace has a reporter.
    pub(crate) reporter: bool,
    /// Whether the Prometheus metrics are scraped regularly, in the pauses between bursts.
    pub(crate) scrape: bool,
    /// The set-up of our runtime.
    pub(crate) ours: Ours,
}

/// How our runtime is connected to the destinations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ours {
    /// Our runtime finds the subscriber and the Sentry client by itself.
    Unaware,
    /// As `Unaware`, and the Sentry client has our integration.
    Integrated,
    /// As `Integrated`, and `Install` is started: the watchdog runs, and metrics go to the meter provider if
    /// there is one.
    Installed,
}

/// The subscriber: whether it has a bridge to OpenTelemetry, which bridge, and which spans the bridge exports.
#[derive(Clone, Copy)]
pub(crate) enum Spans {
    None,
    /// The bridge as `tracing_opentelemetry::layer()` makes it.
    Bridged(Share),
    /// The bridge as our `telemetry::init` makes it: with `DescribedTracer`, and without the fields for thread,
    /// target, level and inactivity.
    Lean(Share),
}

/// The share of traces that the sampler keeps.
#[derive(Clone, Copy)]
pub(crate) enum Share {
    All,
    Nothing,
}

pub(crate) const NOTHING: Attached = Attached {
    spans: Spans::None,
    sentry: None,
    sentry_layer: false,
    metrics: false,
    reporter: false,
    scrape: false,
    ours: Ours::Unaware,
};

/// Keeps the attached destinations alive, and empties their queues between bursts.
pub(crate) struct Attachment {
    attached: Attached,
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    _sentry: Option<ClientInitGuard>,
}

impl Attached {
    pub(crate) fn attach(self) -> Attachment {
        let sentry = self.sentry.map(|traces_sample_rate| {
            let mut options = ClientOptions::new()
                .dsn("https://public@sentry.invalid/1")
                .traces_sample_rate(traces_sample_rate)
                .transport(Arc::new(Discard));
            if self.ours != Ours::Unaware {
                options = options.add_integration(process_runtime::sentry::Integration);
            }
            sentry::init(options)
        });
        let tracers = self.spans.subscribe(self.sentry_layer);
        let meters = self.metrics.then(|| {
            let meters = SdkMeterProvider::builder().with_periodic_exporter(Discard).build();
            opentelemetry::global::set_meter_provider(meters.clone());
            meters
        });
        if self.ours == Ours::Installed {
            let install = process_runtime::Install::new();
            let _ = match &meters {
                Some(meters) => install.meter_provider(meters).start(),
                None => install.start(),
            };
        }
        if self.reporter {
            fastrace::set_reporter(Discard, Config::default());
        }
        Attachment { attached: self, tracers, meters, _sentry: sentry }
    }

    /// Returns the maximum number of runs in a burst, after which the queues are emptied. The number is below
    /// the length and the batch size of every queue, so that no queue is full and no export runs while runs
    /// are measured.
    pub(crate) fn burst_limit(self) -> u32 {
        match self.spans {
            Spans::None if !self.reporter && !self.metrics => u32::MAX,
            _ => 400,
        }
    }
}

impl Attachment {
    /// Empties the span queues. The caller must not include this call in the measured time.
    pub(crate) fn drain(&self) {
        if let Some(tracers) = &self.tracers {
            tracers.force_flush().expect("the span queue drains");
        }
        if self.attached.reporter {
            fastrace::flush();
        }
    }

    /// Collects all metrics once. In production a collection happens once a minute. Therefore the benches
    /// collect less often than they drain.
    pub(crate) fn collect(&self) {
        if let Some(meters) = &self.meters {
            meters.force_flush().expect("the metrics collect");
        }
        if self.attached.scrape {
            let scraped = prometheus::TextEncoder::new().encode_to_string(&prometheus::gather());
            assert!(scraped.expect("the registry encodes").contains("function_calls"));
        }
    }
}

impl Spans {
    fn subscribe(self, sentry_layer: bool) -> Option<SdkTracerProvider> {
        let share = match self {
            Spans::None => return None,
            Spans::Bridged(share) | Spans::Lean(share) => share,
        };
        let sampler = match share {
            Share::All => Sampler::AlwaysOn,
            Share::Nothing => Sampler::AlwaysOff,
        };
        let tracers = SdkTracerProvider::builder().with_sampler(sampler).with_batch_exporter(Discard).build();
        let tracer = tracers.tracer("benches");
        if matches!(self, Spans::Lean(_)) {
            let bridge = tracing_opentelemetry::layer()
                .with_tracer(DescribedTracer::new(tracer))
                .with_threads(false)
                .with_target(false)
                .with_level(false)
                .with_tracked_inactivity(false);
            tracing_subscriber::registry().with(bridge).init();
        } else {
            let bridge = tracing_opentelemetry::layer().with_tracer(tracer);
            tracing_subscriber::registry().with(bridge).with(sentry_layer.then(SpanLayer::new)).init();
        }
        Some(tracers)
    }
}

/// The exporter at the end of every pipeline, which discards everything.
#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

impl PushMetricExporter for Discard {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

impl Transport for Discard {
    fn send_envelope(&self, _: Envelope) {}
}

impl Reporter for Discard {
    fn report(&mut self, _: Vec<SpanRecord>) {}
}
