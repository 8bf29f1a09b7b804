//! An OpenTelemetry tracer that keeps its exported spans in memory. `tracing-opentelemetry` connects it to `tracing`.

use opentelemetry::Value;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracer, SdkTracerProvider, SpanData};
use process_runtime::DescribedTracer;
use tracing::{Dispatch, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::{LookupSpan, Registry};

/// A tracer and what it exported.
#[derive(Debug)]
pub struct Traces {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
}

impl Traces {
    /// Creates a tracer.
    pub fn new() -> Traces {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        Traces { exporter, provider }
    }

    /// Returns the layer that connects `tracing` to this tracer.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> OpenTelemetryLayer<S, SdkTracer> {
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer("tests"))
    }

    /// Returns a subscriber whose only layer connects `tracing` to a [`DescribedTracer`] around this tracer.
    pub fn described(&self) -> Dispatch {
        let tracer = DescribedTracer::new(self.provider.tracer("tests"));
        Dispatch::new(Registry::default().with(tracing_opentelemetry::layer().with_tracer(tracer)))
    }

    /// Returns a subscriber whose only layer is [`layer`](Traces::layer).
    pub fn dispatch(&self) -> Dispatch {
        Dispatch::new(Registry::default().with(self.layer()))
    }

    /// Returns every exported span, in the order in which they ended.
    pub fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().expect("nothing was shut down")
    }

    /// Returns the only exported span with this name.
    ///
    /// # Panics
    /// If no span has this name, or more than one.
    #[track_caller]
    pub fn only(&self, name: &str) -> SpanData {
        let mut named: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
        assert_eq!(named.len(), 1, "spans named {name}: {named:#?}");
        named.remove(0)
    }
}

impl Default for Traces {
    fn default() -> Self {
        Traces::new()
    }
}

/// Returns an attribute of an exported span, or `None` if the span does not have it.
pub fn attribute(span: &SpanData, name: &str) -> Option<Value> {
    let same = |attribute: &&opentelemetry::KeyValue| attribute.key.as_str() == name;
    span.attributes.iter().find(same).map(|attribute| attribute.value.clone())
}

/// Returns whether one exported span is the child of another.
pub fn is_child(child: &SpanData, parent: &SpanData) -> bool {
    child.span_context.trace_id() == parent.span_context.trace_id()
        && child.parent_span_id == parent.span_context.span_id()
}
