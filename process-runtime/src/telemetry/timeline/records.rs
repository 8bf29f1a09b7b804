//! Reads the log records of an OTLP-JSON request that belong to a trace. The lists around them belong to `otlp`, the
//! forms of single values to `forms`.

use super::forms::{UNKNOWN, id_or_unknown, plain, text, time, value};
use super::json::Json;

/// A log record that belongs to a trace.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) trace_id: String,
    /// The id of its span. Empty if there is none, and [`UNKNOWN`] if it cannot be read.
    pub(super) span: String,
    /// When the record was made, in nanoseconds since 1970. If this is not known, when the record was received.
    pub(super) time: u64,
    severity: String,
    body: String,
}

impl Record {
    /// Reads a record. Returns `None` for a record that is not complete, or that does not have the id of a trace.
    pub(super) fn read(json: &mut Json<'_>) -> Option<Record> {
        let mut record = Record::default();
        let [mut made, mut observed] = [None; 2];
        let is_whole = json.object(|json, key| match plain(key).as_str() {
            "traceid" => record.trace_id = id_or_unknown(json),
            "spanid" => record.span = id_or_unknown(json),
            "timeunixnano" | "time" => made = time(json).or(made),
            "observedtimeunixnano" | "observedtime" => observed = time(json).or(observed),
            "severitytext" => record.severity = text(json).unwrap_or_default(),
            "body" => record.body = value(json),
            _ => {}
        });
        record.time = made.filter(|made| *made > 0).or(observed).unwrap_or_default();
        (is_whole && !matches!(record.trace_id.as_str(), "" | UNKNOWN)).then_some(record)
    }

    /// Returns the severity and the body, as in `WARN past its SLA`.
    pub(super) fn text(&self) -> String {
        [self.severity.as_str(), self.body.as_str()].join(" ").trim().to_owned()
    }

    /// Returns how much memory the record occupies, in bytes.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.trace_id, &self.span, &self.severity, &self.body];
        size_of::<Record>() + texts.map(String::len).iter().sum::<usize>()
    }
}
