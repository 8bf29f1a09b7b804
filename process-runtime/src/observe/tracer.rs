//! A tracer behind the bridge from `tracing` to OpenTelemetry. The bridge copies each text of a span to the heap; the
//! attributes that never change need no copy, so this tracer adds them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, RwLock};

use opentelemetry::trace::{SpanBuilder, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::base::lock::{read, write};
use crate::run::frame;
use crate::run::span::Attributes;

/// A tracer that adds to the span of each run what its attribute says: `critical_process.id`, `.version`,
/// `.criticality`, `.stage` and `code.function.name`.
///
/// Without it the spans say so as `tracing` fields, which the bridge copies for every run: 0.1 µs each. With it,
/// processes that first run from then on leave these fields to the tracer, and other layers of the subscriber
/// see them no more. Spans of others pass unchanged.
///
/// ```
/// use opentelemetry::trace::TracerProvider as _;
/// use process_runtime::DescribedTracer;
///
/// # let provider = opentelemetry::trace::noop::NoopTracerProvider::new();
/// let tracer = DescribedTracer::new(provider.tracer("shop"));
/// // tracing_opentelemetry::layer().with_tracer(tracer)
/// # let _ = tracer;
/// ```
#[derive(Clone, Debug)]
pub struct DescribedTracer<T> {
    inner: T,
}

static IN_USE: AtomicBool = AtomicBool::new(false);

/// By the address of the span's name, which is the unit's own.
static ATTRIBUTES: LazyLock<RwLock<HashMap<usize, Attributes>>> = LazyLock::new(RwLock::default);

impl<T> DescribedTracer<T> {
    /// Around the tracer that the spans go to.
    pub fn new(tracer: T) -> DescribedTracer<T> {
        announce();
        DescribedTracer { inner: tracer }
    }

    /// Creates a tracer that adds nothing before [`announce`].
    #[cfg(feature = "telemetry")]
    pub(crate) fn unannounced(tracer: T) -> DescribedTracer<T> {
        DescribedTracer { inner: tracer }
    }
}

/// States that such a tracer is in use.
pub(crate) fn announce() {
    IN_USE.store(true, Ordering::Relaxed);
}

impl<T: Tracer> Tracer for DescribedTracer<T> {
    type Span = T::Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> T::Span {
        if let Cow::Borrowed(name) = builder.name
            && let Some(known) = attributes(name)
        {
            // To make an attribute of a static text is cheaper than to clone one.
            let known = known.iter().map(|&(key, value)| KeyValue::new(key, value));
            builder.attributes.get_or_insert_default().extend(known);
        }
        self.inner.build_with_context(builder, parent)
    }
}

/// Returns the attributes of a span. A bridge mostly builds the span where its run begins, which needs no shared
/// look-up.
fn attributes(name: &'static str) -> Option<Attributes> {
    match frame::innermost_unit() {
        Some(unit) if std::ptr::eq(unit.name, name) => unit.span.get()?.described,
        _ => read(&ATTRIBUTES).get(&address(name)).copied(),
    }
}

/// Takes over the constant fields of every span with this name, if a tracer adds them.
pub(super) fn take_over(name: &'static str, says: &[(&'static str, &'static str)]) -> Option<Attributes> {
    if !IN_USE.load(Ordering::Relaxed) {
        return None;
    }
    let says = &*says.to_vec().leak();
    write(&ATTRIBUTES).insert(address(name), says);
    Some(says)
}

fn address(name: &'static str) -> usize {
    name.as_ptr().addr()
}
