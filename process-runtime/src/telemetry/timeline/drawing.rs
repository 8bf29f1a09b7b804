//! Draws one trace. The first lines name the trace and the place where it failed. Then each span and each log record
//! has one line, indented by its depth. All texts come from files of other programs, or from their users, and are
//! quoted. Reading files and finding the failure do not belong here.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::failure;
use super::otlp::Span;
use super::records::Record;
use crate::base::foreign::quote;
use crate::base::foreign::text::{count_cut, cut_again};
use crate::observe::span::OUTCOME;

/// The spans and log records of one trace.
///
/// `Display` draws the spans. It first names the trace and, if something failed, the place of the failure. Then it
/// draws one line for each span, indented by its depth. A `!` marks failed spans, and an arrow marks calls to
/// dependencies. A log record has a line with its severity and its text, below its span and in the order of time. A
/// text that is not made of plain words is in double quotes, with the escapes of JSON, so that no value looks like
/// another value, another line, or a command to the terminal. A name of more than 256 bytes, or a value of
/// more than 1 KiB, is cut and ends with `…[+N bytes]`. A line has at most 16 KiB. If a line has no room for some
/// values, it ends with `…[+N values]`.
#[derive(Clone, Debug)]
pub struct Timeline {
    trace_id: String,
    /// Each span with its depth. A span is followed by its children, and the children are in the order in which they
    /// started.
    pub(super) spans: Vec<(usize, Span)>,
    /// Each log record with its depth, and with the number of spans that are drawn before it.
    records: Vec<(usize, usize, Record)>,
}

impl Timeline {
    pub(super) fn new(trace_id: &str, mut spans: Vec<Span>, mut records: Vec<Record>) -> Timeline {
        spans.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| b.end.cmp(&a.end)));
        records.sort_by_key(|record: &Record| record.time);
        let ordered = in_order(&spans, &records);
        let mut timeline = Timeline {
            trace_id: trace_id.to_owned(),
            spans: Vec::with_capacity(spans.len()),
            records: Vec::with_capacity(records.len()),
        };
        let mut spans: Vec<_> = spans.into_iter().map(Some).collect();
        let mut records: Vec<_> = records.into_iter().map(Some).collect();
        for (depth, at) in ordered {
            match at.checked_sub(spans.len()) {
                None => timeline.spans.extend(spans[at].take().map(|span| (depth, span))),
                Some(at) => {
                    let before = timeline.spans.len();
                    timeline.records.extend(records[at].take().map(|record| (before, depth, record)));
                }
            }
        }
        timeline
    }

    /// Returns the id of the trace.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// Returns whether the parent of every span was found. If not, the missing spans are not written yet, were left
    /// out because of a limit, or belong to a program that writes to another directory.
    pub fn is_complete(&self) -> bool {
        let known: HashSet<&str> = self.spans.iter().map(|(_, span)| span.id.as_str()).collect();
        self.spans.iter().all(|(_, span)| span.parent.is_empty() || known.contains(span.parent.as_str()))
    }

    /// Returns the latest time at which a span ended.
    pub fn end_time(&self) -> SystemTime {
        let last = self.spans.iter().map(|(_, span)| span.end).max().unwrap_or_default();
        UNIX_EPOCH + Duration::from_nanos(last)
    }

    /// Returns the name of the process or stage that caused the failure of the trace, and its `error.type`. If only
    /// other spans failed, returns the name of such a span. Returns `None` if nothing failed. The `error.type` is
    /// empty if the span has none.
    ///
    /// The search starts at the outermost failed span and repeatedly moves to the child that caused the failure. A
    /// failed child is not the cause if its parent recovered from the failure. The parent recovered if another child
    /// started after the end of the failed child and succeeded, and the parent itself failed with another error type
    /// than the failed child. A child that ended up to 1 ms after its failed parent can also be the cause, because the
    /// times of two spans come from different readings of clocks.
    pub fn failed_at(&self) -> Option<(&str, String)> {
        let (place, _) = failure::of(&self.spans)?;
        Some((&place.name, place.error_type().unwrap_or_default().to_owned()))
    }
}

/// Returns the depth and the index of each span and log record, in drawing order. The indices of the records follow
/// those of the spans. Every span is followed by its children and its records, in the order of time.
fn in_order(spans: &[Span], records: &[Record]) -> Vec<(usize, usize)> {
    let mut children: HashMap<&str, Vec<usize>> = HashMap::new();
    let known: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let mut roots = Vec::new();
    for (at, id, parent) in by_time(spans, records) {
        match known.contains(parent) && parent != id {
            true => children.entry(parent).or_default().push(at),
            false => roots.push(at),
        }
    }
    let all = spans.len() + records.len();
    let mut ordered = Vec::with_capacity(all);
    let mut is_taken = vec![false; all];
    // Spans whose parents form a cycle have no root, so the first span of the cycle becomes the root.
    for root in roots.into_iter().chain(0..all) {
        let mut waiting = vec![(0, root)];
        while let Some((depth, at)) = waiting.pop() {
            if std::mem::replace(&mut is_taken[at], true) {
                continue;
            }
            ordered.push((depth, at));
            let inner = spans.get(at).and_then(|span| children.remove(span.id.as_str())).unwrap_or_default();
            waiting.extend(inner.into_iter().rev().map(|inner| (depth + 1, inner)));
        }
    }
    ordered
}

/// Returns the index, the id and the parent of each span and log record, in the order of time. A record has no id.
fn by_time<'t>(spans: &'t [Span], records: &'t [Record]) -> Vec<(usize, &'t str, &'t str)> {
    let spans_in_order = spans.iter().map(|span| (span.start, span.id.as_str(), span.parent.as_str()));
    let of_records = records.iter().map(|record| (record.time, "", record.span.as_str()));
    let all = spans_in_order.chain(of_records).enumerate();
    let mut all: Vec<(usize, (u64, &str, &str))> = all.collect();
    // The sort is stable, so a span comes before a record of the same time.
    all.sort_by_key(|(_, (time, ..))| *time);
    all.into_iter().map(|(at, (_, id, parent))| (at, id, parent)).collect()
}

/// Returns a name as it is drawn: cut, and quoted if it is not made of plain words.
fn words(text: &str) -> String {
    quote::words(&cut_again(text, NAME)).into_owned()
}

/// Returns a value as it is drawn: cut, and quoted if it is not a plain word.
fn word(text: &str) -> String {
    quote::value(&cut_again(text, VALUE)).into_owned()
}

/// Returns the label of a span. A call to a dependency is drawn as an arrow.
fn label(span: &Span) -> String {
    span.dependency().map_or_else(|| words(&span.name), |dependency| format!("→ {}", words(dependency)))
}

/// Adds the parts of a line that fit, with two spaces between them, and says how many do not fit.
fn draw_parts(mut line: String, parts: impl Iterator<Item = String>) -> String {
    let mut omitted = 0;
    let mut separator = "";
    for part in parts {
        match line.len() + separator.len() + part.len() <= LINE {
            true => line.extend([separator, &*part]),
            false => omitted += 1,
        }
        separator = "  ";
    }
    if omitted > 0 {
        count_cut();
        line.push_str(&format!("{separator}…[+{omitted} values]"));
    }
    line
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.spans.iter().map(|(_, span)| span.start).filter(|start| *start > 0).min();
        let start = start.unwrap_or_default();
        writeln!(f, "trace {}, {} UTC", word(&self.trace_id), time_of_day(start))?;
        if let Some((place, call)) = failure::of(&self.spans) {
            write!(f, "failed at {}", words(&place.name))?;
            if let Some(kind) = place.error_type() {
                write!(f, ": {}", words(kind))?;
            }
            if let Some(dependency) = call.and_then(Span::dependency) {
                write!(f, ", calling {}", words(dependency))?;
            }
            writeln!(f)?;
        }
        let indent = |depth: usize| 2 * depth.min(DEPTH);
        let widths = self.spans.iter().map(|(depth, span)| indent(*depth) + label(span).chars().count());
        let width = widths.max().unwrap_or(0).min(WIDTH);
        let mut records = self.records.iter().peekable();
        for (at, (depth, span)) in self.spans.iter().enumerate() {
            while let Some((_, depth, record)) = records.next_if(|(before, ..)| *before <= at) {
                draw_record(f, record, start, indent(*depth))?;
            }
            let name = format!("{:1$}{2}", "", indent(*depth), label(span));
            let mark = if span.is_failed() { '!' } else { ' ' };
            // The start of a span is zero if it is not known.
            let since = Duration::from_nanos(span.start.saturating_sub(start));
            let line = format!("{mark} +{since:>9.1?}  {name:<width$} {:>9.1?}  ", span.took());
            let request = ["http.request.method", "http.response.status_code"].map(|key| span.attribute(key));
            let request = request.into_iter().flatten().map(word).collect::<Vec<_>>().join(" ");
            let context = span.attributes().filter(|(key, _)| is_context(key));
            let context = context
                .map(|(key, value)| format!("{}={}", quote::value(&cut_again(key, NAME)), word(value)));
            let details = [request, ending(span)].into_iter().filter(|detail| !detail.is_empty());
            writeln!(f, "{}", draw_parts(line, details.chain(context)))?;
        }
        records.try_for_each(|(_, depth, record)| draw_record(f, record, start, indent(*depth)))
    }
}

/// Draws the line of a log record.
fn draw_record(f: &mut fmt::Formatter<'_>, record: &Record, start: u64, indent: usize) -> fmt::Result {
    let since = Duration::from_nanos(record.time.saturating_sub(start));
    let text = record.text();
    writeln!(f, "  +{since:>9.1?}  {:indent$}{}", "", quote::words(&cut_again(&text, TEXT)))
}

/// Returns how the span ended, as a text such as `failure, late, PaymentError`. The text is empty for a span that is
/// not a run and has no error.
fn ending(span: &Span) -> String {
    let late = span.attribute("critical_process.late").filter(|late| *late == "true").map(|_| "late");
    let failed = (span.is_failed() && !span.is_run()).then_some("error");
    let parts = [span.attribute(OUTCOME), failed, late, span.error_type()];
    parts.into_iter().flatten().map(words).collect::<Vec<_>>().join(", ")
}

/// The maximum depth of indentation.
const DEPTH: usize = 32;
/// The maximum width of the column of names.
const WIDTH: usize = 120;
/// The maximum number of bytes of a name or a key that are drawn. The quotes make a text at most six times as long.
const NAME: usize = 256;
/// The maximum number of bytes of a value that are drawn.
const VALUE: usize = 1 << 10;
/// The maximum number of bytes of a log record that are drawn.
const TEXT: usize = 200;
/// The maximum number of bytes of a line, without the mark of values that are left out.
const LINE: usize = 15 << 10;

/// Returns whether an attribute is business context, whose keys contain no dot.
fn is_context(key: &str) -> bool {
    !key.contains('.')
}

/// Formats a time as `14:43:02.120`.
fn time_of_day(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    let (seconds, millis) = (millis / 1000 % 86_400, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
