//! Reads the spans of an OTLP-JSON request, and the lists around its spans and log records. A value that cannot be read
//! costs itself, and its span only if the value identifies the span. The forms of single values are in `forms`, log
//! records in `records`. Searching and drawing do not belong here.

use std::time::Duration;

use super::forms::{UNKNOWN, id_or_unknown, plain, text, time, value};
use super::json::{Json, Scalar};
use super::records::Record;
use super::requests;
use crate::observe::span::OUTCOME;

/// What belongs to a trace.
pub(super) enum Entry {
    Span(Span),
    Record(Record),
}

/// The maximum number of spans and log records of a line, and of attributes of a span.
const MOST: usize = 100_000;

/// Calls `each` for every span and log record of a line. Returns what could not be read, if anything.
///
/// A line is a request or a list of requests. Metrics and profiles belong to no trace. OpenTelemetry's logging
/// exporters for Java write a single resource instead of a request.
///
/// After a crash, a line can be a request that is cut off and the next request. The first one is therefore read up to
/// the start of the next one.
pub(super) fn each_entry(line: &[u8], each: &mut dyn FnMut(Entry)) -> Option<String> {
    let mut json = Json::new(line);
    let mut entries = Entries { each, left: MOST };
    let (mut is_request, mut is_empty) = (false, true);
    let mut starts = requests::starts(line).peekable();
    loop {
        while starts.next_if(|start| *start <= json.place()).is_some() {}
        let end = starts.peek().copied().unwrap_or(line.len());
        json.end_at(line, end);
        match json.between() {
            Some(b'{') => is_request |= entries.request(&mut json),
            Some(_) => {
                json.invalid();
                json.skip_all();
            }
            None if end == line.len() => break,
            None => continue,
        }
        is_empty = false;
    }
    match (is_request || is_empty, json.problem()) {
        (true, problem) => problem,
        (false, None) => Some("not an OTLP request".to_owned()),
        (false, Some(problem)) => Some(format!("not an OTLP request: {problem}")),
    }
}

/// Reads the lists around spans and log records, and the spans and records in them.
struct Entries<'e> {
    each: &'e mut dyn FnMut(Entry),
    /// The number of spans and records that may still be read from this line.
    left: usize,
}

impl Entries<'_> {
    /// Reads a request. Returns whether the value is one.
    fn request(&mut self, json: &mut Json<'_>) -> bool {
        let (mut is_request, mut is_empty) = (false, true);
        let is_whole = json.object(|json, key| {
            is_empty = false;
            is_request |= match plain(key).as_str() {
                "resourcespans" => {
                    objects(json, "resourceSpans", |json| self.resource(json));
                    true
                }
                "scopespans" | "instrumentationlibraryspans" => {
                    objects(json, "scopeSpans", |json| self.scope(json));
                    true
                }
                "resourcelogs" => {
                    objects(json, "resourceLogs", |json| self.resource(json));
                    true
                }
                "scopelogs" | "instrumentationlibrarylogs" => {
                    objects(json, "scopeLogs", |json| self.scope(json));
                    true
                }
                key => {
                    matches!(key, "resourcemetrics" | "scopemetrics" | "resourceprofiles" | "scopeprofiles")
                }
            };
        });
        is_request || (is_empty && is_whole)
    }

    fn resource(&mut self, json: &mut Json<'_>) {
        json.object(|json, key| match plain(key).as_str() {
            "scopespans" | "instrumentationlibraryspans" => {
                objects(json, "scopeSpans", |json| self.scope(json));
            }
            "scopelogs" | "instrumentationlibrarylogs" => {
                objects(json, "scopeLogs", |json| self.scope(json));
            }
            _ => {}
        });
    }

    fn scope(&mut self, json: &mut Json<'_>) {
        json.object(|json, key| match plain(key).as_str() {
            "spans" => objects(json, "spans", |json| {
                let span = Span::read(json).map(Entry::Span);
                self.found(json, span);
            }),
            "logrecords" | "logs" => objects(json, "logRecords", |json| {
                let record = Record::read(json).map(Entry::Record);
                self.found(json, record);
            }),
            _ => {}
        });
    }

    fn found(&mut self, json: &mut Json<'_>, entry: Option<Entry>) {
        match entry {
            Some(_) if self.left == 0 => json.report(format_args!("a list has more than {MOST} entries")),
            Some(entry) => {
                self.left -= 1;
                (self.each)(entry);
            }
            None => {}
        }
    }
}

/// Calls `each` in front of every object of a list. An object without a list around it is a list of one.
fn objects(json: &mut Json<'_>, name: &str, mut each: impl FnMut(&mut Json<'_>)) {
    let mut entry = |json: &mut Json<'_>| match json.peek() {
        Some(b'{') => each(json),
        _ => {
            if json.scalar() != Some(Scalar::Null) {
                json.report(format_args!("an entry of `{name}` is not an object"));
            }
        }
    };
    match json.peek() {
        Some(b'[') => drop(json.list(entry)),
        _ => entry(json),
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub(super) trace_id: String,
    pub(super) id: String,
    /// The id of the parent. Empty if there is none, and [`UNKNOWN`] if it cannot be read.
    pub(super) parent: String,
    pub(super) name: String,
    /// In nanoseconds since 1970. If only the end is known, the span starts at its end.
    pub(super) start: u64,
    /// In nanoseconds since 1970, and not before the start, because the clock may have been set back.
    pub(super) end: u64,
    attributes: Vec<(String, String)>,
    is_error: bool,
}

impl Span {
    /// Reads a span. Returns `None` for a span that is not complete, or that does not have the id of a trace.
    fn read(json: &mut Json<'_>) -> Option<Span> {
        let mut span = Span::default();
        let [mut start, mut end] = [None; 2];
        let is_whole = json.object(|json, key| match plain(key).as_str() {
            "traceid" => span.trace_id = id_or_unknown(json),
            "spanid" => span.id = id_or_unknown(json),
            "parentspanid" => span.parent = id_or_unknown(json),
            "name" => span.name = name(json, "name"),
            "starttimeunixnano" | "starttime" => start = time(json).or(start),
            "endtimeunixnano" | "endtime" => end = time(json).or(end),
            "attributes" => span.read_attributes(json),
            "status" => span.is_error = is_error(json),
            _ => {}
        });
        // Some exporters write zeros for the parent of a root.
        if span.parent.bytes().all(|digit| digit == b'0') {
            span.parent.clear();
        }
        if is_whole && span.trace_id.is_empty() {
            json.report("a span without the id of a trace");
        }
        span.start = start.or(end).unwrap_or_default();
        span.end = end.unwrap_or_default().max(span.start);
        span.attributes.shrink_to_fit();
        let has_ids = !matches!(span.trace_id.as_str(), "" | UNKNOWN) && span.id != UNKNOWN;
        (is_whole && has_ids).then_some(span)
    }

    /// Reads a list of keys with their values. Some exporters write an object instead.
    fn read_attributes(&mut self, json: &mut Json<'_>) {
        match json.peek() {
            Some(b'{') => drop(json.object(|json, key| {
                let value = value(json);
                self.add(json, key.to_owned(), value);
            })),
            _ => objects(json, "attributes", |json| {
                let (mut key, mut text) = (String::new(), String::new());
                json.object(|json, part| match part {
                    "key" | "Key" => key = name(json, "key"),
                    "value" | "Value" => text = value(json),
                    _ => {}
                });
                self.add(json, key, text);
            }),
        }
    }

    fn add(&mut self, json: &mut Json<'_>, key: String, value: String) {
        if self.attributes.len() == MOST {
            json.report(format_args!("a list has more than {MOST} entries"));
        } else if !key.is_empty() {
            self.attributes.push((key, value));
        }
    }

    /// Returns the value of an attribute, or `None` if the span does not have it.
    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Returns how much memory the span occupies, in bytes.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.trace_id, &self.id, &self.parent, &self.name];
        let attributes =
            self.attributes().map(|(key, value)| size_of::<[String; 2]>() + key.len() + value.len());
        size_of::<Span>() + texts.map(String::len).iter().sum::<usize>() + attributes.sum::<usize>()
    }

    /// Returns whether the span is a run of a process or stage, or a call to a dependency.
    pub(super) fn is_run(&self) -> bool {
        self.attribute(OUTCOME).is_some()
    }

    /// Returns the id of the dependency if the span is a call to a dependency.
    pub(super) fn dependency(&self) -> Option<&str> {
        self.attribute("critical_process.dependency")
    }

    pub(super) fn is_failed(&self) -> bool {
        // For a run, only its outcome decides, because some bridges set the status Error when an error is logged.
        self.attribute(OUTCOME).map_or(self.is_error, |outcome| outcome == "failure" || outcome == "panic")
    }

    /// Returns whether the span is a run that succeeded. A degraded run also counts as a success.
    pub(super) fn has_succeeded(&self) -> bool {
        self.attribute(OUTCOME).is_some_and(|outcome| outcome == "success" || outcome == "degraded")
    }

    pub(super) fn error_type(&self) -> Option<&str> {
        self.attribute("error.type")
    }

    pub(super) fn took(&self) -> Duration {
        Duration::from_nanos(self.end - self.start)
    }
}

/// Reads a text, and reports a value that is not one.
fn name(json: &mut Json<'_>, key: &str) -> String {
    text(json).unwrap_or_else(|| {
        json.report(format_args!("a `{key}` is not a text"));
        String::new()
    })
}

/// Reads the status of a span. Returns whether it is an error.
fn is_error(json: &mut Json<'_>) -> bool {
    let is_code = |text: &str| {
        matches!(plain(text.trim()).as_str(), "2" | "2.0" | "statuscodeerror" | "statuserror" | "error")
    };
    if json.peek() != Some(b'{') {
        return text(json).is_some_and(|text| is_code(&text));
    }
    let mut is_error = false;
    json.object(|json, key| {
        if let "code" | "statuscode" = plain(key).as_str() {
            is_error = text(json).is_some_and(|text| is_code(&text));
        }
    });
    is_error
}
