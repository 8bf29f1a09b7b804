//! Standard output and standard error are not read, or are read late. No run waits for a reader, a late run is
//! reported, the program ends in time, and lost lines are counted.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use test_machine::program::{Running, unconfigured};

/// The time that the longest run may take on a busy machine. It is far shorter than a wait for a reader.
const RUN: Duration = Duration::from_secs(1);

/// A program that has finished its runs but has not ended yet, and the figures of its runs.
struct Unread {
    program: Running,
    saw: Value,
    directory: TempDir,
}

impl Unread {
    fn start(how: &str) -> Unread {
        let directory = tempfile::tempdir().unwrap();
        let figures = directory.path().join("figures.json");
        let mut command = unconfigured(env!("CARGO_BIN_EXE_unread"));
        command.arg(how).arg(directory.path()).arg(&figures);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = Running::start(&mut command);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !figures.exists() {
            assert!(Instant::now() < deadline, "{how}: its runs wait for a reader");
            thread::sleep(Duration::from_millis(10));
        }
        let saw = serde_json::from_str(&std::fs::read_to_string(figures).unwrap()).unwrap();
        Unread { program, saw, directory }
    }

    /// Lets the program end, and returns how long that took.
    fn end(&mut self) -> Duration {
        drop(self.program.stdin.take());
        let started = Instant::now();
        while self.program.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(30), "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(self.program.wait().unwrap().success());
        started.elapsed()
    }
}

#[test]
fn a_program_whose_output_is_not_read_runs_on_and_ends() {
    for (how, most) in [("init", Duration::from_secs(6)), ("install", Duration::from_secs(2))] {
        let mut unread = Unread::start(how);
        let took = unread.end();
        println!("{how}: {}, its end took {took:?}", unread.saw);
        assert!(unread.saw["slowest_ms"].as_u64().unwrap() < RUN.as_millis() as u64, "{how}: {}", unread.saw);
        assert_eq!(unread.saw["late"], true, "{how}: a run that hangs is reported");
        assert!(took < most, "{how}: its end took {took:?}");
    }
}

#[test]
fn a_late_reader_gets_whole_lines_in_order_and_the_number_of_the_others() {
    let mut unread = Unread::start("init");
    let output = lines_of(unread.program.stdout.take().unwrap());
    let errors = lines_of(unread.program.stderr.take().unwrap());
    unread.end();
    for (lines, key, reason) in [(output, "order ", "log"), (errors, "number=", "line")] {
        let lines = lines.join().unwrap();
        let number = |line: &String| {
            let rest = &line[line.find(key)? + key.len()..];
            assert!(line.contains("....."), "half a line: {line}");
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        let numbers: Vec<u64> = lines.iter().filter_map(number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{reason}: out of order");
        let lost = dropped(unread.directory.path(), reason);
        println!("{reason}: {} lines, {lost} lost", numbers.len());
        assert!(lost > 0, "{reason}: more lines were written than can wait");
        let runs = unread.saw["runs"].as_u64().unwrap();
        // The run that hangs and a full queue of spans are also reported, and their lines may be lost.
        assert!((runs..=runs + 10).contains(&(numbers.len() as u64 + lost)), "{reason}: of {runs}");
        let total = format!("{lost} lines so far could not be written to this output");
        assert!(lines.iter().any(|line| line.contains(&total)), "{reason}: {total}");
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(|| BufReader::new(stream).lines().map(Result::unwrap).collect())
}

/// Returns how many lines were lost for a reason, according to the last measurements.
fn dropped(directory: &Path, reason: &str) -> u64 {
    let mut files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.to_string_lossy().contains("-metrics.")).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let request: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let metrics = request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let dropped =
        metrics.iter().find(|metric| metric["name"] == "critical_process.telemetry.dropped").unwrap();
    let mut points = dropped["sum"]["dataPoints"].as_array().unwrap().iter();
    let point = points.find(|point| point["attributes"][0]["value"]["stringValue"] == reason).unwrap();
    point["asInt"].as_str().map_or_else(|| point["asInt"].as_u64(), |text| text.parse().ok()).unwrap()
}
