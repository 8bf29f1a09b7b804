//! A tracer for the bridge from `tracing` to OpenTelemetry. The bridge copies each text in the fields of a span to the
//! heap. This tracer adds the constant attributes of a run without a copy, and lets the monotonic clock measure the
//! durations of spans. Attributes that differ between runs do not belong here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, RwLock};

use opentelemetry::trace::{SpanBuilder, Tracer};
use opentelemetry::{Context, KeyValue};

use super::monotonic::{MonotonicSpan, Timing};
use crate::base::lock::{read, write};
use crate::run::frame;
use crate::run::span::Attributes;

/// A tracer that adds the constant attributes to the span of each run: `critical_process.id`, `.version`,
/// `.criticality`, `.stage`, `.dependency` and `code.function.name`.
///
/// Without this tracer, spans carry these attributes as `tracing` fields. The bridge copies each field in every run,
/// and each copy takes 0.1 µs. With this tracer, spans of a process omit the fields if the process first runs after
/// the call of [`DescribedTracer::new`]. Other layers of the subscriber then do not receive the fields. Spans that do
/// not belong to a run get no attributes.
///
/// The wall clock can be set while a span is open, and the span still lasts as long as its run, because the monotonic
/// clock measures the duration. If a driver or a task keeps a clone of a run's span, the span still ends when the run
/// was last left, and not when the clone is dropped.
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

/// The constant attributes of each unit. The key is the address of the unit's name, which is also the name of its
/// spans. Each unit's name has an address of its own, so the address identifies the unit.
static ATTRIBUTES: LazyLock<RwLock<HashMap<usize, Attributes>>> = LazyLock::new(RwLock::default);

impl<T> DescribedTracer<T> {
    /// Creates a tracer that adds the attributes and passes each span to `tracer`.
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

/// Records that the program uses a [`DescribedTracer`]. If the first run of a unit begins later, the unit's spans omit
/// the fields that the tracer adds.
pub(crate) fn announce() {
    IN_USE.store(true, Ordering::Relaxed);
}

impl<T: Tracer> Tracer for DescribedTracer<T> {
    type Span = MonotonicSpan<T::Span>;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> MonotonicSpan<T::Span> {
        let (known, timing) = match builder.name {
            Cow::Borrowed(name) => attributes(name),
            Cow::Owned(_) => (None, Timing::Other),
        };
        if let Some(known) = known {
            // Creating an attribute from a static text is cheaper than cloning an attribute.
            let known = known.iter().map(|&(key, value)| KeyValue::new(key, value));
            builder.attributes.get_or_insert_default().extend(known);
        }
        MonotonicSpan::build(builder, timing, |builder| self.inner.build_with_context(builder, parent))
    }
}

/// Returns the constant attributes of the spans with this name, or `None` if this tracer adds none to them. The bridge
/// usually builds a span on the thread of its run, while the thread is inside the run. The attributes are then taken
/// from the innermost unit of the thread, without a lock.
fn attributes(name: &'static str) -> (Option<Attributes>, Timing) {
    match frame::innermost_unit() {
        Some(unit) if std::ptr::eq(unit.name, name) => {
            (unit.span.get().and_then(|site| site.described), Timing::RunOfThread(name))
        }
        _ => {
            let known = read(&ATTRIBUTES).get(&address(name)).copied();
            (known, if known.is_some() { Timing::Run(name) } else { Timing::Other })
        }
    }
}

/// Registers the constant fields of a unit, so that the tracer adds them to every span with this name. Returns the
/// registered attributes. Returns `None` if no [`DescribedTracer`] is in use; the unit's spans must then contain the
/// fields themselves.
pub(super) fn take_over(
    name: &'static str,
    constants: &[(&'static str, &'static str)],
) -> Option<Attributes> {
    if !IN_USE.load(Ordering::Relaxed) {
        return None;
    }
    let constants = &*constants.to_vec().leak();
    write(&ATTRIBUTES).insert(address(name), constants);
    Some(constants)
}

fn address(name: &'static str) -> usize {
    name.as_ptr().addr()
}
