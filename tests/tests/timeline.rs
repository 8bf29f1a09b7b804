//! `timeline::find` over files that others wrote, and over more than fits into memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use process_runtime::timeline::{self, Found, Query};
use process_tests::isolated::isolated;
use serde_json::json;

fn find(directory: &Path, context: &[(&str, &str)], trace_id: Option<&str>) -> Found {
    let context = context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let query = Query { context, trace_id: trace_id.map(str::to_owned), around: None };
    timeline::find(directory, &query, 10).unwrap()
}

#[test]
fn files_of_other_exporters_read_as_well() {
    let samples = [
        ("python", "e3f06c7f5186b6cbe1542f0f94ee4821"),
        ("javascript", "80dd6fc8c270548dadfec5de376aaab1"),
        ("protobuf", "e3f06c7f5186b6cbe1542f0f94ee4821"),
        ("protobuf-snake", "e3f06c7f5186b6cbe1542f0f94ee4821"),
    ];
    for (writer, id) in samples {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/foreign").join(writer);
        let context = [("user_id", "u-1"), ("items", "3"), ("vip", "true"), ("ratio", "0.5")];
        for found in [find(&directory, &context, None), find(&directory, &[], Some(id))] {
            assert_eq!((found.timelines.len(), &found.skipped[..]), (1, &[][..]), "{writer}");
            let timeline = &found.timelines[0];
            assert_eq!(timeline.trace_id(), id, "{writer}");
            assert_eq!(timeline.failed_at(), Some(("charge", "Declined".to_owned())), "{writer}");
            let drawn = timeline.to_string();
            // After the mark and the time.
            let names =
                drawn.lines().skip(2).filter_map(|line| line.split_once("s  ")?.1.split("   ").next());
            assert_eq!(names.collect::<Vec<_>>(), ["checkout", "  reserve", "  charge"], "{writer}: {drawn}");
        }
        assert_eq!(find(&directory, &[("user_id", "u-2")], None).timelines.len(), 0, "{writer}");
    }
}

/// A directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn write(&self, lines: impl Iterator<Item = String>) {
        let mut file = BufWriter::new(File::create(self.0.join("traces.jsonl")).unwrap());
        lines.for_each(|line| file.write_all(line.as_bytes()).unwrap());
        file.flush().unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes of the files that are larger than memory should be.
fn size() -> usize {
    std::env::var("PROCESS_TIMELINE_MIB").map_or(64, |mib| mib.parse().expect("a number")) << 20
}

/// The most bytes that this process ever had in memory.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// What reading them may take, whatever their size.
const MEMORY: usize = 48 << 20;

fn find_within_bounds(scratch: &Scratch, context: &[(&str, &str)]) -> Found {
    let started = Instant::now();
    let found = find(&scratch.0, context, None);
    eprintln!(
        "{} MiB in {:.1?}, with at most {} MiB in memory",
        size() >> 20,
        started.elapsed(),
        peak() >> 20
    );
    assert!(peak() < MEMORY, "{} MiB", peak() >> 20);
    found
}

/// A request of 200 spans, each a trace of its own.
fn request(number: usize) -> String {
    let spans = (number * 200..number * 200 + 200).map(|span| {
        json!({
            "traceId": format!("{span:032x}"), "spanId": format!("{span:016x}"),
            "startTimeUnixNano": (1_000_000 + span).to_string(),
            "attributes": [{ "key": "n", "value": { "intValue": (span % 1000).to_string() } }],
        })
    });
    let spans: Vec<_> = spans.collect();
    format!("{}\n", json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }))
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_depend_on_what_is_read() {
    let said = isolated("memory_does_not_depend_on_what_is_read", || {
        let scratch = Scratch::new("timeline-much");
        let one = request(0).len();
        let requests = size() / one;
        scratch.write((0..requests).map(request));
        // Every trace there is: far more than can be compared at once.
        let found = find_within_bounds(&scratch, &[]);
        let last = requests * 200 - 1;
        assert_eq!(found.timelines[0].trace_id(), format!("{last:032x}"));
        assert_eq!(found.timelines.len() + found.left_out, requests * 200);
        assert!(found.skipped.is_empty());
    });
    eprint!("{}", said.unwrap_or_default());
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_without_an_end_and_lines_without_number_are_told_within_bounds() {
    let said = isolated("a_line_without_an_end_and_lines_without_number_are_told_within_bounds", || {
        let scratch = Scratch::new("timeline-lines");
        let good = request(0);
        let endless = std::iter::repeat_with(|| "[".repeat(1 << 20)).take(size() >> 20);
        let foreign = std::iter::repeat_with(|| "foreign\n".repeat(1 << 10)).take(size() >> 16);
        scratch.write(endless.chain(["\n".to_owned()]).chain(foreign).chain([good]));
        let found = find_within_bounds(&scratch, &[("n", "199")]);
        assert_eq!(found.timelines.len(), 1);
        assert!(found.skipped[0].problem.contains("longer than"), "{:?}", found.skipped[0]);
        assert_eq!(found.skipped.len() + found.more_skipped, 1 + (size() >> 6));
    });
    eprint!("{}", said.unwrap_or_default());
}
