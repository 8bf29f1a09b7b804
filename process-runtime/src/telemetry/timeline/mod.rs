//! What happened to user X at 2:43 PM (feature `telemetry`): the timelines of the runs that match, drawn from
//! OTLP-JSON files. One needs it on call, with nothing but a trace's id from a response, or a user's id and a time.
//!
//! It reads the files that [`telemetry`](crate::telemetry) writes, and those of other exporters that write a request
//! on each line ([OTLP file exporter](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/)), in whichever
//! JSON: names in camel or snake case, ids in hexadecimal or base64, enums and integers as numbers or texts, a request
//! that is indented over many lines, or the resource alone. Files are read twice, first for the traces that match and
//! then for their spans, so that the memory depends on what is found and not on what is read: lines, traces and spans
//! are bounded, whatever the files hold, and what finds no room is counted.

mod drawing;
mod otlp;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use self::drawing::Timeline;
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
    pub skipped: Vec<SkippedLine>,
    /// How many more there are.
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

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedLine {
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
        wanted.iter().filter_map(|(id, _)| Some(Timeline::new(id, spans.remove(id.as_str())?))).collect();
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
