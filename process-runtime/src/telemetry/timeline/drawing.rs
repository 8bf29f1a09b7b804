//! Draws one trace. The first lines name the trace and the place where it failed. Then each span and each log record
//! has one line, indented by its depth. Reading files does not belong here.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::otlp::{Nanos, Span};
use super::records::Record;

/// The spans and log records of one trace.
///
/// `Display` draws the spans. It first names the trace and, if something failed, the place of the failure. Then it
/// draws one line for each span, indented by its depth. A `!` marks failed spans, and an arrow marks calls to
/// dependencies. A log record has a line with its severity and its text, below its span and in the order of time.
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
        records.sort_by_key(Record::time);
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
        let last = self.spans.iter().map(|(_, span)| span.end.0).max().unwrap_or_default();
        UNIX_EPOCH + Duration::from_nanos(last)
    }

    /// Returns the name of the process or stage that caused the failure of the trace, and its `error.type`. If only
    /// other spans failed, returns the name of such a span. Returns `None` if nothing failed. The `error.type` is
    /// empty if the span has none.
    ///
    /// The search starts at the outermost failed span and repeatedly moves to the child that caused the failure. A
    /// failed child is not the cause if its parent recovered from the failure. The parent recovered if another child
    /// started after the end of the failed child and succeeded, and the parent itself failed with another error type
    /// than the failed child.
    pub fn failed_at(&self) -> Option<(&str, String)> {
        let (place, _) = self.failure()?;
        Some((&place.name, place.error_type().unwrap_or_default().to_owned()))
    }

    /// Returns the span where the trace failed, and the call to a dependency that caused this failure, if there is
    /// one. Returns `None` if nothing failed.
    fn failure(&self) -> Option<(&Span, Option<&Span>)> {
        let chain = self.failure_chain();
        let is_place = |span: &&Span| span.is_run() && span.dependency().is_none();
        let place = chain.iter().rposition(is_place).or(chain.len().checked_sub(1))?;
        let call = chain.get(place + 1).copied().filter(|span| span.dependency().is_some());
        Some((chain[place], call))
    }

    /// Returns a chain of failed spans, from the outermost to the innermost. Each span in the chain caused the failure
    /// of the span before it.
    fn failure_chain(&self) -> Vec<&Span> {
        let inside = self.responsible();
        let of = |around: Option<usize>| inside.get(&around).map(Vec::as_slice).unwrap_or_default();
        let failed = |at: &&usize| self.spans[**at].1.is_failed();
        // If several outermost spans failed, the chain starts at the one that ended first.
        let mut next = of(None).iter().filter(failed).min_by_key(|at| self.spans[**at].1.end);
        let mut chain = Vec::new();
        while let Some(&at) = next {
            let around = &self.spans[at].1;
            chain.push(around);
            let parts = of(Some(at));
            let went_on = parts.iter().map(|part| &self.spans[*part].1).filter(|part| part.has_succeeded());
            let went_on = went_on.map(|part| part.start).max();
            let rank = |at: &&usize| {
                let part = &self.spans[**at].1;
                (part.error_type().is_some() && part.error_type() == around.error_type(), part.end)
            };
            let is_culprit = |at: &&usize| {
                let (is_same, end) = rank(at);
                is_same || went_on.is_none_or(|start| start < end)
            };
            next = parts.iter().filter(failed).filter(is_culprit).max_by_key(rank);
        }
        chain
    }

    /// Groups the runs and failed spans by the span that they can affect. The key for a span is the index of the
    /// nearest enclosing run or failed span whose result the span can affect (see [`is_part`]). The key is `None` if
    /// no such enclosing span exists.
    fn responsible(&self) -> HashMap<Option<usize>, Vec<usize>> {
        let mut inside: HashMap<_, Vec<_>> = HashMap::new();
        let mut around: Vec<usize> = Vec::new();
        for (at, (depth, span)) in self.spans.iter().enumerate() {
            around.truncate(*depth);
            if counts(span) {
                let answers_to = |outer: &&usize| {
                    let outer = &self.spans[**outer].1;
                    counts(outer) && is_part(span, outer)
                };
                inside.entry(around.iter().rev().find(answers_to).copied()).or_default().push(at);
            }
            around.push(at);
        }
        inside
    }
}

/// Returns whether the inner span can affect the result of the outer span. A call to a dependency can do so if it
/// started before the outer span ended. Its end does not matter, because a driver may close the span on another thread,
/// after the enclosing spans have ended. Any other span must have ended before the outer span.
fn is_part(inner: &Span, outer: &Span) -> bool {
    let end = if inner.dependency().is_some() { inner.start } else { inner.end };
    end <= outer.end
}

fn counts(span: &Span) -> bool {
    span.is_run() || span.is_failed()
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
    let of_records = records.iter().map(|record| (record.time(), "", record.span.as_str()));
    let all = spans_in_order.chain(of_records).enumerate();
    let mut all: Vec<(usize, (Nanos, &str, &str))> = all.collect();
    // The sort is stable, so a span comes before a record of the same time.
    all.sort_by_key(|(_, (time, ..))| *time);
    all.into_iter().map(|(at, (_, id, parent))| (at, id, parent)).collect()
}

/// Returns the label of a span. A call to a dependency is drawn as an arrow.
fn label(span: &Span) -> String {
    span.dependency().map_or_else(|| span.name.clone(), |dependency| format!("→ {dependency}"))
}

/// A writer that replaces control characters. Names come from files of other programs and must not control the
/// terminal.
struct Plain<'f, 'b>(&'f mut fmt::Formatter<'b>);

impl fmt::Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_control = |character: char| character.is_control() && character != '\n';
        text.split_inclusive(is_control).try_for_each(|part| match part.strip_suffix(is_control) {
            Some(part) => self.0.write_str(part).and_then(|()| self.0.write_char('\u{fffd}')),
            None => self.0.write_str(part),
        })
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draw(&mut Plain(f))
    }
}

impl Timeline {
    fn draw(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let start = self.spans.iter().map(|(_, span)| span.start.0).min().unwrap_or_default();
        writeln!(f, "trace {}, {} UTC", self.trace_id, time_of_day(start))?;
        if let Some((place, call)) = self.failure() {
            let kind = place.error_type().map(|kind| format!(": {kind}")).unwrap_or_default();
            let call =
                call.and_then(Span::dependency).map(|id| format!(", calling {id}")).unwrap_or_default();
            writeln!(f, "failed at {}{kind}{call}", place.name)?;
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
            let since = Duration::from_nanos(span.start.0 - start);
            write!(f, "{mark} +{:>9.1?}  {name:<width$} {:>9.1?}", since, span.took())?;
            let context = span.attributes().filter(|(key, _)| is_context(key));
            let context = context.map(|(key, value)| format!("{key}={value}"));
            let request = ["http.request.method", "http.response.status_code"].map(|key| span.attribute(key));
            let request = request.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let details: Vec<_> = [request, span.ending()]
                .into_iter()
                .filter(|ending| !ending.is_empty())
                .chain(context)
                .collect();
            writeln!(f, "  {}", details.join("  "))?;
        }
        records.try_for_each(|(_, depth, record)| draw_record(f, record, start, indent(*depth)))
    }
}

/// Draws the line of a log record. A line feed in its text does not begin another line.
fn draw_record(f: &mut impl fmt::Write, record: &Record, start: u64, indent: usize) -> fmt::Result {
    let since = Duration::from_nanos(record.time().0.saturating_sub(start));
    let text = record.text().replace(char::is_control, "\u{fffd}");
    let text = text.char_indices().nth(TEXT).map_or(&*text, |(end, _)| &text[..end]);
    writeln!(f, "  +{since:>9.1?}  {:indent$}{text}", "")
}

/// The maximum depth of indentation.
const DEPTH: usize = 32;
/// The maximum width of the column of names.
const WIDTH: usize = 120;
/// The maximum number of characters of a log record that are drawn.
const TEXT: usize = 200;

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
