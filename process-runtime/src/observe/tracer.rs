//! A tracer behind the bridge from `tracing` to OpenTelemetry. The bridge copies each text of a span to the heap. This
//! tracer adds the constant attributes without a copy; attributes that differ between runs must not go in here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, RwLock};

use opentelemetry::trace::{SpanBuilder, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::base::lock::{read, write};
use crate::run::frame;
use crate::run::span::Attributes;

/// A tracer that adds the constant attributes to the span of each run: `critical_process.id`, `.version`,
/// `.criticality`, `.stage`, `.dependency` and `code.function.name`.
///
/// Without this tracer, spans carry these attributes as `tracing` fields, and the bridge copies each of them in every
/// run, which takes 0.1 µs per field. With it, processes whose first run comes later omit these fields, so other layers
/// of the subscriber do not receive them. Spans that do not belong to a run pass unchanged.
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

/// The constant attributes by the address of the span's name. Each unit has its own name, so the address identifies it.
static ATTRIBUTES: LazyLock<RwLock<HashMap<usize, Attributes>>> = LazyLock::new(RwLock::default);

impl<T> DescribedTracer<T> {
    /// Creates a tracer that adds the attributes and passes the spans to `tracer`.
    pub fn new(tracer: T) -> DescribedTracer<T> {
        announce();
        DescribedTracer { inner: tracer }
    }

    /// Creates a tracer that adds nothing until [`announce`] is called.
    #[cfg(feature = "telemetry")]
    pub(crate) fn unannounced(tracer: T) -> DescribedTracer<T> {
        DescribedTracer { inner: tracer }
    }
}

/// Records that the program uses a [`DescribedTracer`], so that spans omit the fields that it adds.
pub(crate) fn announce() {
    IN_USE.store(true, Ordering::Relaxed);
}

impl<T: Tracer> Tracer for DescribedTracer<T> {
    type Span = T::Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> T::Span {
        if let Cow::Borrowed(name) = builder.name
            && let Some(known) = attributes(name)
        {
            // Creating an attribute from a static text is cheaper than cloning one.
            let known = known.iter().map(|&(key, value)| KeyValue::new(key, value));
            builder.attributes.get_or_insert_default().extend(known);
        }
        self.inner.build_with_context(builder, parent)
    }
}

/// Returns the attributes of a span. The bridge usually builds the span on the thread on which its run begins; the
/// innermost unit of the thread then has the attributes, without a look-up behind a lock.
fn attributes(name: &'static str) -> Option<Attributes> {
    match frame::innermost_unit() {
        Some(unit) if std::ptr::eq(unit.name, name) => unit.span.get()?.described,
        _ => read(&ATTRIBUTES).get(&address(name)).copied(),
    }
}

/// Leaves the constant fields of every span with this name to the tracer. Returns `None` if no [`DescribedTracer`] is
/// in use.
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
