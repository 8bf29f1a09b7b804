//! The current span of OpenTelemetry on this thread. Which spans a run opens does not belong here.

use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, ContextGuard};

use crate::run::ending_thread::opentelemetry::alive;

/// Returns the ids of the current span. Returns `None` without a current span, and on an ending thread that has no
/// context any more.
pub(crate) fn current_span() -> Option<SpanContext> {
    let span = alive(|| Context::map_current(|context| context.span().span_context().clone()))?;
    span.is_valid().then_some(span)
}

/// Returns the current context. Returns `None` on an ending thread that has no context any more.
#[cfg(feature = "axum")]
pub(crate) fn current() -> Option<Context> {
    alive(Context::current)
}

/// A guard that keeps a context the current one until the guard is dropped.
#[derive(Debug)]
pub(crate) struct Attached(Option<ContextGuard>);

/// Makes a span with these ids the current one, so that it is the parent of new spans. Returns `None` on an ending
/// thread that has no context any more.
pub(crate) fn attach(span: SpanContext) -> Option<Attached> {
    let guard = alive(|| Context::current().with_remote_span_context(span).attach())?;
    Some(Attached(Some(guard)))
}

/// Makes this context the current one. Returns `None` on an ending thread that has no context any more.
#[cfg(feature = "axum")]
pub(crate) fn attach_context(context: Context) -> Option<Attached> {
    let guard = alive(|| context.attach())?;
    Some(Attached(Some(guard)))
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut guard = self.0.take();
        alive(|| drop(guard.take()));
        // Without a context, there is nothing to leave, and the guard itself would panic.
        std::mem::forget(guard);
    }
}
