//! Finds the span where a trace failed, in time that grows with the number of spans. Drawing does not belong here.

use std::collections::HashMap;

use super::otlp::Span;

/// Returns the span where the trace failed, and the call to a dependency that caused this failure, if there is one.
/// Returns `None` if nothing failed. The spans have their depths, and each is followed by its children.
pub(super) fn of(spans: &[(usize, Span)]) -> Option<(&Span, Option<&Span>)> {
    let parts: Vec<Part<'_>> = spans.iter().map(|(depth, span)| Part::new(*depth, span)).collect();
    let chain = chain(&parts);
    let place = chain.iter().rposition(|part| part.is_run && !part.is_call).or(chain.len().checked_sub(1))?;
    let call = chain.get(place + 1).filter(|part| part.is_call);
    Some((chain[place].span, call.map(|part| part.span)))
}

/// A failed span also caused the failure of a span around it that ended earlier by at most this time, in nanoseconds.
/// The times of two spans come from different readings of clocks, and a driver may close a span a little late.
const SKEW: u64 = 1_000_000;

/// A span with the facts that decide about a failure. Looking them up in the span costs more.
struct Part<'s> {
    span: &'s Span,
    depth: usize,
    is_run: bool,
    is_call: bool,
    is_failed: bool,
    has_succeeded: bool,
    error_type: Option<&'s str>,
}

impl Part<'_> {
    fn new(depth: usize, span: &Span) -> Part<'_> {
        Part {
            span,
            depth,
            is_run: span.is_run(),
            is_call: span.dependency().is_some(),
            is_failed: span.is_failed(),
            has_succeeded: span.has_succeeded(),
            error_type: span.error_type(),
        }
    }

    /// Returns whether the span can cause a failure, or recover from one.
    fn counts(&self) -> bool {
        self.is_run || self.is_failed
    }

    /// Returns the time until which the spans inside this one can have affected its result.
    fn lasted(&self) -> u64 {
        self.span.end.saturating_add(if self.is_failed { SKEW } else { 0 })
    }

    /// Returns the time until which a span around this one must have lasted, so that this span can affect its result. A
    /// call to a dependency must have started by then. Its end does not matter, because a driver may close the span on
    /// another thread, after the enclosing spans have ended. Any other span must have ended.
    fn bound(&self) -> u64 {
        if self.is_call { self.span.start } else { self.span.end }
    }
}

/// Returns a chain of failed spans, from the outermost to the innermost. Each span in the chain caused the failure of
/// the span before it.
fn chain<'p, 's>(all: &'p [Part<'s>]) -> Vec<&'p Part<'s>> {
    let inside = responsible(all);
    let of = |around: Option<usize>| inside.get(&around).map(Vec::as_slice).unwrap_or_default();
    let failed = |at: &&usize| all[**at].is_failed;
    // If several outermost spans failed, the chain starts at the one that ended first.
    let mut next = of(None).iter().filter(failed).min_by_key(|at| all[**at].span.end);
    let mut chain = Vec::new();
    while let Some(&at) = next {
        let around = &all[at];
        chain.push(around);
        let parts = of(Some(at));
        let went_on = parts.iter().map(|part| &all[*part]).filter(|part| part.has_succeeded);
        let went_on = went_on.map(|part| part.span.start).max();
        let rank = |at: &&usize| {
            let part = &all[**at];
            (part.error_type.is_some() && part.error_type == around.error_type, part.span.end)
        };
        let is_culprit = |at: &&usize| {
            let (is_same, end) = rank(at);
            is_same || went_on.is_none_or(|start| start < end)
        };
        next = parts.iter().filter(failed).filter(is_culprit).max_by_key(rank);
    }
    chain
}

/// Groups the spans that count by the span whose result they can affect. The key for a span is the index of the nearest
/// span around it that counts and that lasted until the [bound](Part::bound) of the span. The key is `None` if no span
/// around it does.
fn responsible(all: &[Part<'_>]) -> HashMap<Option<usize>, Vec<usize>> {
    let mut inside: HashMap<_, Vec<_>> = HashMap::new();
    let mut around = Around::default();
    for (at, part) in all.iter().enumerate() {
        around.leave(part.depth);
        if part.counts() {
            inside.entry(around.nearest(part.bound())).or_default().push(at);
        }
        around.enter(at, part);
    }
    inside
}

/// The spans around a span. In a deep trace, looking at each of them would take quadratic time. Each one that counts
/// therefore has a link to the nearest one around it that lasted longer, and a link that leaps over several of these
/// (a skew-binary jump pointer), so that a search takes logarithmic time.
#[derive(Default)]
struct Around {
    /// For each depth, the nearest span up to this depth that counts: its place in `counted`.
    nearest: Vec<Option<usize>>,
    counted: Vec<Counted>,
}

struct Counted {
    at: usize,
    end: u64,
    /// The number of links to the outermost span.
    level: usize,
    longer: Option<usize>,
    leap: Option<usize>,
}

impl Around {
    /// Leaves the spans from a depth on.
    fn leave(&mut self, depth: usize) {
        self.nearest.truncate(depth);
        self.counted.truncate(self.nearest.last().copied().flatten().map_or(0, |last| last + 1));
    }

    fn enter(&mut self, at: usize, part: &Part<'_>) {
        let outer = self.nearest.last().copied().flatten();
        if !part.counts() {
            return self.nearest.push(outer);
        }
        let end = part.lasted();
        let longer = self.search(outer, end.saturating_add(1));
        let leap = longer.and_then(|longer| {
            let (first, second) =
                (&self.counted[longer], self.counted[longer].leap.map(|leap| &self.counted[leap]));
            let is_even = second.is_some_and(|second| {
                let third = second.leap.map_or(0, |leap| self.counted[leap].level);
                first.level - second.level == second.level - third
            });
            if is_even { second.and_then(|second| second.leap) } else { Some(longer) }
        });
        let level = longer.map_or(0, |longer| self.counted[longer].level + 1);
        self.nearest.push(Some(self.counted.len()));
        self.counted.push(Counted { at, end, level, longer, leap });
    }

    /// Returns the nearest span that counts and that lasted at least until `bound`.
    fn nearest(&self, bound: u64) -> Option<usize> {
        let outer = self.nearest.last().copied().flatten();
        Some(self.counted[self.search(outer, bound)?].at)
    }

    fn search(&self, from: Option<usize>, bound: u64) -> Option<usize> {
        let mut next = from;
        while let Some(place) = next {
            let counted = &self.counted[place];
            if counted.end >= bound {
                break;
            }
            next = match counted.leap.filter(|leap| self.counted[*leap].end < bound) {
                Some(leap) => Some(leap),
                None => counted.longer,
            };
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ends that are often the same, or differ by less than the skew.
    fn ends() -> impl Strategy<Value = u64> {
        (0_u64..30, 0..3_u64).prop_map(|(end, skews)| end + skews * SKEW)
    }

    proptest! {
        /// The search finds what a look at each span around finds.
        #[test]
        fn the_nearest_span_around_is_found(ends in prop::collection::vec((ends(), any::<bool>(), 0_usize..4), 1..80)) {
            let mut stack: Vec<(u64, bool, usize)> = Vec::new();
            let mut around = Around::default();
            for (at, (end, is_failed, up)) in ends.into_iter().enumerate() {
                let depth = stack.len().saturating_sub(up);
                stack.truncate(depth);
                around.leave(depth);
                let expected = stack.iter().rev().find(|(outer, counts, _)| *counts && *outer >= end);
                prop_assert_eq!(around.nearest(end), expected.map(|(.., at)| *at));
                let mut span = Span::default();
                span.end = end;
                let part = Part { is_failed, ..Part::new(depth, &span) };
                around.enter(at, &part);
                stack.push((part.lasted(), is_failed, at));
            }
        }
    }
}
