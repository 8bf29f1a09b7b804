//! Writes the fields of an event into a line of the log. The values of fields are foreign: each has a limit, and none
//! of them adds a line, a field or a control sequence. The rest of the line, such as its time, does not belong here.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use super::super::fields::Chain;
use crate::base::foreign::{limits, quote, text};

/// Writes the message as it is, and each other field as `key=value`.
pub(super) struct Line;

impl<'w> FormatFields<'w> for Line {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut values = Values { writer, room: limits::line(), is_first: true, result: Ok(()) };
        fields.record(&mut values);
        values.result
    }
}

struct Values<'w> {
    writer: Writer<'w>,
    /// The number of bytes that the line still has for values.
    room: usize,
    is_first: bool,
    result: fmt::Result,
}

impl Values<'_> {
    fn write(&mut self, field: &Field, most: usize, value: impl FnOnce(usize) -> String) {
        let name = field.name();
        let is_message = name == "message";
        // The fields that describe a record of the crate `log` are in other parts of the line.
        if name.starts_with("log.") || self.room == 0 {
            return;
        }
        let value = value(if is_message { self.room } else { most.min(self.room) });
        self.room = self.room.saturating_sub(name.len() + value.len());
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let name = name.strip_prefix("r#").unwrap_or(name);
        let written = match is_message {
            true => write!(self.writer, "{space}{}", quote::line(&value)),
            false => write!(self.writer, "{space}{name}={}", quote::value(&value)),
        };
        self.result = self.result.and(written);
    }
}

impl Visit for Values<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, limits::context_value(), |most| text::cut(value, most).into_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write(field, limits::chain_text(), |most| text::bounded(&Chain(value), most));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, limits::context_value(), |most| text::bounded_debug(value, most));
    }
}
