//! Propagation between services: the trace, business context between peers that may have it, and errors for clients.

mod baggage;
mod errors;
mod trace;

use opentelemetry::global;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

/// The application's own propagator, which carries OpenTelemetry's baggage in and out.
fn set_propagator() {
    global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
        Box::new(BaggagePropagator::new()),
        Box::new(TraceContextPropagator::new()),
    ]));
}
