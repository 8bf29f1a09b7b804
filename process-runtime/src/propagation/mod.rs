//! Continues a trace across services (feature `axum`).
//!
//! Use this module as soon as one service calls another, or to find the trace of an error that a customer reports. Add
//! [`layer`] to the service, and call [`inject`] on the headers of outgoing calls:
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//!
//! let service: Router = Router::new()
//!     .route("/", get(async || "hello"))
//!     .layer(process_runtime::propagation::layer().error_bodies());
//! # let _ = service;
//!
//! let mut headers = http::HeaderMap::new();
//! process_runtime::propagation::inject(&mut headers);
//! // client.post(url).headers(headers)
//! ```
//!
//! In the trace, the runs of this service then appear below the run of its caller, and the runs of the services that
//! it calls appear below its own runs. Every response contains the id of the trace in the header
//! [`x-trace-id`](TRACE_ID_HEADER). With [`error_bodies`](PropagationLayer::error_bodies), the bodies of errors
//! contain this id as well.
//!
//! OpenTelemetry's global propagator determines the format of the trace headers. `telemetry::init` sets a propagator
//! for W3C Trace Context.
//!
//! # Trust in a trace
//!
//! [`layer`] continues the trace of every caller, which is right inside of a network. A service that anybody on the
//! internet can call needs [`public`](PropagationLayer::public): each request then starts a new trace, which links to
//! the trace of its caller. [`trust_trace`](PropagationLayer::trust_trace) names the peers whose traces are continued
//! all the same. Trust in a trace and trust in business context are independent.
//!
//! # Business context across services
//!
//! By default, no business context crosses a service boundary. [`layer`] ignores the header `baggage` of a request.
//! [`inject`] removes this header from a call, even if the application's propagator has added it. Enable single keys:
//!
//! * [`Outgoing`] sends listed keys to listed hosts. Any other host, such as a payment provider, receives none of
//!   them.
//! * [`PropagationLayer::trust`] accepts listed keys from peers that the server has identified and the application
//!   trusts. The values of a peer never replace values that the service sets itself, so a caller cannot pretend to be
//!   another company.

mod baggage;
mod caller;
mod errors;
mod foreign;
mod layer;
mod outgoing;
mod peers;
mod request;
mod sampler;
mod service;
mod trace;
mod w3c;

pub use self::errors::{ErrorBodies, ErrorBodiesFuture};
pub use self::layer::{ErrorBodiesLayer, PropagationLayer, layer, request_span};
pub use self::outgoing::Outgoing;
pub use self::service::{Propagation, PropagationFuture, TRACE_ID_HEADER};
pub use self::trace::{inject, trace_id};
