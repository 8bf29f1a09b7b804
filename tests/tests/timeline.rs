//! `timeline::find` on files of other exporters, on damaged files, and on files that are larger than the permitted
//! memory; and how a trace with foreign text is drawn.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use process_runtime::timeline::{self, Found, Query, Timeline};
use process_tests::isolated::isolated;
use proptest::prelude::*;
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
        assert_eq!((skipped("without the id"), found.skipped.len(), found.more_skipped), (2, 8, 0));
        assert!(found.spans_left_out > 0);
    });
    eprint!("{}", output.unwrap_or_default());
}

/// The start of the spans of the following tests, in nanoseconds since 1970.
const START: u64 = 1_795_878_182_120_000_000;

/// Returns a span with the keys that other programs write. The keys in `more` replace earlier ones.
fn span(id: usize, more: &str) -> String {
    format!(
        r#"{{"traceId":"{:032x}","spanId":"{id:016x}","name":"pay","startTimeUnixNano":"{START}","endTimeUnixNano":"{}","attributes":[{{"key":"user_id","value":{{"stringValue":"u-{id}"}}}}],"status":{{}}{more}}}"#,
        7,
        START + 1_000_000
    )
}

fn line_of(spans: &[String]) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

/// Returns the spans that a drawing shows.
fn drawn(found: &Found) -> usize {
    let lines = |timeline: &Timeline| timeline.to_string().lines().filter(|line| line.contains(" +")).count();
    found.timelines.iter().map(lines).sum()
}

/// Values in place of the usual ones, with the number of spans and of problems that they cost.
const ODD: [(&str, usize, usize); 64] = [
    // Texts.
    (r#""name":"\ud800""#, 0, 0),
    (r#""name":"\udc00\ud83d!""#, 0, 0),
    (r#""name":5"#, 0, 0),
    (r#""name":null"#, 0, 0),
    (r#""name":true"#, 0, 0),
    (r#""name":["pay"]"#, 0, 1),
    (r#""name":{"text":"pay"}"#, 0, 1),
    (r#""name":nothing"#, 0, 1),
    (r#""name":"say "pay"""#, 0, 1),
    (r#""name":"#, 0, 1),
    // Times.
    (r#""startTimeUnixNano":"""#, 0, 0),
    (r#""startTimeUnixNano":" ""#, 0, 0),
    (r#""endTimeUnixNano":null"#, 0, 0),
    (r#""endTimeUnixNano":NaN"#, 0, 1),
    (r#""startTimeUnixNano":1.79587818212e18"#, 0, 0),
    (r#""startTimeUnixNano":"2026-11-28T15:03:02.120Z""#, 0, 0),
    (r#""startTimeUnixNano":{"low":287508992,"high":418135473}"#, 0, 0),
    (r#""startTimeUnixNano":[1795878182,120000000]"#, 0, 0),
    (r#""startTimeUnixNano":"yesterday""#, 0, 1),
    (r#""startTimeUnixNano":{"no":"time"}"#, 0, 1),
    (r#""startTimeUnixNano":-1"#, 0, 0),
    (r#""start_time_unix_nano":1795878182120"#, 0, 0),
    (r#""startTimeUnixNano":1795878182"#, 0, 0),
    (r#""startTimeUnixNano":"2026-11-28 16:03:02.12 +0100 CET""#, 0, 0),
    // Ids.
    (r#""traceId":"AAAAAAAAAAAAAAAAAAAABw==""#, 0, 0),
    (r#""traceId":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7]"#, 0, 0),
    (r#""trace_id":"00000000-0000-0000-0000-000000000007""#, 0, 0),
    (r#""spanId":[1,2,3,4,5,6,7,-8]"#, 0, 0),
    (r#""spanId":17"#, 0, 0),
    (r#""spanId":{}"#, 0, 0),
    (r#""parentSpanId":"0000000000000000""#, 0, 0),
    (r#""parentSpanId":0"#, 0, 0),
    (r#""parentSpanId":"0""#, 0, 0),
    (r#""parentSpanId":[1,2,"a",4,5,6,7,8]"#, 0, 1),
    (r#""parentSpanId":"an id that is far longer than any id of OTLP, in which it has 16 digits""#, 0, 1),
    (r#""spanId":[1,2,null,4,5,6,7,8]"#, 1, 1),
    (r#""traceId":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,700]"#, 1, 1),
    (r#""traceId":null"#, 1, 1),
    (r#""traceId":{"id":"7"}"#, 1, 1),
    // Attributes and the status.
    (r#""attributes":"none""#, 0, 1),
    (r#""attributes":{"user_id":"u-1","items":3}"#, 0, 0),
    (r#""attributes":[null,{},5,{"key":5,"value":"a"},{"key":"a","value":{"doubleValue":NaN}}]"#, 0, 1),
    (
        r#""attributes":[{"key":"a","value":{"intValue":1e999}},{"key":"b","value":{"doubleValue":"-Infinity"}}]"#,
        0,
        0,
    ),
    (r#""attributes":[{"key":"a","value":{"stringValue":"\ud800"}},{"key":"\udfff","value":{}}]"#, 0, 0),
    (r#""status":"STATUS_CODE_ERROR""#, 0, 0),
    (r#""status":{"code":{}}"#, 0, 0),
    // A quote without its partner, in parts that are skipped.
    (r#""events":[{"name":"5" tall"}]"#, 0, 1),
    (r#""events":[{"name":"say "hi", ok"},{"name":"b"}]"#, 0, 2),
    (r#""events":[{"name":"{"a":[1]}"}]"#, 0, 1),
    (r#""events":[{"name":5"}]"#, 0, 1),
    (r#""links":[{"traceState":"a"="b"}]"#, 0, 1),
    (r#""links":[{"attributes":[{"key":"a" b","value":{}}]}]"#, 0, 1),
    (r#""kind":"5" tall""#, 0, 1),
    (r#""kind":["5" tall"]"#, 0, 1),
    (r#""attributes":[{"key":"a","value":{"kvlistValue":{"values":[{"key":"5" tall"}]}}}]"#, 0, 1),
    (r#""attributes":[{"key":"5" tall","value":{"stringValue":"x"}}]"#, 0, 1),
    (r#""events":[{"name":"a \" b \\"}]"#, 0, 0),
    (r#""new":{"a":"5" tall","b":{"c":["]"]}}"#, 0, 1),
    // Unknown and repeated keys, also with what is not JSON.
    (r#""name":"a","name":"b","spanId":"1","spanId":"2""#, 0, 0),
    (r#""dropped":{"a":[{"b":[1,2,{"c":"}]"}]}]}"#, 0, 0),
    (r#""new":@@?"#, 0, 0),
    (r#"'new':1"#, 0, 1),
    (r#"17"#, 0, 1),
    (r#",,,"#, 0, 0),
];

#[test]
fn a_value_that_cannot_be_read_costs_itself_and_not_the_batch() {
    for (odd, lost, problems) in ODD {
        let spans: Vec<String> = (1..=512)
            .map(|id| span(id, &if id == 256 { format!(",{odd}") } else { String::new() }))
            .collect();
        let found = find(written([line_of(&spans)].into_iter()).path(), &[], None);
        assert_eq!((found.timelines.len(), drawn(&found)), (1, 512 - lost), "{odd}");
        let problem = found.skipped.first().map(|skipped| skipped.problem.clone()).unwrap_or_default();
        let counted = match problem.rsplit_once(", and ").and_then(|(_, more)| more.split_once(' ')) {
            Some((more, _)) => 1 + more.parse::<usize>().unwrap(),
            None => found.skipped.len(),
        };
        assert_eq!(counted, problems, "{odd}: {problem}");
        // The time of the trace is that of its spans, also if one of them has none.
        assert!(found.timelines[0].to_string().contains("15:03:02."), "{odd}: {}", found.timelines[0]);
    }
}

#[test]
fn files_that_editors_and_crashes_have_changed_are_read() {
    let spans: Vec<String> = (1..=10).map(|id| span(id, "")).collect();
    let line = line_of(&spans);
    let count = |bytes: &[u8]| {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(directory.path().join("a.jsonl"), bytes).unwrap();
        let found = find(directory.path(), &[], None);
        (drawn(&found), found.skipped.len())
    };
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(&line).unwrap()).unwrap();
    let (first_half, second_half) = line.split_at(
        line.find(r#",{"traceId":"00000000000000000000000000000007","spanId":"0000000000000006""#).unwrap(),
    );
    // Each object is over several lines, and only the list around the requests is not a part of a request.
    let list = format!("[\n{},\n{}\n]\n", indented(&pretty), indented(&pretty));
    let [ids, text, key] = [r#"{"traceId":"0000"#, r#""value":{"stringValue":"u-"#, r#"{"resou"#];
    let cut = |at: &str| &line[..line.rfind(at).unwrap() + at.len()];
    for (what, text, expected) in [
        ("a mark of the encoding", format!("\u{feff}{line}\n\u{feff}{line}"), (20, 0)),
        ("the line ends of Windows", format!("{line}\r\n\r\n{line}\r\n"), (20, 0)),
        (
            "indented with the line ends of Windows",
            format!("\u{feff}{}\r\n", pretty.replace('\n', "\r\n")),
            (10, 0),
        ),
        ("no line end between two requests", format!("{line}{line} {line}"), (30, 0)),
        ("a list of requests", format!("[{line},{line}]"), (20, 0)),
        (
            "a single object in place of each list",
            line.replace("[{\"s", "{\"s").replace("]}]}]}", "]}}}"),
            (10, 0),
        ),
        ("the end is missing", format!("{line}\n{first_half},{{\"traceId\":\"0"), (15, 1)),
        ("the end of a text is missing", line[..line.len() - 40].to_owned(), (9, 1)),
        ("the start is missing", format!("{second_half}\n{line}"), (10, 1)),
        ("a request behind one that is cut", format!("{}{line}\n{line}", cut("},")), (29, 1)),
        ("a request behind one that is cut in an id", format!("{}{line}", cut(ids)), (19, 1)),
        ("a request behind one that is cut in a text", format!("{}{line}", cut(text)), (19, 1)),
        ("a request behind one that is cut in its first key", format!("{key}{line}"), (10, 1)),
        (
            "a request behind one that is cut behind its first key",
            format!("{{\"resourceSpans\":{line}"),
            (10, 1),
        ),
        ("three requests that are cut", format!("{0}{0}{0}\n{line}", cut(ids)), (37, 1)),
        (
            "a request with other names behind one that is cut",
            cut(text).to_owned() + &line.replace("{\"resourceSpans\"", "{ \"resource_spans\" "),
            (19, 1),
        ),
        ("a request behind a log request that is cut", format!("{{\"resourceLogs\":[{{\"a{line}"), (10, 1)),
        ("a list whose first request is cut", format!("[{},{line}]", cut(text)), (19, 1)),
        ("zeros between requests", format!("\0\0\0{line}\n{}\0\0\0\0{line}", cut(ids)), (29, 1)),
        ("an indented list", serde_json::to_string_pretty(&[1; 3]).unwrap().replace('1', &line), (30, 0)),
        ("an indented list of indented requests", list.clone(), (20, 0)),
        ("an indented list with the line ends of Windows", list.replace('\n', "\r\n"), (20, 0)),
        ("a list with a request on each line", format!("[\n{line},\n{line}\n]"), (20, 0)),
        ("a list around an indented request", format!("[\n  {pretty}\n]"), (10, 0)),
        ("a space behind the first bracket", pretty.replacen("{\n", "{ \n", 1), (10, 0)),
        ("text behind the first bracket", pretty.replacen("{\n ", "{", 1), (10, 0)),
        (
            "two brackets in the first line",
            pretty.replacen("{\n  \"resourceSpans\": [\n", "{\"resourceSpans\": [\n", 1),
            (10, 0),
        ),
        ("tabs", pretty.replace("  ", "\t"), (10, 0)),
        (
            "an indented request that is cut, and another",
            format!("{}\n{pretty}\n{line}", &pretty[..pretty.len() - 300]),
            (29, 1),
        ),
        (
            "an empty request, and other signals",
            "{}\n[]\n{\"resourceProfiles\":[]}\n{\"resourceMetrics\":[]}\n".to_owned() + &line,
            (10, 0),
        ),
        ("brackets at the end are missing", line[..line.len() - 6].to_owned(), (10, 1)),
        ("too many brackets", format!("{line}]}}\n{line}"), (20, 1)),
        (
            "nesting without end",
            line.replacen("{", &format!("{{\"deep\":{},", "[".repeat(99_999) + &"]".repeat(99_999)), 1),
            (10, 0),
        ),
        ("nesting without end in an attribute", span_with_deep_value(&line), (10, 0)),
    ] {
        assert_eq!(count(text.as_bytes()), expected, "{what}");
    }
    let mut bytes = line.clone().into_bytes();
    let at = line.find("pay").unwrap();
    bytes[at] = 0xff;
    assert_eq!(count(&bytes), (10, 0), "bytes that are not UTF-8");
    bytes[at] = b'\t';
    assert_eq!(count(&bytes), (10, 0), "a control character");
}

/// Indents all lines by two spaces.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_in_another_encoding_is_named_once() {
    let line = line_of(&[span(1, "")]) + "\n" + &line_of(&[span(2, "")]);
    let units = |mark: &str| format!("{mark}{line}").encode_utf16().collect::<Vec<_>>();
    let little = |mark| units(mark).into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let big = |mark| units(mark).into_iter().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    for bytes in [little("\u{feff}"), big("\u{feff}"), little(""), big("")] {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(directory.path().join("a.jsonl"), bytes).unwrap();
        let found = find(directory.path(), &[], None);
        assert_eq!((found.skipped.len(), found.skipped[0].line), (1, 1), "{found:?}");
        assert!(found.skipped[0].problem.contains("UTF-16"), "{:?}", found.skipped[0]);
    }
}

#[test]
fn any_number_of_timelines_can_be_asked_for() {
    let directory = written([line_of(&[span(1, ""), span(2, "")])].into_iter());
    for most in [0, 1, usize::MAX / 2, usize::MAX / 2 + 1, usize::MAX] {
        let found = timeline::find(directory.path(), &Query::default(), most).unwrap();
        assert_eq!((found.timelines.len(), found.left_out), (most.min(1), 1 - most.min(1)));
    }
}

/// One value of an attribute in the forms of several exporters, each with the text with which it is found.
const FORMS: [(&str, &str); 23] = [
    (r#"{"intValue":"1795878182000000000"}"#, "1795878182000000000"),
    (r#"{"intValue":1.795878182e18}"#, "1795878182000000000"),
    (r#"{"intValue":"1.795878182E+18"}"#, "1795878182000000000"),
    (r#"{"intValue":1795878182000000000.0}"#, "1795878182000000000"),
    (r#"{"intValue":"9007199254740993.0"}"#, "9007199254740993"),
    (r#"{"intValue":"-0"}"#, "0"),
    (r#"{"intValue":-0.0}"#, "0"),
    (r#"{"intValue":"+7"}"#, "7"),
    (r#"{"intValue":" 7 "}"#, "7"),
    (r#"{"intValue":"007"}"#, "7"),
    (r#"{"intValue":70e-1}"#, "7"),
    (r#"{"intValue":7.5}"#, "7.5"),
    (r#"{"intValue":{"low":7,"high":0,"unsigned":false}}"#, "7"),
    (r#"{"intValue":{"low":-1,"high":-1,"unsigned":false}}"#, "-1"),
    (r#"{"intValue":{"low":0,"high":1}}"#, "4294967296"),
    (r#"{"Value":{"StringValue":"7"}}"#, "7"),
    (r#"{"Value":{"IntValue":7}}"#, "7"),
    (r#"{"Value":{"BoolValue":true}}"#, "true"),
    (r#"{"boolValue":1}"#, "true"),
    (r#"{"boolValue":"False"}"#, "false"),
    (r#"{"doubleValue":"+0.5"}"#, "0.5"),
    (r#"{"stringValue":" 007 "}"#, " 007 "),
    (r#"7"#, "7"),
];

#[test]
fn one_value_has_one_text_in_every_form() {
    for (written_so, text) in FORMS {
        let attributes = format!(r#","attributes":[{{"key":"n","value":{written_so}}}]"#);
        let directory = written([line_of(&[span(1, &attributes)])].into_iter());
        let found = find(directory.path(), &[("n", text)], None);
        assert_eq!((found.timelines.len(), found.skipped.len()), (1, 0), "{written_so}");
    }
    // Nested without end, it costs no stack.
    let deep = r#"{"Value":"#.repeat(100_000) + "7" + &"}".repeat(100_000);
    let attributes = format!(r#","attributes":[{{"key":"n","value":{deep}}}]"#);
    let directory = written([line_of(&[span(1, &attributes)])].into_iter());
    assert_eq!(find(directory.path(), &[("n", "…")], None).timelines.len(), 1);
}

#[test]
fn a_failure_is_recognised_in_every_spelling_of_its_status() {
    for status in ["2", "\"2\"", "\"error\"", "\"STATUS_CODE_ERROR\"", "\"status_code_error\"", "\"ERROR\""] {
        for status in [status.to_owned(), format!("{{\"code\":{status}}}")] {
            let directory = written([line_of(&[span(1, &format!(",\"status\":{status}"))])].into_iter());
            assert!(find(directory.path(), &[], None).timelines[0].failed_at().is_some(), "{status}");
        }
    }
}

/// Asserts that one of a few measurements is as that of a linear reader. Other programs can slow down the others.
fn assert_linear(what: &str, measure: impl Fn() -> (bool, Duration, Duration)) {
    let measured: Vec<_> = (0..8).map(|_| measure()).take_while(|(is_linear, ..)| !is_linear).collect();
    assert!(measured.len() < 8, "{what}: {measured:?}");
}

#[test]
fn a_line_is_read_in_linear_time() {
    let time = |line: &str| {
        let directory = written([line.to_owned()].into_iter());
        fastest(|| drop(find(directory.path(), &[], None)))
    };
    for part in
        [r#"{"resourceSpans":["#, r#""a,b"c,"#, r#""a,"#, "{", "[", r#"{"a":"#, "}", "\\\"", "{ ", ",x\""]
    {
        for start in ["", r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"events":["#] {
            let [short, long] =
                [100_000, 800_000].map(|length| start.to_owned() + &part.repeat(length / part.len()));
            assert_linear(part, || {
                let (short, long) = (time(&short), time(&long));
                (long < 24 * short + Duration::from_millis(5), short, long)
            });
        }
    }
}

fn span_with_deep_value(line: &str) -> String {
    let deep = format!(r#"{{"kvlistValue":{}1{}}}"#, r#"{"a":"#.repeat(50_000), "}".repeat(50_000));
    line.replacen(r#"{"stringValue":"u-3"}"#, &deep, 1)
}

#[test]
fn a_span_that_ends_before_its_start_is_found_by_its_start() {
    let back = format!(r#","endTimeUnixNano":"{}""#, START - 3_600_000_000_000);
    let directory = written([line_of(&[span(1, &back)])].into_iter());
    let at = |nanos: u64, tolerance| {
        let around = Some((UNIX_EPOCH + Duration::from_nanos(nanos), Duration::from_millis(tolerance)));
        timeline::find(directory.path(), &Query { around, ..Query::default() }, 10).unwrap().timelines
    };
    let found = at(START, 0);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].end_time(), UNIX_EPOCH + Duration::from_nanos(START));
    assert!(found[0].to_string().contains(" 0.0ns  user_id=u-1"), "{}", found[0]);
    assert_eq!(at(START + 2_000_000, 1).len(), 0);
    // A span without a start is placed at its end.
    let without = span(1, "").replace(&format!(r#""startTimeUnixNano":"{START}","#), "");
    let directory = written([line_of(&[without])].into_iter());
    let around = Some((UNIX_EPOCH + Duration::from_nanos(START + 1_000_000), Duration::ZERO));
    let found = timeline::find(directory.path(), &Query { around, ..Query::default() }, 10).unwrap();
    assert_eq!(found.timelines.len(), 1);
}

/// Reads the fields of a line as a parser of logfmt does: `key=value`, with a quoted value as in JSON.
fn fields(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    while let Some((token, after)) = token(rest.trim_start_matches(' ')) {
        rest = after;
        if let Some(value) = rest.strip_prefix('=') {
            let (value, after) = crate::token(value).expect("a value");
            fields.push((token, value));
            rest = after;
        }
    }
    fields
}

fn token(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let value = values.next()?.unwrap();
        return Some((value, &text[values.byte_offset()..]));
    }
    let end = text.find([' ', '=', '"']).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// Texts that imitate a part of a drawing or of a line of logfmt, or that a terminal interprets.
fn hostile() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "a",
        " ",
        "  ",
        "=",
        ",",
        "\"",
        "\\",
        "\n",
        "\r",
        "\t",
        "user_id=7",
        "! +",
        "\nfailed at pay: x\n",
        "\u{1b}[2J",
        "\u{9b}31m",
        "\u{202e}",
        "\u{2066}",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\0",
        "\u{7f}",
        "\u{fffe}",
        "\u{e0041}",
        "é",
        "日本",
        "🦀",
        "'",
        "`",
        "→ ",
        "…",
        "{}",
        "\u{a0}",
    ]);
    prop::collection::vec(
        prop_oneof![4 => parts.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
        0..8,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_foreign_text_adds_no_line_and_no_field(
        values in prop::collection::vec(hostile(), 3),
        name in hostile(),
        kind in hostile(),
        key in hostile(),
        dependency in hostile(),
    ) {
        let attribute = |key: &str, value: &str| serde_json::json!({ "key": key, "value": { "stringValue": value } });
        let failed = [attribute("critical_process.outcome", "failure"), attribute("error.type", &kind)];
        let key = format!("k{}", key.replace('.', ""));
        let context = [("user_id", &values[0]), (&key, &values[1]), ("company_id", &values[2])];
        let own = context.iter().map(|(key, value)| attribute(key, value));
        let call = [attribute("critical_process.dependency", &dependency)];
        let outer = serde_json::json!({
            "traceId": "7", "spanId": "1", "name": name, "startTimeUnixNano": START,
            "attributes": failed.iter().cloned().chain(own).collect::<Vec<_>>(),
        });
        let inner = serde_json::json!({
            "traceId": "7", "spanId": "2", "parentSpanId": "1", "startTimeUnixNano": START,
            "attributes": failed.iter().cloned().chain(call).collect::<Vec<_>>(),
        });
        let request = serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [outer, inner] }] }] });
        let directory = written([request.to_string()].into_iter());
        let found = find(directory.path(), &[("user_id", &values[0])], None);
        let drawn = found.timelines[0].to_string();
        let lines: Vec<&str> = drawn.lines().collect();
        prop_assert_eq!(lines.len(), 4, "{}", drawn);
        let hidden = drawn.chars().find(|character| *character != '\n' && character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'));
        prop_assert_eq!(hidden, None);
        let expected: Vec<_> = context.iter().map(|(key, value)| ((*key).to_owned(), (*value).clone())).collect();
        let read = fields(lines[2]);
        prop_assert_eq!(read, expected, "{}", drawn);
    }
}

#[test]
fn a_text_of_a_megabyte_is_drawn_in_part() {
    let long = |letter: &str| letter.repeat(1 << 20);
    let value = |text: String| serde_json::json!({ "stringValue": text });
    let attribute = |key: &str, text: String| serde_json::json!({ "key": key, "value": value(text) });
    let mut attributes = vec![attribute("user_id", "u-1".into())];
    attributes.push(attribute(&long("k"), "short".into()));
    attributes.push(attribute("critical_process.outcome", "failure".into()));
    attributes.push(attribute("error.type", long("T")));
    attributes.push(attribute("http.request.method", long("M")));
    attributes.extend((0..40).map(|number| attribute(&format!("value_{number}"), "\u{7f}".repeat(1 << 18))));
    let span = serde_json::json!({
        "traceId": "7", "spanId": "1", "name": long("N"), "startTimeUnixNano": START, "attributes": attributes,
    });
    let record = serde_json::json!({
        "traceId": "7", "spanId": "1", "timeUnixNano": START, "severityText": "WARN", "body": value(long("R")),
    });
    let spans = serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    let records = serde_json::json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] });
    let directory = written([format!("{spans}\n"), records.to_string()].into_iter());
    let found = find(directory.path(), &[("user_id", "u-1")], None);
    assert_eq!(found.timelines.len(), 1, "{:?}", found.skipped);
    let drawn = found.timelines[0].to_string();
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert!(line.len() <= 16 << 10, "{} bytes: {line:.100}", line.len());
    }
    let mark = |kept: usize| format!("…[+{} bytes]", (1 << 20) - kept);
    assert!(lines[1].contains(&mark(256)), "{}", lines[1]);
    assert!(lines[2].contains("user_id=u-1") && lines[2].contains("=short"), "{:.999}", lines[2]);
    assert!(lines[2].ends_with(" values]"), "{}", &lines[2][lines[2].len() - 99..]);
    assert!(lines[3].starts_with("  +") && lines[3].ends_with(" bytes]"), "{}", lines[3]);
}

#[test]
fn the_name_of_a_span_cannot_look_like_a_call_to_a_dependency() {
    let span = |id: &str, name: &str, attributes: serde_json::Value| {
        serde_json::json!({
            "traceId": "7", "spanId": id, "name": name, "startTimeUnixNano": START, "attributes": attributes,
        })
    };
    let call =
        serde_json::json!([{ "key": "critical_process.dependency", "value": { "stringValue": "stripe" } }]);
    let spans = [span("1", "→ stripe", serde_json::json!([])), span("2", "call", call)];
    let request = serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let directory = written([request.to_string()].into_iter());
    let drawn = find(directory.path(), &[], Some("7")).timelines[0].to_string();
    assert_eq!(drawn.matches("  → stripe ").count(), 1, "{drawn}");
    assert_eq!(drawn.matches("\"→ stripe\"").count(), 1, "{drawn}");
}

/// Returns how long the fastest of three calls takes.
fn fastest(mut f: impl FnMut()) -> Duration {
    let took = |_| {
        let started = Instant::now();
        f();
        started.elapsed()
    };
    (0..3).map(took).min().unwrap()
}

/// A trace in which each span is inside the span before it, and ends after it.
fn deep(spans: usize) -> String {
    let spans: Vec<String> = (1..=spans)
        .map(|id| {
            let end = START + id as u64;
            let failed = r#"[{"key":"critical_process.outcome","value":{"stringValue":"failure"}}]"#;
            span(
                id,
                &format!(
                    r#","parentSpanId":"{:016x}","endTimeUnixNano":{end},"attributes":{failed}"#,
                    id - 1
                ),
            )
        })
        .collect();
    line_of(&spans)
}

#[test]
fn a_trace_is_read_in_linear_time() {
    let time = |text: String| {
        let directory = written([text].into_iter());
        fastest(|| {
            let found = find(directory.path(), &[], None);
            assert_eq!(found.spans_left_out, 0);
            assert!(found.timelines[0].failed_at().is_some() && found.timelines[0].to_string().len() > 100);
        })
    };
    for (what, make) in [
        ("a deep trace", deep as fn(usize) -> String),
        ("attributes", |count| {
            let one = r#"{"key":"a","value":{"intValue":7}}"#;
            let failed = r#"{"key":"critical_process.outcome","value":{"stringValue":"failure"}}"#;
            let many = format!(r#","attributes":[{},{failed}]"#, [one].repeat(count).join(","));
            line_of(&[span(1, &many), span(2, ""), span(3, "")])
        }),
        ("damage", |count| {
            let failed = r#"{"key":"critical_process.outcome","value":{"stringValue":"failure"}}"#;
            line_of(&[
                span(1, &format!(r#",{}"attributes":[{failed}]"#, "@[{\"}],".repeat(count))),
                span(2, ""),
            ])
        }),
    ] {
        // A quadratic reader takes sixteen times as long for four times the spans.
        assert_linear(what, || {
            let [quarter, whole] = [2_500, 10_000].map(|count| time(make(count)));
            (whole < 9 * quarter + Duration::from_millis(5), quarter, whole)
        });
    }
}
