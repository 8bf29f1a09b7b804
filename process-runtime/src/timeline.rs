//! What happened to user X at 2:43 PM (feature `telemetry`): the timelines of the runs that match, drawn from
//! OTLP-JSON files. One needs it on call, with nothing but a trace's id from a response, or a user's id and a time.
//!
//! It reads the files that [`telemetry`](crate::telemetry) writes, and those of other exporters that write a request
//! on each line ([OTLP file exporter](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/)). Files are
//! read line by line and twice, first for the traces that match and then for their spans, so that the memory depends
//! on what is found and not on what is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};

/// The longest line that is read: a request of a thousand spans is half a megabyte.
const LINE: u64 = 16 << 20;
/// The most spans of a trace that are kept.
const SPANS: usize = 10_000;

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
            span.attributes.iter().any(|one| one.key == *key && one.value.text() == *value)
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
    /// How many more there are.
    pub left_out: usize,
    /// Lines that are no spans, and why.
    pub skipped: Vec<Skipped>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Finds at most `most` traces in the files of a directory whose names end in `.jsonl` or `.json`.
///
/// # Errors
/// Where the directory or a file cannot be read; the error names it.
pub fn find(directory: &Path, query: &Query, most: usize) -> io::Result<Found> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| in_place(directory, error))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl" || ending == "json") {
            files.push(path);
        }
    }
    files.sort();

    let mut found = Found::default();
    let mut latest: HashMap<String, u64> = HashMap::new();
    for file in &files {
        each_span(file, &mut |problem| found.skipped.push(problem), &mut |span| {
            if query.fits(&span) {
                let start = latest.entry(span.trace_id).or_default();
                *start = span.start.0.max(*start);
            }
        })?;
    }
    let mut wanted: Vec<_> = latest.into_iter().collect();
    wanted.sort_by(|(a, first), (b, second)| second.cmp(first).then_with(|| a.cmp(b)));
    found.left_out = wanted.len().saturating_sub(most);
    wanted.truncate(most);

    let ids: HashSet<&str> = wanted.iter().map(|(id, _)| id.as_str()).collect();
    let mut spans: HashMap<String, Vec<Span>> = HashMap::new();
    for file in files.iter().filter(|_| !ids.is_empty()) {
        each_span(file, &mut |_| {}, &mut |span| {
            if ids.contains(span.trace_id.as_str()) {
                let spans = spans.entry(span.trace_id.clone()).or_default();
                if spans.len() < SPANS {
                    spans.push(span);
                }
            }
        })?;
    }
    found.timelines = wanted.iter().filter_map(|(id, _)| Some(Timeline::of(id, spans.remove(id)?))).collect();
    Ok(found)
}

fn in_place(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn each_span(path: &Path, skip: &mut dyn FnMut(Skipped), each: &mut dyn FnMut(Span)) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path).map_err(|error| in_place(path, error))?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = io::Read::take(&mut file, LINE).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            break;
        }
        let mut skip = |problem: String| skip(Skipped { file: path.to_owned(), line, problem });
        if read as u64 == LINE && !bytes.ends_with(b"\n") {
            skip(format!("it is longer than {} MiB", LINE >> 20));
            skip_line(&mut file)?;
            continue;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Request>(&bytes) {
            Ok(request) => {
                let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
                scopes.flat_map(|scope| scope.spans).for_each(&mut *each);
            }
            Err(error) => skip(error.to_string()),
        }
    }
    Ok(())
}

fn skip_line(file: &mut BufReader<File>) -> io::Result<()> {
    loop {
        let (used, is_end) = match file.fill_buf()? {
            [] => return Ok(()),
            bytes => {
                bytes.iter().position(|byte| *byte == b'\n').map_or((bytes.len(), false), |at| (at + 1, true))
            }
        };
        file.consume(used);
        if is_end {
            return Ok(());
        }
    }
}

/// A request, as far as it is needed: metrics and logs have no spans.
#[derive(Deserialize)]
struct Request {
    #[serde(default, rename = "resourceSpans")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
struct ResourceSpans {
    #[serde(default, rename = "scopeSpans")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    spans: Vec<Span>,
}

#[derive(Clone, Debug, Deserialize)]
struct Span {
    #[serde(rename = "traceId")]
    trace_id: String,
    #[serde(rename = "spanId")]
    id: String,
    #[serde(default, rename = "parentSpanId")]
    parent: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "startTimeUnixNano")]
    start: Nanos,
    #[serde(default, rename = "endTimeUnixNano")]
    end: Nanos,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    status: Status,
}

impl Span {
    fn says(&self, key: &str) -> Option<String> {
        self.attributes.iter().find(|one| one.key == key).map(|one| one.value.text())
    }

    fn is_failed(&self) -> bool {
        let is_error = match &self.status.code {
            serde_json::Value::Number(code) => code.as_u64() == Some(2),
            serde_json::Value::String(code) => code == "STATUS_CODE_ERROR",
            _ => false,
        };
        is_error || self.says(OUTCOME).is_some_and(|outcome| outcome == "failure" || outcome == "panic")
    }

    fn took(&self) -> Duration {
        Duration::from_nanos(self.end.0.saturating_sub(self.start.0))
    }

    /// `failure, late, PaymentError`; nothing for spans of others that went well.
    fn ending(&self) -> String {
        let late =
            self.says("critical_process.late").filter(|late| late == "true").map(|_| "late".to_owned());
        let kind = self.says("error.type");
        let failed = (self.is_failed() && self.says(OUTCOME).is_none()).then(|| "error".to_owned());
        [self.says(OUTCOME), failed, late, kind].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

const OUTCOME: &str = "critical_process.outcome";

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: serde_json::Value,
}

#[derive(Clone, Debug, Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: AnyValue,
}

/// Any value of OTLP; its kind is the one key.
#[derive(Clone, Debug, Default, Deserialize)]
struct AnyValue(BTreeMap<String, serde_json::Value>);

impl AnyValue {
    fn text(&self) -> String {
        match self.0.values().next() {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }
}

/// Nanoseconds since 1970: a text in OTLP-JSON, and a number in what some write.
#[derive(Clone, Copy, Debug, Default)]
struct Nanos(u64);

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(nanos) => Ok(Nanos(nanos)),
            Written::Text(text) => text.parse().map(Nanos).map_err(serde::de::Error::custom),
        }
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
        spans.sort_by(|a, b| a.start.0.cmp(&b.start.0).then_with(|| b.end.0.cmp(&a.end.0)));
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
        let mut waiting: Vec<_> = roots.into_iter().rev().map(|at| (0, at)).collect();
        while let Some((depth, at)) = waiting.pop() {
            ordered.push((depth, at));
            // Each is taken once, so that no circle of parents is followed for ever.
            let inner = children.remove(spans[at].id.as_str()).unwrap_or_default();
            waiting.extend(inner.into_iter().rev().map(|inner| (depth + 1, inner)));
        }
        let spans = ordered.into_iter().map(|(depth, at)| (depth, spans[at].clone())).collect();
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

    /// The name of the innermost process or stage that failed, and its `error.type`; of another span, where none did.
    pub fn failed_at(&self) -> Option<(&str, String)> {
        let failed = self.spans.iter().filter(|(_, span)| span.is_failed());
        // Of those at one depth the first: what came after it was told of it.
        let deepest = failed
            .min_by_key(|(depth, span)| (span.says(OUTCOME).is_none(), usize::MAX - depth, span.end.0))?;
        Some((&deepest.1.name, deepest.1.says("error.type").unwrap_or_default()))
    }
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
        if let Some((place, kind)) = self.failed_at() {
            let kind = if kind.is_empty() { kind } else { format!(": {kind}") };
            writeln!(f, "failed at {place}{kind}")?;
        }
        let width =
            self.spans.iter().map(|(depth, span)| 2 * depth + span.name.chars().count()).max().unwrap_or(0);
        for (depth, span) in &self.spans {
            let name = format!("{}{}", "  ".repeat(*depth), span.name);
            let mark = if span.is_failed() { '!' } else { ' ' };
            let since = Duration::from_nanos(span.start.0 - start);
            write!(f, "{mark} +{:>9.1?}  {name:<width$} {:>9.1?}", since, span.took())?;
            let context = span.attributes.iter().filter(|one| is_context(&one.key));
            let context = context.map(|one| format!("{}={}", one.key, one.value.text()));
            let said: Vec<_> =
                [span.ending()].into_iter().filter(|ending| !ending.is_empty()).chain(context).collect();
            writeln!(f, "  {}", said.join("  "))?;
        }
        Ok(())
    }
}

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

    fn found(text: &str, query: &Query) -> Found {
        let directory = tempfile(text);
        let found = find(&directory, query, 10).expect("readable");
        fs::remove_dir_all(directory).expect("removable");
        found
    }

    fn tempfile(text: &str) -> PathBuf {
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
            span("c", "a", "pay.receipt", (1_210, 1_230), &[(OUTCOME, "success")]),
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
  +  210.0ms    pay.receipt    20.0ms  success
";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_trace_without_its_beginning_is_not_whole() {
        let (outer, inner) = (span("a", "", "pay", (1, 9), &[]), span("b", "a", "charge", (2, 8), &[]));
        let of = |spans: &[serde_json::Value]| found(&line(spans), &Query::default()).timelines.remove(0);
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
    fn a_terminal_obeys_no_name() {
        let text = line(&[span("a", "", "\u{1b}[2Jpay", (1, 2), &[("user_id", "u\u{7}-1")])]);
        let drawn = found(&text, &Query::default()).timelines[0].to_string();
        assert!(!drawn.contains(|character: char| character.is_control() && character != '\n'), "{drawn:?}");
        assert!(drawn.contains("[2Jpay"));
    }

    #[test]
    fn a_circle_of_parents_is_no_trap() {
        let text = line(&[span("a", "b", "one", (1, 2), &[]), span("b", "a", "two", (1, 2), &[])]);
        let _ = found(&text, &Query::default());
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "[\\[\\]{}\":,a-zA-Z0-9 ]{0,200}") {
            let _ = found(&text, &Query::default());
        }

        #[test]
        fn no_times_make_it_panic(start in any::<u64>(), end in any::<u64>(), other in any::<u64>()) {
            let spans = [(start, end, "a", ""), (other, start, "b", "a")].map(|(start, end, id, parent)| {
                let mut span = span(id, parent, "x", (0, 0), &[]);
                span["startTimeUnixNano"] = start.into();
                span["endTimeUnixNano"] = end.to_string().into();
                span
            });
            for timeline in found(&line(&spans), &Query::default()).timelines {
                let _ = timeline.to_string();
            }
        }
    }
}
