//! `timeline::find` on files of other exporters, and on files that are larger than the permitted memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use process_runtime::timeline::{self, Found, Query};
use process_tests::isolated::isolated;
use tempfile::TempDir;
use test_machine::memory;

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
            // In a line of the drawing, the name comes after the mark and the time.
            let names =
                drawn.lines().skip(2).filter_map(|line| line.split_once("s  ")?.1.split("   ").next());
            assert_eq!(names.collect::<Vec<_>>(), ["checkout", "  reserve", "  charge"], "{writer}: {drawn}");
        }
        assert_eq!(find(&directory, &[("user_id", "u-2")], None).timelines.len(), 0, "{writer}");
    }
}

/// Creates a directory with one file that contains these lines.
fn written(lines: impl Iterator<Item = String>) -> TempDir {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut file = BufWriter::new(File::create(directory.path().join("traces.jsonl")).unwrap());
    lines.for_each(|line| file.write_all(line.as_bytes()).unwrap());
    file.flush().unwrap();
    directory
}

/// Returns the size of a file that is larger than the permitted memory, in bytes.
fn size() -> usize {
    std::env::var("PROCESS_TIMELINE_MIB").map_or(64, |mib| mib.parse().expect("a number")) << 20
}

/// The memory that reading may take for a file of any size.
const MEMORY: u64 = 48 << 20;

fn find_within(most: u64, directory: &TempDir, context: &[(&str, &str)]) -> Found {
    let length = fs::metadata(directory.path().join("traces.jsonl")).unwrap().len();
    let started = Instant::now();
    let found = find(directory.path(), context, None);
    let (took, peak) = (started.elapsed(), memory::peak().expect("the test is for Linux"));
    eprintln!("{} MiB in {took:.1?}, with at most {} MiB in memory", length >> 20, peak >> 20);
    assert!(peak < most, "{} MiB", peak >> 20);
    found
}

/// Returns a request with 200 spans, each in a trace of its own. The request is formatted as text, because writing a
/// gigabyte of JSON values takes minutes.
fn request(number: usize) -> String {
    let spans = (number * 200..number * 200 + 200).map(|span| {
        format!(
            r#"{{"traceId":"{span:032x}","spanId":"{span:016x}","startTimeUnixNano":"{}","attributes":[{{"key":"n","value":{{"intValue":"{}"}}}}]}}"#,
            1_000_000 + span,
            span % 1000
        )
    });
    let spans: Vec<_> = spans.collect();
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(",")) + "\n"
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
fn memory_does_not_depend_on_what_is_read() {
    let output = isolated(|| {
        let one = request(0).len();
        let requests = size() / one;
        let directory = written((0..requests).map(request));
        // Every trace matches. These are far more traces than can be compared at once.
        let found = find_within(MEMORY, &directory, &[]);
        let last = requests * 200 - 1;
        assert_eq!(found.timelines[0].trace_id(), format!("{last:032x}"));
        assert_eq!(found.timelines.len() + found.left_out, requests * 200);
        assert!(found.skipped.is_empty());
    });
    eprint!("{}", output.unwrap_or_default());
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
fn a_line_without_an_end_and_lines_without_number_are_reported_within_bounds() {
    let output = isolated(|| {
        let good = request(0);
        let endless = std::iter::repeat_with(|| "[".repeat(1 << 20)).take(size() >> 20);
        let foreign = std::iter::repeat_with(|| "foreign\n".repeat(1 << 10)).take(size() >> 16);
        let directory = written(endless.chain(["\n".to_owned()]).chain(foreign).chain([good]));
        let found = find_within(MEMORY, &directory, &[("n", "199")]);
        assert_eq!(found.timelines.len(), 1);
        assert!(found.skipped[0].problem.contains("longer than"), "{:?}", found.skipped[0]);
        assert_eq!(found.skipped.len() + found.more_skipped, 1 + (size() >> 6));
    });
    eprint!("{}", output.unwrap_or_default());
}

/// The memory that reading may take if lines have the greatest length and content. It is for one line, the parsed
/// form of that line, and the kept spans, which take up to 64 MiB.
const HOSTILE: u64 = 160 << 20;

/// Returns a request with one span, in which something is repeated until the line is almost too long.
fn stuffed([before, item, after]: [&str; 3]) -> String {
    let start = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab","spanId":"1"#;
    let room = (16 << 20) - 1_000;
    let separator = if item.ends_with('a') { "" } else { "," };
    let items = format!("{item}{separator}").repeat(room / (item.len() + separator.len()));
    format!("{start}{before}{}{after}\n", items.trim_end_matches(','))
}

/// For each part of a span, the text before the repeated item, the item, and the text after it.
const STUFFED: [[&str; 3]; 10] = [
    ["", "aaaaaaaa", r#""}]}]}]}"#],
    [r#"","name":""#, "aaaaaaaa", r#""}]}]}]}"#],
    [r#"","status":{"code":""#, "aaaaaaaa", r#""}}]}]}]}"#],
    [r#"","status":{"code":["#, "[]", r#"]}}]}]}]}"#],
    [r#"","attributes":[{"key":""#, "aaaaaaaa", r#""}]}]}]}]}"#],
    [r#"","attributes":["#, "{}", r#"]}]}]}]}"#],
    [r#"","attributes":["#, r#"{"key":"a"}"#, r#"]}]}]}]}"#],
    [r#"","attributes":[{"key":"a","value":{"arrayValue":{"values":["#, "0", r#"]}}}]}]}]}]}"#],
    [r#""},"#, "{}", r#"]}]}]}"#],
    [r#""},"#, r#"{"traceId":"ab"}"#, r#"]}]}]}"#],
];

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads its memory from /proc")]
fn lines_that_hold_as_much_as_they_can_take_no_more_than_they_may() {
    let output = isolated(|| {
        // Each line is written twice, so the file has more spans than may be kept.
        let directory = written(STUFFED.into_iter().chain(STUFFED).map(stuffed));
        let found = find_within(HOSTILE, &directory, &[]);
        assert_eq!((found.timelines.len(), found.timelines[0].trace_id()), (1, "ab"));
        let skipped =
            |what: &str| found.skipped.iter().filter(|skipped| skipped.problem.contains(what)).count();
        assert_eq!((skipped("an id of"), skipped("a list has more than")), (2, 4), "{:?}", found.skipped);
        assert_eq!((found.skipped.len(), found.more_skipped), (6, 0), "{:?}", found.skipped);
        assert!(found.spans_left_out > 0);
    });
    eprint!("{}", output.unwrap_or_default());
}
