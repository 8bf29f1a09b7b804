//! Propagation between services: the trace, business context for peers that may receive it, and errors for clients.

mod baggage;
mod errors;
mod trace;

use opentelemetry::global;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// Sets the application's own propagator, which reads and writes OpenTelemetry's baggage.
fn set_propagator() {
    global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
        Box::new(BaggagePropagator::new()),
        Box::new(TraceContextPropagator::new()),
    ]));
}
