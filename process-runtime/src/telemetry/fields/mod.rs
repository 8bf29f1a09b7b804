//! Reads the fields of events and spans within limits. A value of a field is foreign code: its text may have any size,
//! its chain of errors may never end, and making its text may panic or make further events. Log records, and the layer
//! that receives events and spans, do not belong here.

mod event;
mod span;
pub(super) mod span_event;
pub(super) mod span_texts;

use std::cell::Cell;
use std::error::Error;
use std::fmt;

use process_model::ErrorText;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

pub(super) use self::event::{Fields, Receiver};
pub(super) use self::span::SpanValues;
use crate::base::foreign::chain;
use crate::base::foreign::guard::attempt;
use crate::observe::span::{TARGET, sends_error_text};
use crate::run::frame;

/// The value of an attribute whose text `error_text` keeps in the program.
const WITHHELD: &str = "[withheld by error_text]";

/// The value of a field, with a text within its limit.
#[derive(Clone, Debug)]
pub(super) enum Limited {
    Bool(bool),
    I64(i64),
    F64(f64),
    Text(String),
}

/// OpenTelemetry has no unsigned integers.
fn of_unsigned(value: u64) -> Limited {
    i64::try_from(value).map_or_else(|_| Limited::Text(value.to_string()), Limited::I64)
}

/// The texts of an error and its sources, as in `the checkout failed: unknown card`.
pub(super) struct Chain<'e>(pub(super) &'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        chain::sources(self.0).try_for_each(|source| write!(f, ": {source}"))
    }
}

/// Marks a span with a parent of its own, or without one, that was created inside a run that keeps the texts of errors
/// in the program.
pub(super) struct Withheld;

/// Returns whether the run that this thread is in, if any, lets the texts of errors leave the program.
pub(super) fn is_error_text_sent_here() -> bool {
    frame::innermost_unit().is_none_or(|unit| unit.definition.common().error_text == ErrorText::Everywhere)
}

/// Returns whether the text of an error in this span may leave the program: outside of runs, and inside of runs with
/// `error_text = everywhere`. Both the run that the span belongs to and the run that the thread is in decide this. A
/// span may be used on a thread that is not in its run, and a run may have no span.
pub(super) fn is_error_text_sent<S: for<'s> LookupSpan<'s>>(span: Option<&SpanRef<'_, S>>) -> bool {
    let of_span = |span: SpanRef<'_, S>| match span.metadata().target() {
        TARGET => Some(sends_error_text(span.metadata())),
        _ => span.extensions().get::<Withheld>().map(|_| false),
    };
    is_error_text_sent_here() && span.and_then(|span| span.scope().find_map(of_span)).unwrap_or(true)
}

thread_local! {
    /// Whether this thread is reading fields.
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Calls a function that reads fields. Returns `None` if it panics, or if this thread is already reading fields: an
/// event that a field's `Debug` makes might otherwise make events without end.
pub(super) fn reading<R>(f: impl FnOnce() -> R) -> Option<R> {
    if READING.try_with(|reading| reading.replace(true)) != Ok(false) {
        return None;
    }
    // In the destructor of a thread-local, the context of OpenTelemetry may be gone, which is a panic.
    let read = attempt(f).ok();
    let _ = READING.try_with(|reading| reading.set(false));
    read
}
