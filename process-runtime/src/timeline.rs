//! What happened to user X at 2:43 PM (feature `telemetry`): the timelines of the runs that match, drawn from
//! OTLP-JSON files. One needs it on call, with nothing but a trace's id from a response, or a user's id and a time.
//!
//! It reads the files that [`telemetry`](crate::telemetry) writes, and those of other exporters that write a request
//! on each line ([OTLP file exporter](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/)), in whichever
//! JSON: names in camel or snake case, ids in hexadecimal or base64, enums and integers as numbers or texts, a request
//! that is indented over many lines, or the resource alone. Files are read twice, first for the traces that match and
//! then for their spans, so that the memory depends on what is found and not on what is read: lines, traces and spans
//! are bounded, whatever the files hold, and what finds no room is counted.

mod otlp;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::otlp::{Request, Span};

/// The longest line that is read: a request of a thousand spans is half a megabyte.
const LINE: usize = 16 << 20;
/// The most traces that are compared at once.
const TRACES: usize = 100_000;
/// The most spans of a trace that are kept.
const SPANS: usize = 10_000;
/// The most bytes of memory for all spans that are kept.
const KEPT: usize = 64 << 20;
/// The most lines that are told of one by one.
const SKIPPED: usize = 100;

/// Which traces are meant: those with a span that fits all of this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Attributes, as texts: the keys of business context.
    pub context: Vec<(String, String)>,
    /// The trace's id: 32 hexadecimal digits, as a response's `x-trace-id` has it.
    pub trace_id: Option<String>,
    /// A time that the span was going on at, and how much earlier or later it may have been.
    pub around: Option<(SystemTime, Duration)>,
}

impl Query {
    fn fits(&self, span: &Span) -> bool {
        let is_said = |(key, value): &(String, String)| {
            span.attributes().any(|(own, said)| own == key && said == value)
        };
        let is_around = |(at, tolerance): &(SystemTime, Duration)| {
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let tolerance = tolerance.as_nanos();
            u128::from(span.start.0) <= at + tolerance && at <= u128::from(span.end.0) + tolerance
        };
        self.trace_id.as_ref().is_none_or(|id| span.trace_id.eq_ignore_ascii_case(id))
            && self.context.iter().all(is_said)
            && self.around.as_ref().is_none_or(is_around)
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The traces that match, the latest first.
    pub timelines: Vec<Timeline>,
    /// How many more there are; approximate past 100 000, where one may be counted twice.
    pub left_out: usize,
    /// Spans of these traces that found no room: past 10 000 in one trace, or 64 MiB in all.
    pub spans_left_out: usize,
    /// Lines that are no requests of OTLP, and why: the first hundred.
    pub skipped: Vec<Skipped>,
    /// How many more there are.
    pub more_skipped: usize,
}

impl Found {
    fn skip(&mut self, file: &Path, line: usize, problem: &dyn fmt::Display) {
        match self.skipped.len() < SKIPPED {
            true => {
                self.skipped.push(Skipped { file: file.to_owned(), line, problem: problem.to_string() });
            }
            false => self.more_skipped += 1,
        }
    }
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; of a request over many lines the first.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Finds at most `most` traces in the regular files of a directory whose names end in `.jsonl` or `.json`.
///
/// # Errors
/// Where the directory or a file cannot be read; the error names it.
pub fn find(directory: &Path, query: &Query, most: usize) -> io::Result<Found> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| in_place(directory, error))? {
        let path = entry.map_err(|error| in_place(directory, error))?.path();
        let is_named_so = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "json");
        if is_named_so && path.is_file() {
            files.push(path);
        }
    }
    files.sort();

    let mut found = Found::default();
    let mut latest: HashMap<String, u64> = HashMap::new();
    let limit = TRACES.max(2 * most);
    let mut forgotten = 0;
    for file in &files {
        each_span(file, &mut |line, problem| found.skip(file, line, problem), &mut |span| {
            if query.fits(&span) {
                let start = latest.entry(span.trace_id).or_default();
                *start = span.start.0.max(*start);
            }
            if latest.len() > limit {
                let all = std::mem::take(&mut latest);
                forgotten += all.len() - limit / 2;
                latest = the_latest(all, limit / 2).into_iter().collect();
            }
        })?;
    }
    found.left_out = forgotten + latest.len().saturating_sub(most);
    let wanted = the_latest(latest, most);

    let mut spans: HashMap<&str, Vec<Span>> =
        wanted.iter().map(|(id, _)| (id.as_str(), Vec::new())).collect();
    let mut kept = 0;
    for file in files.iter().filter(|_| !wanted.is_empty()) {
        each_span(file, &mut |_, _| {}, &mut |span| {
            let Some(spans) = spans.get_mut(span.trace_id.as_str()) else { return };
            let size = span.size();
            match spans.len() < SPANS && kept + size <= KEPT {
                true => {
                    kept += size;
                    spans.push(span);
                }
                false => found.spans_left_out += 1,
            }
        })?;
    }
    found.timelines =
        wanted.iter().filter_map(|(id, _)| Some(Timeline::of(id, spans.remove(id.as_str())?))).collect();
    Ok(found)
}

fn in_place(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Of traces and their starts the latest, in order.
fn the_latest(traces: HashMap<String, u64>, most: usize) -> Vec<(String, u64)> {
    let mut traces: Vec<_> = traces.into_iter().collect();
    traces.sort_unstable_by(|(a, first), (b, second)| second.cmp(first).then_with(|| a.cmp(b)));
    traces.truncate(most);
    traces
}

/// Gives each span of a file, and each line that has none to give with what is wrong with it.
fn each_span(
    path: &Path,
    skip: &mut dyn FnMut(usize, &dyn fmt::Display),
    each: &mut dyn FnMut(Span),
) -> io::Result<()> {
    let file = match File::open(path) {
        // The oldest files go, and may go now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(|error| in_place(path, error))?,
    };
    let mut requests = Requests { file: BufReader::new(file), line: 0 };
    let mut bytes = Vec::new();
    while let Some((line, is_whole)) = requests.next(&mut bytes).map_err(|error| in_place(path, error))? {
        if !is_whole {
            skip(line, &format_args!("it is longer than {} MiB", LINE >> 20));
        } else if !bytes.trim_ascii().is_empty() {
            match serde_json::from_slice::<Request>(&bytes).map(Request::spans) {
                Ok(Some(spans)) => spans.for_each(&mut *each),
                Ok(None) => skip(line, &"it is no request of OTLP"),
                Err(error) => skip(line, &error),
            }
        }
    }
    Ok(())
}

/// The requests of a file, each on a line or, where it is indented, from a line `{` to a line `}`.
struct Requests {
    file: BufReader<File>,
    /// How many lines were read.
    line: usize,
}

impl Requests {
    /// Reads the next one. Its first line, and whether there was room for all of it.
    fn next(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<(usize, bool)>> {
        bytes.clear();
        let Some(mut is_whole) = self.append(bytes)? else { return Ok(None) };
        let first = self.line;
        // What is not indented begins another: this one was cut off.
        while bytes == b"{\n" || bytes == b"{\r\n" || self.line > first {
            if self.file.fill_buf()?.first() == Some(&b'{') {
                break;
            }
            if !is_whole || bytes.len() > LINE {
                is_whole = false;
                bytes.clear();
            }
            let start = bytes.len();
            match self.append(bytes)? {
                Some(fits) => is_whole &= fits,
                None => break,
            }
            if bytes[start..].starts_with(b"}") {
                break;
            }
        }
        Ok(Some((first, is_whole)))
    }

    /// Appends the next line. Whether there was room for all of it; nothing at the end of the file.
    fn append(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<bool>> {
        let read = (&mut self.file).take(LINE as u64).read_until(b'\n', bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let fits = read < LINE || bytes.ends_with(b"\n");
        if !fits {
            self.file.skip_until(b'\n')?;
        }
        Ok(Some(fits))
    }
}

/// One trace. Its `Display` draws it: where it failed, then every span at its depth.
#[derive(Clone, Debug)]
pub struct Timeline {
    trace_id: String,
    /// In order of their start, each with its depth.
    spans: Vec<(usize, Span)>,
}

impl Timeline {
    fn of(trace_id: &str, mut spans: Vec<Span>) -> Timeline {
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
    pub fn is_whole(&self) -> bool {
        let known: HashSet<&str> = self.spans.iter().map(|(_, span)| span.id.as_str()).collect();
        self.spans.iter().all(|(_, span)| span.parent.is_empty() || known.contains(span.parent.as_str()))
    }

    /// When the last of its spans ended.
    pub fn ended(&self) -> SystemTime {
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
                    counts(outer) && span.end <= outer.end
                };
                inside.entry(around.iter().rev().find(answers_to).copied()).or_default().push(at);
            }
            around.push(at);
        }
        inside
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observe::span::OUTCOME;

    fn span(
        id: &str,
        parent: &str,
        name: &str,
        times: (u64, u64),
        says: &[(&str, &str)],
    ) -> serde_json::Value {
        let attributes: Vec<_> = says
            .iter()
            .map(|(key, value)| serde_json::json!({ "key": key, "value": { "stringValue": value } }))
            .collect();
        let millis = |at: u64| (at * 1_000_000).to_string();
        serde_json::json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": id, "parentSpanId": parent, "name": name,
            "startTimeUnixNano": millis(times.0), "endTimeUnixNano": millis(times.1), "attributes": attributes,
        })
    }

    /// What another service says of the same.
    fn error_of_another(id: &str, parent: &str, times: (u64, u64)) -> serde_json::Value {
        let mut span = span(id, parent, "request", times, &[]);
        span["status"] = serde_json::json!({ "code": 2 });
        span
    }

    fn line(spans: &[serde_json::Value]) -> String {
        serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string()
    }

    fn found(text: impl AsRef<[u8]>, query: &Query) -> Found {
        let directory = tempfile(text);
        let found = find(&directory, query, 10).expect("readable");
        fs::remove_dir_all(directory).expect("removable");
        found
    }

    fn tempfile(text: impl AsRef<[u8]>) -> PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("process-runtime-timeline-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("writable");
        fs::write(path.join("a.jsonl"), text).expect("writable");
        path
    }

    fn by_user(user: &str) -> Query {
        Query { context: vec![("user_id".into(), user.into())], ..Query::default() }
    }

    #[test]
    fn the_failing_place_is_the_innermost_and_stands_first() {
        let failed = |kind| [("user_id", "u-1"), (OUTCOME, "failure"), ("error.type", kind)];
        let text = line(&[
            span("b", "a", "pay.charge", (1_020, 1_200), &failed("Refused")),
            span("c", "a", "pay.receipt", (1_190, 1_230), &[(OUTCOME, "success")]),
            span("a", "", "pay", (1_000, 1_240), &failed("PayError")),
            error_of_another("d", "b", (1_030, 1_190)),
        ]);
        let found = found(&text, &by_user("u-1"));
        let timeline = &found.timelines[0];
        assert_eq!(timeline.failed_at(), Some(("pay.charge", "Refused".into())));
        let drawn = timeline.to_string();
        let expected = "\
trace 0af7651916cd43dd8448eb211c80319c, 00:00:01.000 UTC
failed at pay.charge: Refused
! +    0.0ns  pay             240.0ms  failure, PayError  user_id=u-1
! +   20.0ms    pay.charge    180.0ms  failure, Refused  user_id=u-1
! +   30.0ms      request     160.0ms  error
  +  190.0ms    pay.receipt    40.0ms  success
";
        assert_eq!(drawn, expected);
    }

    const CALL: (&str, &str) = ("critical_process.dependency", "orders_db");

    /// What the first line says after the trace's: where it failed.
    fn failed_at(spans: &[serde_json::Value]) -> String {
        let drawn = found(line(spans), &Query::default()).timelines[0].to_string();
        let place = drawn.lines().nth(1).and_then(|line| line.strip_prefix("failed at "));
        place.unwrap_or("nowhere").to_owned()
    }

    #[test]
    fn what_was_made_good_is_not_where_it_failed() {
        let failed = |kind| [(OUTCOME, "failure"), ("error.type", kind)];
        let ok = [(OUTCOME, "success")];
        let (pay, stage) = (|kind| span("a", "", "pay", (0, 90), &failed(kind)), "pay.ask");
        let asked = |kind| span("b", "a", stage, (10, 20), &failed(kind));
        let inner = span("d", "b", "pay.ask.deep", (11, 19), &failed("deep"));
        let kept = |times, says: &[_]| span("c", "a", "pay.keep", times, says);
        // Another error fails it, however deep the first one was.
        let later = kept((30, 40), &failed("database"));
        assert_eq!(
            failed_at(&[pay("database"), asked("timeout"), inner.clone(), later]),
            "pay.keep: database"
        );
        let unnamed = kept((30, 40), &failed("Error"));
        assert_eq!(
            failed_at(&[pay("database"), asked("timeout"), inner.clone(), unnamed]),
            "pay.keep: Error"
        );
        // Something went well after it, and then it failed of itself.
        let went_on = [pay("other"), asked("timeout"), inner.clone(), kept((30, 40), &ok)];
        assert_eq!(failed_at(&went_on), "pay: other");
        // What runs beside it says nothing, and what clears up after it is no remedy.
        let beside = [pay("other"), asked("timeout"), inner.clone(), kept((15, 40), &ok)];
        assert_eq!(failed_at(&beside), "pay.ask.deep: deep");
        let cleared = [pay("timeout"), asked("timeout"), kept((30, 40), &ok)];
        assert_eq!(failed_at(&cleared), "pay.ask: timeout");
        // A run that succeeds has made good whatever failed inside of it.
        let degraded = span("a", "", "pay", (0, 90), &[(OUTCOME, "degraded")]);
        assert_eq!(failed_at(&[degraded.clone(), asked("timeout"), inner]), "nowhere");
        // But not what goes on without it.
        let spawned = span("b", "a", "mail", (10, 200), &failed("Refused"));
        assert_eq!(failed_at(&[degraded, spawned]), "mail: Refused");
    }

    #[test]
    fn a_call_to_a_dependency_is_drawn_as_one_and_named_beside_the_run_that_it_failed() {
        let failed = |kind| [("user_id", "u-1"), (OUTCOME, "failure"), ("error.type", kind)];
        let [context, outcome, kind] = failed("sqlx::Error");
        let late = [(OUTCOME, "failure"), ("critical_process.late", "true"), ("error.type", "database")];
        let spans = [
            span("a", "", "pay", (1_000, 1_240), &late),
            span("b", "a", "pay.keep", (1_010, 1_230), &failed("database")),
            span("c", "b", "pay.orders_db", (1_020, 1_025), &[CALL, (OUTCOME, "success")]),
            span("d", "b", "pay.orders_db", (1_030, 1_200), &[CALL, context, outcome, kind]),
        ];
        let drawn = found(line(&spans), &Query::default()).timelines[0].to_string();
        let expected = "\
trace 0af7651916cd43dd8448eb211c80319c, 00:00:01.000 UTC
failed at pay.keep: database, calling orders_db
! +    0.0ns  pay               240.0ms  failure, late, database
! +   10.0ms    pay.keep        220.0ms  failure, database  user_id=u-1
  +   20.0ms      → orders_db     5.0ms  success
! +   30.0ms      → orders_db   170.0ms  failure, sqlx::Error  user_id=u-1
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_trace_without_its_beginning_is_not_whole() {
        let (outer, inner) = (span("a", "", "pay", (1, 9), &[]), span("b", "a", "charge", (2, 8), &[]));
        let of = |spans: &[serde_json::Value]| found(line(spans), &Query::default()).timelines.remove(0);
        let whole = of(&[outer, inner.clone()]);
        assert!(whole.is_whole() && !of(&[inner]).is_whole());
        assert_eq!(whole.ended(), UNIX_EPOCH + Duration::from_millis(9));
    }

    #[test]
    fn other_users_other_times_and_other_traces_are_left_out() {
        let text = line(&[span("a", "", "pay", (1_000, 1_240), &[("user_id", "u-1")])]);
        assert_eq!(found(&text, &by_user("u-2")).timelines.len(), 0);
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let around =
            |millis| Query { around: Some((at(millis), Duration::from_millis(10))), ..by_user("u-1") };
        assert_eq!(found(&text, &around(995)).timelines.len(), 1);
        assert_eq!(found(&text, &around(1_260)).timelines.len(), 0);
        let of = |id: &str| Query { trace_id: Some(id.into()), ..Query::default() };
        assert_eq!(found(&text, &of("0AF7651916CD43DD8448EB211C80319C")).timelines.len(), 1);
        assert_eq!(found(&text, &of("1af7651916cd43dd8448eb211c80319c")).timelines.len(), 0);
    }

    #[test]
    fn lines_that_are_no_spans_are_told_and_skipped() {
        let good = line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]);
        let text = format!("{}\nnot json\n\n{{\"resourceMetrics\":[]}}\n{good}\n", &good[..40]);
        let found = found(&text, &by_user("u-1"));
        assert_eq!(found.timelines.len(), 1);
        assert_eq!(found.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn names_and_depths_of_any_length_are_drawn_in_so_many_columns() {
        let long = "x".repeat(70_000);
        let mut spans = vec![span("0", "", &long, (1, 2), &[("user_id", "u-1")])];
        for depth in 1..2000_u64 {
            spans.push(span(&depth.to_string(), &(depth - 1).to_string(), "deep", (1 + depth, 9000), &[]));
        }
        let drawn = found(line(&spans), &by_user("u-1")).timelines[0].to_string();
        assert!(drawn.contains(&long) && drawn.matches("deep").count() == 1999);
        assert!(drawn.len() < 600_000, "{}", drawn.len());
    }

    #[test]
    fn a_run_that_succeeds_is_no_failure_whatever_a_bridge_makes_of_its_status() {
        let mut one = span("a", "", "pay", (1, 2), &[("user_id", "u-1"), (OUTCOME, "success")]);
        one["status"] = serde_json::json!({ "code": 2 });
        assert_eq!(found(line(&[one]), &by_user("u-1")).timelines[0].failed_at(), None);
    }

    #[test]
    fn a_file_that_is_gone_when_it_is_opened_is_no_error() {
        let directory = tempfile(line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]));
        #[cfg(unix)]
        std::os::unix::fs::symlink(directory.join("nowhere"), directory.join("gone.jsonl")).expect("a link");
        let found = find(&directory, &by_user("u-1"), 10).expect("readable");
        fs::remove_dir_all(directory).expect("removable");
        assert_eq!(found.timelines.len(), 1);
    }

    #[test]
    fn what_is_no_file_is_passed_over() {
        let directory = tempfile(line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]));
        fs::create_dir(directory.join("folder.json")).expect("writable");
        let found = find(&directory, &by_user("u-1"), 10);
        fs::remove_dir_all(directory).expect("removable");
        assert_eq!(found.expect("readable").timelines.len(), 1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_cannot_be_read_is_named() {
        let directory = tempfile("");
        // A file that nobody reads from its beginning.
        let link = std::os::unix::fs::symlink("/proc/self/mem", directory.join("odd.jsonl"));
        link.expect("a link");
        let found = find(&directory, &Query::default(), 10);
        fs::remove_dir_all(directory).expect("removable");
        let error = found.expect_err("it cannot be read").to_string();
        assert!(error.contains("odd.jsonl: "), "{error}");
    }

    #[test]
    fn a_request_may_be_indented_and_one_that_is_cut_off_costs_no_other() {
        let good = |id: &str| span(id, "", "pay", (1, 2), &[("user_id", "u-1")]);
        let indented = serde_json::to_string_pretty(
            &serde_json::from_str::<serde_json::Value>(&line(&[good("a")])).expect("JSON"),
        );
        let indented = indented.expect("JSON");
        let cut = &indented[..indented.len() / 2];
        let text = format!("{indented}\n{cut}\n{}\n{cut}\n{indented}\n{{\n", line(&[good("b")]));
        let found = found(&text, &by_user("u-1"));
        assert_eq!(found.timelines[0].spans.len(), 3);
        let lines = indented.lines().count();
        let cut = cut.lines().count();
        let skipped: Vec<_> = found.skipped.iter().map(|skipped| skipped.line).collect();
        assert_eq!(skipped, [lines + 1, lines + cut + 2, 2 * lines + 2 * cut + 2]);
    }

    #[test]
    fn what_other_writers_leave_out_or_write_otherwise_reads_as_well() {
        let text = [
            // The resource alone, as OpenTelemetry's logging exporters for Java write it.
            r#"{"resource":{},"scopeSpans":[{"spans":[{"traceId":"AB","spanId":"1","name":"java"}]}]}"#,
            // Protobuf's JSON allows null for whatever is not set.
            r#"{"resourceSpans":[{"scopeSpans":null},{"scopeSpans":[{"spans":null}]}],"resourceLogs":null}"#,
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab","spanId":"2","parentSpanId":null,
                "name":null,"startTimeUnixNano":1.5e9,"endTimeUnixNano":null,"attributes":[{"key":"x","value":null}],
                "status":null}]}]}]}"#,
            // Nothing says whose this is.
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"nobody's"}]}]}]}"#,
            r#"{"resourceMetrics":[]}"#,
            r#"{"level":"info","message":"a log of somebody"}"#,
        ];
        let text = text.map(|line| line.replace('\n', "")).join("\n");
        let found = found(&text, &Query { trace_id: Some("aB".into()), ..Query::default() });
        assert_eq!(found.timelines[0].spans.len(), 2);
        assert_eq!(found.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn a_terminal_obeys_no_name() {
        let text = line(&[span("a", "", "\u{1b}[2Jpay", (1, 2), &[("user_id", "u\u{7}-1")])]);
        let drawn = found(&text, &Query::default()).timelines[0].to_string();
        assert!(!drawn.contains(|character: char| character.is_control() && character != '\n'), "{drawn:?}");
        assert!(drawn.contains("[2Jpay"));
    }

    #[test]
    fn a_circle_of_parents_is_no_trap() {
        let ring = [("a", "c"), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "e")];
        let spans = ring.map(|(id, parent)| span(id, parent, id, (1, 2), &[]));
        let found = found(line(&spans), &Query::default());
        let drawn: Vec<_> =
            found.timelines[0].spans.iter().map(|(depth, span)| (*depth, span.id.as_str())).collect();
        assert_eq!(drawn, [(0, "e"), (0, "a"), (1, "b"), (2, "c"), (3, "d")]);
    }

    #[test]
    fn an_id_of_any_length_is_told_and_not_kept() {
        let good = span("a", "", "pay", (1, 2), &[]);
        let mut lines = vec![line(std::slice::from_ref(&good))];
        for key in ["traceId", "spanId", "parentSpanId"] {
            let mut long = good.clone();
            long[key] = "f".repeat(65).into();
            lines.push(line(&[long]));
        }
        let found = found(lines.join("\n"), &Query::default());
        assert_eq!((found.timelines.len(), found.timelines[0].spans.len()), (1, 1));
        let skipped: Vec<_> = found.skipped.iter().map(|skipped| skipped.line).collect();
        assert_eq!(skipped, [2, 3, 4]);
        assert!(found.skipped[0].problem.contains("65 bytes"), "{:?}", found.skipped[0]);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "[\\[\\]{}\":,a-zA-Z0-9 \n]{0,200}") {
            let _ = found(&text, &Query::default());
        }

        /// Whatever a request is cut off at or damaged by, the others are read.
        #[test]
        fn a_damaged_line_costs_no_other(at in any::<prop::sample::Index>(), byte in any::<u8>(), is_cut in any::<bool>()) {
            let line = line(&[span("a", "", "pay", (1, 2), &[("user_id", "u-1")])]);
            let mut damaged = line.clone().into_bytes();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            damaged.truncate(if is_cut { at } else { line.len() });
            let text = [line.as_bytes(), &damaged, line.as_bytes()].join(&b'\n');
            let found = found(text, &by_user("u-1"));
            let spans: usize = found.timelines.iter().map(|timeline| timeline.spans.len()).sum();
            prop_assert!((2..=3).contains(&spans), "{}", spans);
        }

        #[test]
        fn no_times_make_it_panic(start in any::<u64>(), end in any::<u64>(), other in any::<u64>()) {
            let spans = [(start, end, "a", ""), (other, start, "b", "a")].map(|(start, end, id, parent)| {
                let mut span = span(id, parent, "x", (0, 0), &[]);
                span["startTimeUnixNano"] = start.into();
                span["endTimeUnixNano"] = end.to_string().into();
                span
            });
            for timeline in found(line(&spans), &Query::default()).timelines {
                let _ = timeline.to_string();
            }
        }
    }
}
