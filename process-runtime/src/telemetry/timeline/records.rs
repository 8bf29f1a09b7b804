//! Parses the log records of an OTLP-JSON request. Spans, and the parts that both have in common, belong to `otlp`.

use serde::Deserialize;

use super::otlp::{AnyValue, Item, List, Nanos, Text, id, nullable};

#[derive(Deserialize)]
pub(super) struct ResourceLogs {
    #[serde(default, rename = "scopeLogs", alias = "scope_logs", deserialize_with = "nullable")]
    pub(super) scope_logs: List<ScopeLogs>,
}

#[derive(Deserialize)]
pub(super) struct ScopeLogs {
    #[serde(default, rename = "logRecords", alias = "log_records", deserialize_with = "nullable")]
    pub(super) records: List<Record>,
}

/// A log record that belongs to a trace.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    #[serde(default, rename = "traceId", alias = "trace_id", deserialize_with = "id")]
    pub(super) trace_id: String,
    #[serde(default, rename = "spanId", alias = "span_id", deserialize_with = "id")]
    pub(super) span: String,
    #[serde(default, rename = "timeUnixNano", alias = "time_unix_nano")]
    time: Nanos,
    #[serde(default, rename = "observedTimeUnixNano", alias = "observed_time_unix_nano")]
    observed: Nanos,
    #[serde(default, rename = "severityText", alias = "severity_text")]
    severity: Text,
    #[serde(default, deserialize_with = "nullable")]
    body: AnyValue,
}

impl Item for ResourceLogs {
    fn is_empty(&self) -> bool {
        self.scope_logs.0.is_empty()
    }
}

impl Item for ScopeLogs {
    fn is_empty(&self) -> bool {
        self.records.0.is_empty()
    }
}

impl Item for Record {
    fn is_empty(&self) -> bool {
        self.trace_id.is_empty()
    }
}

impl Record {
    /// Returns when the record was made. A record without this time has the time at which it was received.
    pub(super) fn time(&self) -> Nanos {
        if self.time == Nanos(0) { self.observed } else { self.time }
    }

    /// Returns the severity and the body, as in `WARN past its SLA`.
    pub(super) fn text(&self) -> String {
        [self.severity.as_str(), self.body.as_str()].join(" ").trim().to_owned()
    }

    /// Returns how much memory the record occupies, in bytes.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.trace_id, &self.span, self.severity.as_str(), self.body.as_str()];
        size_of::<Record>() + texts.map(str::len).iter().sum::<usize>()
    }
}
