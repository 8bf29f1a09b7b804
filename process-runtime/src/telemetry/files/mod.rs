//! Writes OTLP-JSON files with one request on each line, in the format of OpenTelemetry's
//! [OTLP file exporter](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/).
//!
//! At most [`FILES`] of these files are kept, with [`MOST`] bytes in total. If a new file needs room, the least
//! recently written files are removed. The content of spans, metrics and log records must not be changed in here.

mod numbers;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::diagnostics::ALREADY_REPORTED;
use super::signal::Signal;
use crate::base::lock::lock;

/// The maximum size of a file in bytes. A file with a single line may be larger.
const FILE: u64 = 16 << 20;
/// The maximum size of all files in bytes.
const MOST: u64 = 128 << 20;
/// The maximum number of files. Each start of a program creates new files, and even a short file occupies a block of
/// the disk.
const FILES: usize = 256;
/// The suffix of the files' names.
const ENDING: &str = ".otlp.jsonl";

/// A directory of OTLP-JSON files with a limited size.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    file: u64,
    most: u64,
    files: usize,
    /// For each signal, the name of the file to which this program currently writes the signal.
    in_use: Mutex<BTreeMap<&'static str, OsString>>,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Directory {
        Directory::bounded(path, FILE, MOST, FILES)
    }

    fn bounded(path: &Path, file: u64, most: u64, files: usize) -> Directory {
        Directory { path: path.to_owned(), file, most, files, in_use: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a new file for a signal, after making room in the directory for at least this line. The name of the
    /// file starts with the time of its creation, so that names sort by time. The name also contains the id of this
    /// operating-system process, so that two programs do not share a file.
    fn begin(&self, signal: &'static str, line: &[u8]) -> io::Result<Current> {
        let mut in_use = lock(&self.in_use);
        in_use.remove(signal);
        fs::create_dir_all(&self.path)?;
        self.make_room(self.file.max(line.len() as u64), &in_use)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut time = now.as_micros() / 100;
        loop {
            let name = format!("{time:015}-{}-{signal}{ENDING}", std::process::id());
            let path = self.path.join(&name);
            // Only a new file is certain to be a file. Opening a pipe waits for a reader.
            match OpenOptions::new().create_new(true).append(true).open(&path) {
                Ok(file) => {
                    in_use.insert(signal, name.into());
                    return Ok(Current { file, path, bytes: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => time += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the least recently written files, until there is room for a new file of `needed` bytes. The files that
    /// this program is writing are kept. Each kept file counts as at least the maximum size of a file, because it may
    /// still grow.
    fn make_room(&self, needed: u64, in_use: &BTreeMap<&'static str, OsString>) -> io::Result<()> {
        let is_in_use = |name: &OsString| in_use.values().any(|used| used == name);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(ENDING)
                && let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                let written = metadata.modified().unwrap_or(UNIX_EPOCH);
                let (name, bytes) = (entry.file_name(), metadata.len());
                let taken = if is_in_use(&name) { bytes.max(self.file) } else { bytes };
                files.push((written, name, entry.path(), taken));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(.., bytes)| bytes).sum();
        let mut left = files.len();
        for (_, name, path, freed) in files {
            if bytes + needed <= self.most && left < self.files {
                break;
            }
            if is_in_use(&name) {
                continue;
            }
            // Another operating-system process may have removed the file.
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
            bytes -= freed;
            left -= 1;
        }
        Ok(())
    }
}

/// The file that a signal is currently written to.
#[derive(Debug)]
struct Current {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Current {
    fn is_gone(&self) -> bool {
        matches!(self.path.try_exists(), Ok(false))
    }
}

/// Exports one signal to files.
#[derive(Debug)]
pub(super) struct FileExporter {
    directory: Arc<Directory>,
    signal: &'static Signal,
    current: Mutex<Option<Current>>,
    resource: ResourceAttributesWithSchema,
}

impl FileExporter {
    pub(super) fn new(directory: &Arc<Directory>, signal: &'static Signal) -> FileExporter {
        FileExporter {
            directory: Arc::clone(directory),
            signal,
            current: Mutex::default(),
            resource: ResourceAttributesWithSchema::default(),
        }
    }

    /// Writes a request as one line.
    fn write_request(&self, request: &impl serde::Serialize) -> OTelSdkResult {
        self.write(
            numbers::to_vec(request).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?,
        )
    }

    /// Writes one line, completely or not at all.
    fn write(&self, mut line: Vec<u8>) -> OTelSdkResult {
        line.push(b'\n');
        let mut current = lock(&self.current);
        let mut written = self.append(&mut current, &line);
        // Another operating-system process may have removed the file to make room. The line is then gone, so it is
        // written again to a new file.
        if written.is_ok() && current.as_ref().is_some_and(Current::is_gone) {
            *current = None;
            written = self.append(&mut current, &line);
        }
        match written {
            Ok(()) => {
                self.signal.unwritten.ended();
                Ok(())
            }
            Err(error) => {
                let directory = self.directory.path.display();
                self.signal
                    .unwritten
                    .happened(format_args!("{directory}, so they are lost until this works: {error}"));
                Err(OTelSdkError::InternalFailure(ALREADY_REPORTED.to_owned()))
            }
        }
    }

    fn append(&self, current: &mut Option<Current>, line: &[u8]) -> io::Result<()> {
        let open = match &mut *current {
            Some(open) if open.bytes + line.len() as u64 <= self.directory.file => open,
            full => full.insert(self.directory.begin(self.signal.name, line)?),
        };
        if let Err(error) = open.file.write_all(line) {
            // If the disk is full, a part of the line may be in the file. If that part cannot be removed, the next
            // line goes to a new file.
            if open.file.set_len(open.bytes).is_err() {
                *current = None;
            }
            return Err(error);
        }
        open.bytes += line.len() as u64;
        Ok(())
    }
}

impl SpanExporter for FileExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        self.write_request(&ExportTraceServiceRequest { resource_spans })
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl LogExporter for FileExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(&batch, &self.resource);
        self.write_request(&ExportLogsServiceRequest { resource_logs })
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl PushMetricExporter for FileExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.write_request(&ExportMetricsServiceRequest::from(metrics))
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};

    use super::super::signal::{METRICS, TRACES};
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("the directory is there");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("process-runtime-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    /// Returns the size of each OTLP-JSON file.
    fn sizes(path: &Path) -> Vec<u64> {
        let ours = names(path).into_iter().filter(|name| name.ends_with(ENDING));
        ours.map(|name| fs::metadata(path.join(name)).expect("there").len()).collect()
    }

    /// Writes lines with a pause after each line. The files that the lines fill then have different names.
    fn fill(exporter: &FileExporter, lines: usize) {
        for _ in 0..lines {
            exporter.write(vec![b'x'; 399]).expect("writable");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn text_of(path: &Path, signal: &str) -> String {
        let of_signal = names(path).into_iter().filter(|name| name.contains(signal));
        of_signal.map(|name| fs::read_to_string(path.join(name)).expect("readable")).collect()
    }

    #[test]
    fn files_are_rotated_and_the_directory_is_bounded() {
        let path = scratch("files");
        let directory = Arc::new(Directory::bounded(&path, 1000, 5000, 100));
        let exporter = FileExporter::new(&directory, &TRACES);
        fs::create_dir_all(&path).expect("the directory of temporary files is writable");
        fs::write(path.join("notes.txt"), vec![b'x'; 9000]).expect("writable");
        fill(&exporter, 200);
        let bytes = sizes(&path);
        assert!(bytes.iter().all(|bytes| *bytes <= 1000), "{bytes:?}");
        assert!(bytes.iter().sum::<u64>() <= 5000, "{bytes:?}");
        assert!(bytes.len() > 2, "{bytes:?}");
        assert!(path.join("notes.txt").exists(), "other files stay");
        fs::remove_dir_all(&path).expect("removable");
    }

    #[test]
    fn the_directory_is_bounded_in_whichever_order_the_signals_grow() {
        let path = scratch("signals");
        let directory = Arc::new(Directory::bounded(&path, 1000, 5000, 100));
        let [metrics, traces] = [&METRICS, &TRACES].map(|signal| FileExporter::new(&directory, signal));
        let is_bounded = || assert!(sizes(&path).iter().sum::<u64>() <= 5000, "{:?}", sizes(&path));
        // The first file of the metrics still has room while several files of traces are filled.
        metrics.write(vec![b'x'; 99]).expect("writable");
        for _ in 0..8 {
            traces.write(vec![b'x'; 974]).expect("writable");
            std::thread::sleep(Duration::from_micros(200));
            is_bounded();
        }
        metrics.write(vec![b'x'; 899]).expect("writable");
        is_bounded();
        // A line that is longer than the maximum gets a file of its own.
        traces.write(vec![b'x'; 2999]).expect("writable");
        is_bounded();
        fs::remove_dir_all(&path).expect("removable");
    }

    #[test]
    fn a_file_in_use_is_not_removed_however_old_it_is() {
        let path = scratch("in-use");
        let directory = Arc::new(Directory::bounded(&path, 1000, 5000, 100));
        let (metrics, traces) =
            (FileExporter::new(&directory, &METRICS), FileExporter::new(&directory, &TRACES));
        metrics.write(b"first".to_vec()).expect("writable");
        fill(&traces, 40);
        metrics.write(b"second".to_vec()).expect("writable");
        assert_eq!(text_of(&path, "metrics"), "first\nsecond\n");
        fs::remove_dir_all(&path).expect("removable");
    }

    #[test]
    fn lines_are_kept_after_another_process_removed_the_file() {
        let path = scratch("removed");
        let directory = Arc::new(Directory::bounded(&path, 1000, 5000, 100));
        let metrics = FileExporter::new(&directory, &METRICS);
        metrics.write(b"first".to_vec()).expect("writable");
        names(&path).into_iter().for_each(|name| fs::remove_file(path.join(name)).expect("removable"));
        for line in ["second", "third"] {
            metrics.write(line.into()).expect("writable");
        }
        assert_eq!(text_of(&path, "metrics"), "second\nthird\n");
        fs::remove_dir_all(&path).expect("removable");
    }

    #[test]
    fn the_files_of_many_starts_are_bounded_in_number() {
        let path = scratch("starts");
        for _ in 0..60 {
            let directory = Arc::new(Directory::bounded(&path, 1000, 1 << 20, 10));
            for signal in [&TRACES, &METRICS] {
                FileExporter::new(&directory, signal).write(b"{}".to_vec()).expect("writable");
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(names(&path).len(), 10);
        fs::remove_dir_all(&path).expect("removable");
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_an_error_and_not_a_panic() {
        let directory = Arc::new(Directory::new(Path::new("/dev/null/telemetry")));
        let exporter = FileExporter::new(&directory, &TRACES);
        assert!(exporter.write(b"{}".to_vec()).is_err());
        assert!(crate::base::cause::occurred().iter().any(|line| line.contains("/dev/null/telemetry")));
    }

    #[test]
    fn numbers_that_json_lacks_are_read_back_as_they_were() {
        let path = scratch("numbers");
        let directory = Arc::new(Directory::new(&path));
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
            .with_simple_exporter(FileExporter::new(&directory, &TRACES))
            .build();
        let values =
            [("a", f64::NAN, "NaN"), ("b", f64::INFINITY, "Infinity"), ("c", -f64::INFINITY, "-Infinity")];
        let mut span = provider.tracer("tests").start("pay");
        span.set_attributes(values.map(|(key, value, _)| opentelemetry::KeyValue::new(key, value)));
        span.end();
        let context = values.map(|(key, _, text)| (key.to_owned(), text.to_owned())).to_vec();
        let query = crate::timeline::Query { context, ..Default::default() };
        let found = crate::timeline::find(&path, &query, 10).expect("readable");
        assert_eq!((found.timelines.len(), found.skipped.len()), (1, 0), "{}", text_of(&path, "traces"));
        assert!(found.timelines[0].to_string().contains("a=NaN  b=Infinity  c=-Infinity"));
        fs::remove_dir_all(&path).expect("removable");
    }
}
