//! The span of a request: how it begins, how code runs inside it, and what it records. A subscriber receives all of
//! this through the guard. Whose trace the span continues belongs to `caller`.

use std::borrow::Cow;
use std::env;
use std::sync::{LazyLock, OnceLock};

use http::{Method, StatusCode};
use opentelemetry::Context as TraceContext;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _};
use tracing::Span;
use tracing::callsite::Identifier;
use tracing::field::Empty;

use super::caller::Caller;
use crate::base::destination::calls::Destination;
use crate::base::destination::{caught, unharmed};
use crate::base::foreign::guard::attempt;
use crate::base::foreign::{limits, text};
use crate::base::notices;
use crate::run::trace;

/// The callsite of the spans that [`open`] creates, as soon as there is one.
static OWN: OnceLock<Identifier> = OnceLock::new();

/// Where a new span begins.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Below the trace of the thread, unless the request continues the trace of its caller.
    Here,
    /// In a trace of its own.
    Root,
}

/// Creates the span of a request. If the subscriber panics, the request has no span.
pub(super) fn open(method: &Method, caller: &Caller, place: Place) -> Span {
    let here = match place {
        Place::Here => trace::current().unwrap_or_default(),
        Place::Root => TraceContext::new(),
    };
    let (around, sentry_trace) = match caller {
        Caller::Parent(parent) => (here.with_remote_span_context(parent.clone()), sentry_trace(parent)),
        Caller::Untraced | Caller::Linked(_) => (here, None),
    };
    let around_id = span_id(&around);
    let _inside = trace::attach_context(around);
    let (method, original) = known_method(method.as_str());
    let mut span = Span::none();
    unharmed(Destination::Subscriber, || {
        span = tracing::info_span!(
            target: "http",
            "request",
            otel.kind = "server",
            http.request.method = method,
            http.request.method_original = original.as_deref(),
            http.response.status_code = Empty,
            otel.status_code = Empty,
            sentry.trace = sentry_trace,
        );
    });
    if let Some(metadata) = span.metadata() {
        OWN.get_or_init(|| metadata.callsite());
    }
    if let Caller::Linked(linked) = caller {
        let link = || {
            let Some(own) = trace::current() else { return };
            // Without a bridge to OpenTelemetry, the thread is still in the trace around the span.
            if span_id(&own) != around_id {
                own.span().add_link(linked.clone(), Vec::new());
            }
        };
        inside(&span, || unharmed(Destination::Subscriber, link));
    }
    span
}

/// Adds a link to the current span of the application, which an outer layer has created for the request. A span of
/// [`open`] already has the link.
pub(super) fn link_from_current(current: &Span, linked: &SpanContext) {
    if OWN.get().is_some_and(|own| current.metadata().is_some_and(|metadata| metadata.callsite() == *own)) {
        return;
    }
    unharmed(Destination::Subscriber, || {
        if let Some(current) = trace::current() {
            current.span().add_link(linked.clone(), Vec::new());
        }
    });
}

/// Returns the current span. Returns none if the subscriber panics.
pub(super) fn current() -> Span {
    let mut span = Span::none();
    unharmed(Destination::Subscriber, || span = Span::current());
    span
}

/// Calls `f` inside the span. A panic of `f` is recorded in the span and continues.
pub(super) fn run<R>(span: &Span, f: impl FnOnce() -> R) -> R {
    let returned = inside(span, || attempt(f));
    returned.unwrap_or_else(|payload| {
        record_error(span);
        payload.resume()
    })
}

/// Records the status of the response.
pub(super) fn record_status(span: &Span, status: StatusCode) {
    unharmed(Destination::Subscriber, || {
        span.record("http.response.status_code", i64::from(status.as_u16()));
    });
    if status.is_server_error() {
        record_error(span);
    }
}

fn record_error(span: &Span) {
    unharmed(Destination::Subscriber, || {
        span.record("otel.status_code", "ERROR");
    });
}

/// Drops the span, which closes it if nothing else uses it.
pub(super) fn close(span: Span) {
    // Also if a subscriber is the caller, which `unharmed` would ignore.
    caught(Destination::Subscriber, || drop(span));
}

/// Calls `f` inside the span. `f` must not panic.
fn inside<R>(span: &Span, f: impl FnOnce() -> R) -> R {
    let mut is_inside = false;
    unharmed(Destination::Subscriber, || {
        is_inside = true;
        span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
    });
    let returned = f();
    if is_inside {
        unharmed(Destination::Subscriber, || {
            span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        });
    }
    returned
}

fn span_id(context: &TraceContext) -> SpanId {
    context.span().span_context().span_id()
}

/// Returns the method as the semantic conventions name it, and the original text of a method that is not known. The
/// variable of the conventions replaces the methods that are known.
fn known_method(method: &str) -> (&str, Option<Cow<'_, str>>) {
    static CONFIGURED: LazyLock<Option<Vec<String>>> = LazyLock::new(|| {
        const NAME: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
        let Ok(list) = env::var_os(NAME)?.into_string() else {
            notices::once(format!("invalid {NAME}: its value must be valid UTF-8; the variable is ignored"));
            return None;
        };
        let methods = list.split(',').map(str::trim).filter(|method| !method.is_empty());
        Some(methods.map(str::to_owned).collect::<Vec<_>>()).filter(|methods| !methods.is_empty())
    });
    const KNOWN: [&str; 10] =
        ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
    let limit = limits::header_text();
    let is_known = match &*CONFIGURED {
        Some(known) => known.iter().any(|known| known == method),
        None => KNOWN.contains(&method),
    };
    if is_known && method.len() <= limit {
        (method, None)
    } else {
        ("_OTHER", Some(text::cut(method, limit)))
    }
}

/// Returns the ids of the caller's trace in Sentry's format. Returns `None` without a Sentry client. The sampling
/// decision is left out, because Sentry makes its own.
#[cfg(feature = "sentry")]
fn sentry_trace(parent: &SpanContext) -> Option<String> {
    let is_continued = crate::observe::sentry::is_active();
    is_continued.then(|| format!("{}-{}", parent.trace_id(), parent.span_id()))
}

#[cfg(not(feature = "sentry"))]
fn sentry_trace(_: &SpanContext) -> Option<String> {
    None
}
