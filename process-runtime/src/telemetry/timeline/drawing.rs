//! One trace, drawn: a line for each span, indented by its parents, and first of all where it failed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::otlp::Span;

/// One trace. Its `Display` draws it: where it failed, then every span at its depth.
#[derive(Clone, Debug)]
pub struct Timeline {
    trace_id: String,
    /// In order of their start, each with its depth.
    pub(super) spans: Vec<(usize, Span)>,
}

impl Timeline {
    pub(super) fn new(trace_id: &str, mut spans: Vec<Span>) -> Timeline {
        spans.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| b.end.cmp(&a.end)));
        let ordered = in_order(&spans);
        let mut spans: Vec<_> = spans.into_iter().map(Some).collect();
        let spans = ordered.into_iter().filter_map(|(depth, at)| Some((depth, spans[at].take()?))).collect();
        Timeline { trace_id: trace_id.to_owned(), spans }
    }

    /// The trace's id.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// Whether every span is here together with the one that it is inside of. If not, the rest is still to be written,
    /// or the trace began in a program whose files are elsewhere.
    pub fn is_complete(&self) -> bool {
        let known: HashSet<&str> = self.spans.iter().map(|(_, span)| span.id.as_str()).collect();
        self.spans.iter().all(|(_, span)| span.parent.is_empty() || known.contains(span.parent.as_str()))
    }

    /// When the last of its spans ended.
    pub fn end_time(&self) -> SystemTime {
        let last = self.spans.iter().map(|(_, span)| span.end.0).max().unwrap_or_default();
        UNIX_EPOCH + Duration::from_nanos(last)
    }

    /// The name of the process or stage that the trace failed at, and its `error.type`; of another span, where no run
    /// did. It is the innermost of a chain: from what failed as a whole to what failed inside of that and was the end of
    /// it, and so on. What failed and was made good is not in it: something began later and succeeded, and the error
    /// that came of it all is another.
    pub fn failed_at(&self) -> Option<(&str, String)> {
        let (place, _) = self.failure()?;
        Some((&place.name, place.error_type().unwrap_or_default().to_owned()))
    }

    /// The place, and the call to a dependency that failed there.
    fn failure(&self) -> Option<(&Span, Option<&Span>)> {
        let chain = self.failing();
        let is_place = |span: &&Span| span.is_run() && span.dependency().is_none();
        let place = chain.iter().rposition(is_place).or(chain.len().checked_sub(1))?;
        let call = chain.get(place + 1).copied().filter(|span| span.dependency().is_some());
        Some((chain[place], call))
    }

    /// What failed, and inside of each what it failed by.
    fn failing(&self) -> Vec<&Span> {
        let inside = self.accountable();
        let of = |around: Option<usize>| inside.get(&around).map(Vec::as_slice).unwrap_or_default();
        let failed = |at: &&usize| self.spans[**at].1.is_failed();
        // Of those that nothing is around the first.
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

    /// Of each run, and of each span that failed, the one around it that it answers to: no span that just lets through
    /// what happens inside, and none that had ended before.
    fn accountable(&self) -> HashMap<Option<usize>, Vec<usize>> {
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

/// Whether one was over before the other, which it is inside of. A driver may leave the span of a call in a thread of
/// its own, after the call was answered and all around it had ended: when that began is what counts.
fn is_part(inner: &Span, outer: &Span) -> bool {
    let over = if inner.dependency().is_some() { inner.start } else { inner.end };
    over <= outer.end
}

fn counts(span: &Span) -> bool {
    span.is_run() || span.is_failed()
}

/// The spans as they are drawn, each with its depth: every one is followed by those inside of it.
fn in_order(spans: &[Span]) -> Vec<(usize, usize)> {
    let mut children: HashMap<&str, Vec<usize>> = HashMap::new();
    let known: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let mut roots = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        match known.contains(span.parent.as_str()) && span.parent != span.id {
            true => children.entry(&span.parent).or_default().push(at),
            false => roots.push(at),
        }
    }
    let mut ordered = Vec::with_capacity(spans.len());
    let mut is_taken = vec![false; spans.len()];
    // Those in a circle of parents are inside of none: the first of them stands for the others.
    for root in roots.into_iter().chain(0..spans.len()) {
        let mut waiting = vec![(0, root)];
        while let Some((depth, at)) = waiting.pop() {
            if std::mem::replace(&mut is_taken[at], true) {
                continue;
            }
            ordered.push((depth, at));
            let inner = children.remove(spans[at].id.as_str()).unwrap_or_default();
            waiting.extend(inner.into_iter().rev().map(|inner| (depth + 1, inner)));
        }
    }
    ordered
}

/// What stands in a drawing for a span: a call to a dependency is an arrow to it.
fn label(span: &Span) -> String {
    span.dependency().map_or_else(|| span.name.clone(), |dependency| format!("→ {dependency}"))
}

/// What a terminal prints and does not obey: names come from files of others.
struct Plain<'f, 'b>(&'f mut fmt::Formatter<'b>);

impl fmt::Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_obeyed = |character: char| character.is_control() && character != '\n';
        text.split_inclusive(is_obeyed).try_for_each(|part| match part.strip_suffix(is_obeyed) {
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
        for (depth, span) in &self.spans {
            let name = format!("{:1$}{2}", "", indent(*depth), label(span));
            let mark = if span.is_failed() { '!' } else { ' ' };
            let since = Duration::from_nanos(span.start.0 - start);
            write!(f, "{mark} +{:>9.1?}  {name:<width$} {:>9.1?}", since, span.took())?;
            let context = span.attributes().filter(|(key, _)| is_context(key));
            let context = context.map(|(key, value)| format!("{key}={value}"));
            let request = ["http.request.method", "http.response.status_code"].map(|key| span.says(key));
            let request = request.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let said: Vec<_> = [request, span.ending()]
                .into_iter()
                .filter(|ending| !ending.is_empty())
                .chain(context)
                .collect();
            writeln!(f, "  {}", said.join("  "))?;
        }
        Ok(())
    }
}

/// The deepest that a span is drawn.
const DEPTH: usize = 32;
/// The most columns that names are aligned in.
const WIDTH: usize = 120;

/// Keys of business context have no dot.
fn is_context(key: &str) -> bool {
    !key.contains('.')
}

/// `14:43:02.120`
fn time_of_day(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    let (seconds, millis) = (millis / 1000 % 86_400, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
