//! Reads the trace context from the headers of a request, and writes it into the headers of a call, through the
//! application's propagator. Whether a request continues the trace that it carries does not belong here.

use std::cell::RefCell;
use std::sync::Once;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context as TraceContext, global};

use super::{baggage, foreign, w3c};
use crate::base::notices;
use crate::run::{self, trace::current_span};

const PROPAGATOR: &str = "the OpenTelemetry propagator";

/// Returns the id of the current trace, for example for the body of an error. Returns `None` without a current
/// trace, which is always the case without OpenTelemetry, and on a thread that is ending.
///
/// A trace that is not sampled also has an id. The Sentry events of such a trace can be found by this id.
pub fn trace_id() -> Option<String> {
    Some(current_span()?.trace_id().to_string())
}

/// Returns whether the current trace is this one.
pub(super) fn is_current(trace: &SpanContext) -> bool {
    current_span().unwrap_or(SpanContext::NONE).trace_id() == trace.trace_id()
}

/// Adds the current trace context to the headers of a call to another service.
///
/// It sends no business context and removes any existing header `baggage`. Use [`Outgoing`](super::Outgoing) to send
/// business context. If OpenTelemetry has no global propagator, it adds nothing, and reports this once. If the
/// propagator panics, the trace may be missing from the headers, and the panic is reported once. On a thread that is
/// ending and has no trace any more, it also adds nothing.
///
/// A header that the propagator leaves empty is not sent. A `tracestate` is cut at the first member that is beyond 32
/// members or 512 bytes.
///
/// ```
/// let mut headers = http::HeaderMap::new();
/// process_runtime::propagation::inject(&mut headers);
/// // client.post(url).headers(headers)
/// ```
pub fn inject(headers: &mut HeaderMap) {
    headers.remove(baggage::HEADER);
    let Some(context) = run::trace::current() else { return };
    let context = context.with_cleared_baggage();
    let inject = |propagator: &dyn TextMapPropagator| {
        if context.has_active_span() && propagator.fields().next().is_none() {
            static REPORTED: Once = Once::new();
            REPORTED.call_once(|| {
                notices::once(
                    "no OpenTelemetry propagator is set, so traces end at outgoing calls: pass a \
                     `TraceContextPropagator` to `opentelemetry::global::set_text_map_propagator`",
                );
            });
        }
        let is_w3c = is_w3c(propagator);
        propagator.inject_context(&context, &mut Sent { headers, is_w3c });
    };
    foreign::call(PROPAGATOR, "a call continues no trace", || global::get_text_map_propagator(inject));
}

/// Returns the trace that the caller of a request has sent. It is invalid without one.
pub(super) fn extract(headers: &HeaderMap) -> SpanContext {
    // A propagator may use the current context, which a thread that is ending may have dropped.
    if run::trace::current().is_none() {
        return SpanContext::NONE;
    }
    let extract = |propagator: &dyn TextMapPropagator| {
        // A propagator may also extract baggage, so only the span context is kept.
        let caller =
            propagator.extract_with_context(&TraceContext::new(), &Received::new(headers, propagator));
        caller.span().span_context().clone()
    };
    let extract = || global::get_text_map_propagator(extract);
    let sent = foreign::call(PROPAGATOR, "a request continues no trace", extract);
    let sent = sent.unwrap_or(SpanContext::NONE);
    // Every span below has this state, so its size is limited whatever the propagator reads.
    let state = w3c::bounded(sent.trace_state());
    SpanContext::new(sent.trace_id(), sent.span_id(), sent.trace_flags(), true, state)
}

/// Removes the headers with the trace of a caller, also if they are not valid: those of W3C Trace Context, and those
/// that the propagator reads.
pub(super) fn remove(headers: &mut HeaderMap) {
    let names = |propagator: &dyn TextMapPropagator| {
        let mut names: Vec<_> = propagator.fields().map(str::to_owned).collect();
        // A propagator may read more headers than its fields, which are those that it writes.
        let received = Named { received: Received::new(headers, propagator), names: RefCell::default() };
        propagator.extract_with_context(&TraceContext::new(), &received);
        names.append(&mut received.names.into_inner());
        names
    };
    let names = || global::get_text_map_propagator(names);
    let names = foreign::call(PROPAGATOR, "only the headers of W3C Trace Context are removed", names);
    for name in names.unwrap_or_default() {
        headers.remove(name);
    }
    headers.remove(w3c::TRACEPARENT);
    headers.remove(w3c::TRACESTATE);
}

/// Returns whether the rules of W3C Trace Context apply to the headers of this propagator.
fn is_w3c(propagator: &dyn TextMapPropagator) -> bool {
    propagator.fields().any(|field| field.eq_ignore_ascii_case(w3c::TRACEPARENT))
}

/// The headers of a call.
struct Sent<'h> {
    headers: &'h mut HeaderMap,
    is_w3c: bool,
}

impl Injector for Sent<'_> {
    fn set(&mut self, key: &str, value: String) {
        let is_state = self.is_w3c && key.eq_ignore_ascii_case(w3c::TRACESTATE);
        let value = if is_state { w3c::sendable(&value).unwrap_or_default() } else { value };
        // An invalid header is not sent. An existing header belongs to another trace.
        let Ok(name) = HeaderName::from_bytes(key.as_bytes()) else { return };
        self.headers.remove(&name);
        if let Ok(value) = HeaderValue::from_str(&value)
            && !value.is_empty()
        {
            // Fails only if the call has more headers than a map can hold.
            let _ = self.headers.try_insert(name, value);
        }
    }
}

/// The headers of a request, as the propagator receives them. Baggage is not for the propagator.
struct Received<'h> {
    headers: &'h HeaderMap,
    w3c: Option<TraceHeaders>,
}

/// The headers of W3C Trace Context, where the propagator reads them. A state needs a parent.
struct TraceHeaders {
    parent: Option<String>,
    state: Option<String>,
}

impl TraceHeaders {
    fn of(headers: &HeaderMap) -> TraceHeaders {
        let parent = w3c::traceparent(headers);
        let state = parent.is_some().then(|| w3c::tracestate(headers)).flatten();
        TraceHeaders { parent, state }
    }
}

impl Received<'_> {
    fn new<'h>(headers: &'h HeaderMap, propagator: &dyn TextMapPropagator) -> Received<'h> {
        Received { headers, w3c: is_w3c(propagator).then(|| TraceHeaders::of(headers)) }
    }

    /// Returns the values of a header in their order.
    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let (checked, others) = match &self.w3c {
            Some(w3c) if is(w3c::TRACEPARENT) => (w3c.parent.as_deref(), None),
            Some(w3c) if is(w3c::TRACESTATE) => (w3c.state.as_deref(), None),
            _ if is(baggage::HEADER.as_str()) => (None, None),
            _ => (None, Some(self.headers.get_all(key))),
        };
        let others = others.into_iter().flatten().filter_map(|value| value.to_str().ok());
        checked.into_iter().chain(others)
    }
}

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.values(key).next()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        Some(self.values(key).collect()).filter(|values: &Vec<_>| !values.is_empty())
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).filter(|key| self.get(key).is_some()).collect()
    }
}

/// The headers of a request, with a list of those that the propagator reads by their name. It has no keys: a propagator
/// that goes through all headers does not know their names by itself, and most of them belong to the application.
struct Named<'h> {
    received: Received<'h>,
    names: RefCell<Vec<String>>,
}

impl Named<'_> {
    fn note(&self, key: &str) {
        let mut names = self.names.borrow_mut();
        if !names.iter().any(|known| known == key) {
            names.push(key.to_owned());
        }
    }
}

impl Extractor for Named<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.note(key);
        self.received.get(key)
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        self.note(key);
        self.received.get_all(key)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}
