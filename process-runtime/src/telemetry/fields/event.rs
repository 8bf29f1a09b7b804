//! Reads the fields of an event, and passes them to a log record or to an event of a span. The fields of spans do not
//! belong here.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};

use super::{Chain, Limited, WITHHELD, of_unsigned};
use crate::base::foreign::{limits, text};

/// The attribute for the text of an error, as in the semantic conventions of OpenTelemetry.
const ERROR: &str = "exception.message";
// The attributes for the place in the source, under the names that the bridge gives them in spans.
const FILE: &str = "code.file.path";
const MODULE: &str = "code.module.name";
const LINE: &str = "code.line.number";

/// Something that receives the fields of an event.
pub(in crate::telemetry) trait Receiver {
    /// Receives the field `message`.
    fn body(&mut self, text: String);

    /// Receives the target of a record of the crate `log`.
    fn target(&mut self, target: String);

    fn attribute(&mut self, key: &'static str, value: Limited);
}

/// A visitor that passes the fields of an event to a receiver. The field `message` becomes the body, and each other
/// field an attribute.
pub(in crate::telemetry) struct Fields<'p, R> {
    pub(in crate::telemetry) receiver: R,
    /// The number of bytes that all texts may still have.
    room: usize,
    /// The number of attributes that the receiver may still get.
    left: usize,
    /// The maximum number of characters of a text attribute.
    longest: Option<usize>,
    has_error: bool,
    is_error_text_sent: &'p dyn Fn() -> bool,
}

impl<'p, R: Receiver> Fields<'p, R> {
    pub(in crate::telemetry) fn new(
        receiver: R,
        attributes: usize,
        longest: Option<usize>,
        is_error_text_sent: &'p dyn Fn() -> bool,
    ) -> Fields<'p, R> {
        let room = limits::line();
        Fields { receiver, room, left: attributes, longest, has_error: false, is_error_text_sent }
    }

    pub(in crate::telemetry) fn attribute(&mut self, key: &'static str, value: Limited) {
        if self.left > 0 {
            self.left -= 1;
            self.room = self.room.saturating_sub(key.len());
            self.receiver.attribute(key, value);
        }
    }

    /// Adds the place in the source. It comes after the fields of the event, because the number of attributes is
    /// limited.
    pub(in crate::telemetry) fn place(&mut self, metadata: &tracing::Metadata<'_>) {
        for (key, place) in [(FILE, metadata.file()), (MODULE, metadata.module_path())] {
            if let Some(place) = place {
                self.text(key, limits::context_value(), |most| text::cut(place, most).into_owned());
            }
        }
        if let Some(line) = metadata.line() {
            self.attribute(LINE, Limited::I64(line.into()));
        }
    }

    /// Adds a text that `write` makes with at most the number of bytes that it receives.
    fn text(&mut self, key: &'static str, most: usize, write: impl FnOnce(usize) -> String) {
        let is_body = key == "message";
        if !is_body && self.left == 0 {
            return;
        }
        let mut written = write(if is_body { self.room } else { most.min(self.room) });
        self.room = self.room.saturating_sub(written.len());
        if is_body {
            return self.receiver.body(written);
        }
        if let Some((end, _)) = self.longest.and_then(|longest| written.char_indices().nth(longest)) {
            written.truncate(end);
        }
        self.attribute(key, Limited::Text(written));
    }
}

impl<R: Receiver> Visit for Fields<'_, R> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attribute(field.name(), Limited::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field.name(), Limited::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attribute(of_log(field.name()), of_unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attribute(field.name(), Limited::F64(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let write = |most| text::cut(value, most).into_owned();
        match field.name() {
            "log.target" => self.receiver.target(write(limits::header_text())),
            name => self.text(of_log(name), limits::context_value(), write),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let key = if self.has_error { field.name() } else { ERROR };
        self.has_error = true;
        match (self.is_error_text_sent)() {
            true => self.text(key, limits::error_text(), |most| text::bounded(&Chain(value), most)),
            false => self.attribute(key, Limited::Text(WITHHELD.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), limits::context_value(), |most| text::bounded_debug(value, most));
    }
}

/// Returns the key of a field. A record of the crate `log` has its place in the source in fields of its own.
fn of_log(field: &'static str) -> &'static str {
    match field {
        "log.file" => FILE,
        "log.module_path" => MODULE,
        "log.line" => LINE,
        field => field,
    }
}
