//! Finds traces in OTLP-JSON files and draws them (feature `telemetry`).
//!
//! Use this module to answer questions such as "what happened to user 7 at 2:43 PM?". You need one of two things: the
//! id of a trace, for example from the header `x-trace-id` of a response, or a value of the business context, such as
//! a user's id.
//!
//! ```no_run
//! use std::time::{Duration, SystemTime};
//!
//! use process_runtime::timeline::{self, Query};
//!
//! let an_hour_ago = SystemTime::now() - Duration::from_secs(60 * 60);
//! let query = Query {
//!     context: vec![("user_id".into(), "7".into())],
//!     around: Some((an_hour_ago, Duration::from_secs(60))),
//!     ..Query::default()
//! };
//! for timeline in timeline::find("telemetry".as_ref(), &query, 10)?.timelines {
//!     println!("{timeline}");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`find`] reads the files that [`telemetry`](crate::telemetry) writes. It also reads the files of every other
//! exporter that writes one request on each line, as OpenTelemetry's
//! [OTLP file exporter](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/) does. A request can also be
//! indented over several lines, be an entry of a list, follow a request that a crash has cut off, or contain a single
//! resource instead of a list of resources. The forms of its parts are:
//!
//! | part | forms |
//! |---|---|
//! | names | camel case or snake case. Unknown names are ignored, and `null` is a value that is not set |
//! | ids | hexadecimal digits, base64, a UUID, a number, or a list of bytes |
//! | times | nanoseconds as a number or text; seconds, milli- or microseconds of this century; RFC 3339; two halves |
//! | numbers and Booleans | themselves or text; `NaN`, `Infinity` and `-Infinity` as text, or bare; two halves |
//! | attributes | a list of keys with their values, or an object |
//!
//! A value that cannot be read costs itself, and the rest of its line is read. A text with half of a surrogate pair or
//! with bytes that are not UTF-8 has U+FFFD in their place. A span without a start is placed at its end. A span that
//! ends before its start, because the clock was set back, is placed at its start. A span is lost if it is not complete,
//! or if its own id or the id of its trace cannot be read. If the id of its parent cannot be read, the parent counts as
//! missing. [`Found::skipped`] lists the lines that have lost something.
//!
//! # Limits
//!
//! Each file is read twice, first to find the traces that match, and then to read the spans and log records of
//! these traces. The time grows with the size of the files. The memory depends on the number of matches, and not on the
//! size of the files: it is at most 160 MiB, of which the spans and records of the matching traces take 64 MiB, and a
//! line 16 MiB. [`Found`] contains the number of items that exceeded the limits.

mod drawing;
mod failure;
mod forms;
mod json;
mod otlp;
mod records;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use self::drawing::Timeline;
use self::otlp::{Entry, Span};
use self::records::Record;
use self::requests::{LINE, Requests};

/// The maximum number of matching traces that are kept while the files are searched. If the caller asks for more than
/// half of this number, the maximum is twice the number that the caller asks for.
const TRACES: usize = 100_000;
/// The maximum number of spans of a trace.
const SPANS: usize = 10_000;
/// The maximum memory for all spans in bytes.
const KEPT: usize = 64 << 20;
/// The maximum number of skipped lines that are listed.
const SKIPPED: usize = 100;

/// Selects the traces that contain a span with all of these properties. A property that is empty or `None` does not
/// restrict the search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Attributes that the span must have, such as keys of the business context. Each entry is a key and its value as
    /// text.
    pub context: Vec<(String, String)>,
    /// The id of the trace: 32 hexadecimal digits, as in the header `x-trace-id` of a response, or the same id in
    /// another form in which ids are written.
    pub trace_id: Option<String>,
    /// A time at which the span was running, and a tolerance.
    pub around: Option<(SystemTime, Duration)>,
}

impl Query {
    fn matches(&self, span: &Span) -> bool {
        let has = |(key, value): &(String, String)| {
            span.attributes().any(|(own, actual)| own == key && actual == value)
        };
        let is_around = |(at, tolerance): &(SystemTime, Duration)| {
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let tolerance = tolerance.as_nanos();
            u128::from(span.start) <= at.saturating_add(tolerance) && at <= u128::from(span.end) + tolerance
        };
        self.trace_id.as_ref().is_none_or(|id| span.trace_id == *id)
            && self.context.iter().all(has)
            && self.around.as_ref().is_none_or(is_around)
    }
}

/// The result of [`find`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The matching traces, latest first.
    pub timelines: Vec<Timeline>,
    /// The number of matching traces that are not in `timelines`. Above 100,000 it is approximate, because a trace may
    /// be counted twice.
    pub left_out: usize,
    /// The number of spans that are missing from `timelines` because of two limits: 10,000 spans for each trace, and
    /// 64 MiB for all traces together.
    pub spans_left_out: usize,
    /// The number of log records that are missing from `timelines` because of the same two limits.
    pub records_left_out: usize,
    /// The lines that are longer than 16 MiB, are not OTLP requests, or have a value that could not be read. At most
    /// 100 of them.
    pub skipped: Vec<SkippedLine>,
    /// The number of skipped lines that are not in `skipped`.
    pub more_skipped: usize,
}

impl Found {
    fn skip(&mut self, file: &Path, line: usize, problem: &dyn fmt::Display) {
        match self.skipped.len() < SKIPPED {
            true => {
                self.skipped.push(SkippedLine { file: file.to_owned(), line, problem: problem.to_string() });
            }
            false => self.more_skipped += 1,
        }
    }
}

/// A line that was skipped because it is too long or is not an OTLP request, or in which a value was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedLine {
    /// The file that contains the line.
    pub file: PathBuf,
    /// The number of the line, starting at 1. For a request over several lines, this is the number of the first line.
    pub line: usize,
    /// The reason, on one line.
    pub problem: String,
}

/// Finds the matching traces in a directory, and returns up to `most` of them, the latest first.
///
/// This reads the regular files whose names end in `.jsonl` or `.json`. It does not read subdirectories.
///
/// # Errors
///
/// Returns an error if the directory or a file cannot be read. The error names the directory or file, and its source
/// is the cause.
pub fn find(directory: &Path, query: &Query, most: usize) -> io::Result<Found> {
    let mut query = query.clone();
    query.trace_id = query.trace_id.map(|id| forms::id_of(&id).unwrap_or(id));
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| read_error(directory, error))? {
        let path = entry.map_err(|error| read_error(directory, error))?.path();
        let is_named_so = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "json");
        if is_named_so && path.is_file() {
            files.push(path);
        }
    }
    files.sort();

    let mut found = Found::default();
    let mut latest: HashMap<String, u64> = HashMap::new();
    let limit = TRACES.max(most.saturating_mul(2));
    let mut forgotten = 0;
    for file in &files {
        each_entry(file, &mut |line, problem| found.skip(file, line, problem), &mut |entry| {
            let Entry::Span(span) = entry else { return };
            if query.matches(&span) {
                let start = latest.entry(span.trace_id).or_default();
                *start = span.start.max(*start);
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

    let mut traces: HashMap<&str, (Vec<Span>, Vec<Record>)> =
        wanted.iter().map(|(id, _)| (id.as_str(), Default::default())).collect();
    let mut kept = 0;
    for file in files.iter().filter(|_| !wanted.is_empty()) {
        each_entry(file, &mut |_, _| {}, &mut |entry| match entry {
            Entry::Span(span) => {
                if let Some((spans, _)) = traces.get_mut(span.trace_id.as_str()) {
                    let size = span.size();
                    found.spans_left_out += usize::from(!keep(spans, span, size, &mut kept));
                }
            }
            Entry::Record(record) => {
                if let Some((_, records)) = traces.get_mut(record.trace_id.as_str()) {
                    let size = record.size();
                    found.records_left_out += usize::from(!keep(records, record, size, &mut kept));
                }
            }
        })?;
    }
    let timeline = |(id, _): &(String, u64)| {
        let (spans, records) = traces.remove(id.as_str())?;
        Some(Timeline::new(id, spans, records))
    };
    found.timelines = wanted.iter().filter_map(timeline).collect();
    Ok(found)
}

/// Adds an entry of this size to the entries of its trace, if there is room. Returns whether there is.
fn keep<T>(entries: &mut Vec<T>, entry: T, size: usize, kept: &mut usize) -> bool {
    let has_room = entries.len() < SPANS && *kept + size <= KEPT;
    if has_room {
        *kept += size;
        entries.push(entry);
    }
    has_room
}

/// The error for a directory or file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`", .path.display())]
struct ReadError {
    path: PathBuf,
    source: io::Error,
}

fn read_error(path: &Path, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), ReadError { path: path.to_owned(), source })
}

/// Returns the ids and start times of the latest traces, at most `most`, the latest first.
fn the_latest(traces: HashMap<String, u64>, most: usize) -> Vec<(String, u64)> {
    let mut traces: Vec<_> = traces.into_iter().collect();
    traces.sort_unstable_by(|(a, first), (b, second)| second.cmp(first).then_with(|| a.cmp(b)));
    traces.truncate(most);
    traces
}

/// Calls `each` for every span and log record of a file, and `skip` for every line that could not be read completely.
fn each_entry(
    path: &Path,
    skip: &mut dyn FnMut(usize, &dyn fmt::Display),
    each: &mut dyn FnMut(Entry),
) -> io::Result<()> {
    let file = match File::open(path) {
        // The exporter may have removed the file since the directory was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(|error| read_error(path, error))?,
    };
    let mut requests = Requests::new(file);
    if requests.is_utf_16().map_err(|error| read_error(path, error))? {
        skip(1, &"the file is encoded in UTF-16; convert it to UTF-8");
        return Ok(());
    }
    let mut bytes = Vec::new();
    while let Some((line, is_whole)) = requests.next(&mut bytes).map_err(|error| read_error(path, error))? {
        if !is_whole {
            skip(line, &format_args!("the line is longer than {} MiB", LINE >> 20));
        } else if let Some(problem) = otlp::each_entry(&bytes, each) {
            skip(line, &problem);
        }
    }
    Ok(())
}
