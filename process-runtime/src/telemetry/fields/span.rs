//! Copies the values of a span with texts within their limits, so that no other layer reads the values themselves. The
//! fields of events do not belong here.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, FieldSet, Value, ValueSet, Visit};

use super::{Chain, Limited, WITHHELD, of_unsigned};
use crate::base::foreign::{limits, text};

/// Finds out whether values need limits. It calls no foreign code.
struct Check {
    needs_limits: bool,
    most: usize,
}

impl Visit for Check {
    fn record_bool(&mut self, _: &Field, _: bool) {}

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_i128(&mut self, _: &Field, _: i128) {}

    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_str(&mut self, _: &Field, value: &str) {
        self.needs_limits |= value.len() > self.most;
    }

    fn record_error(&mut self, _: &Field, _: &(dyn Error + 'static)) {
        self.needs_limits = true;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {
        self.needs_limits = true;
    }
}

/// The values of a span that are copied with texts within their limits. The position of a value is that of its field.
pub(in crate::telemetry) struct SpanValues<'p> {
    values: Vec<Option<Limited>>,
    is_error_text_sent: &'p dyn Fn() -> bool,
}

impl SpanValues<'_> {
    /// Reads the values that `record` passes to a visitor, whose positions are those in `fields`. Returns `None` if
    /// none of them needs a limit.
    pub(in crate::telemetry) fn limited<'p, 'f>(
        fields: impl FnOnce() -> Option<&'f FieldSet>,
        record: impl Fn(&mut dyn Visit),
        is_error_text_sent: &'p dyn Fn() -> bool,
    ) -> Option<SpanValues<'p>> {
        let mut check = Check { needs_limits: false, most: limits::line() };
        record(&mut check);
        if !check.needs_limits {
            return None;
        }
        let mut copied = SpanValues { values: vec![None; fields()?.len()], is_error_text_sent };
        record(&mut copied);
        Some(copied)
    }

    /// Calls `f` with these values.
    pub(in crate::telemetry) fn with(&self, fields: &FieldSet, f: impl FnOnce(&ValueSet<'_>)) {
        let values: Vec<_> = self.values.iter().map(|value| value.as_ref().map(Limited::as_value)).collect();
        f(&fields.value_set_all(&values));
    }

    fn set(&mut self, field: &Field, value: Limited) {
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(value);
        }
    }
}

impl Limited {
    fn as_value(&self) -> &dyn Value {
        match self {
            Limited::Bool(value) => value,
            Limited::I64(value) => value,
            Limited::F64(value) => value,
            Limited::Text(value) => value,
        }
    }
}

impl Visit for SpanValues<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Limited::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Limited::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, of_unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Limited::F64(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Limited::Text(text::cut(value, limits::line()).into_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let text = match (self.is_error_text_sent)() {
            true => text::bounded(&Chain(value), limits::error_text()),
            false => WITHHELD.to_owned(),
        };
        self.set(field, Limited::Text(text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Limited::Text(text::bounded_debug(value, limits::line())));
    }
}
