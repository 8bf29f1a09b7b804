//! OTLP-JSON files, a request on each line
//! ([OTLP file exporter](https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/)), in a directory that
//! never holds more than [`MOST`]: the oldest files go first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::report;

/// The bytes of a file from which on the next is begun.
const FILE: u64 = 16 << 20;
/// The most bytes of all files.
const MOST: u64 = 128 << 20;
/// What the names of all files end in.
const ENDING: &str = ".otlp.jsonl";

/// A directory of files.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    file: u64,
    most: u64,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned(), file: FILE, most: MOST }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new file. Its name sorts by time, and is no other process's.
    fn begin(&self, signal: &str) -> io::Result<File> {
        fs::create_dir_all(&self.path)?;
        self.make_room()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{:015}-{}-{signal}{ENDING}", now.as_micros() / 100, std::process::id());
        OpenOptions::new().create(true).append(true).open(self.path.join(name))
    }

    /// Removes the oldest files until another has room.
    fn make_room(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(ENDING)
                && let Ok(metadata) = entry.metadata()
            {
                files.push((entry.file_name(), entry.path(), metadata.len()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(.., bytes)| bytes).sum();
        for (_, path, freed) in files {
            if bytes + self.file <= self.most {
                break;
            }
            // Another process may have been faster.
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
            bytes -= freed;
        }
        Ok(())
    }
}

/// The file that a signal is written to now.
#[derive(Debug)]
struct Current {
    file: Option<(File, u64)>,
}

/// Writes one signal.
#[derive(Debug)]
pub(super) struct FileExporter {
    directory: Arc<Directory>,
    signal: &'static str,
    current: Mutex<Current>,
    resource: ResourceAttributesWithSchema,
}

impl FileExporter {
    pub(super) fn new(directory: &Arc<Directory>, signal: &'static str) -> FileExporter {
        FileExporter {
            directory: Arc::clone(directory),
            signal,
            current: Mutex::new(Current { file: None }),
            resource: ResourceAttributesWithSchema::default(),
        }
    }

    /// Writes one line, whole or not at all.
    fn write(&self, mut line: Vec<u8>) -> OTelSdkResult {
        line.push(b'\n');
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let written = current.write(&line, &self.directory, self.signal);
        written.map_err(|error| {
            let directory = self.directory.path.display();
            report::once(format!(
                "{} cannot be written to {directory}, and are lost until they can: {error}",
                self.signal
            ));
            OTelSdkError::InternalFailure(error.to_string())
        })
    }
}

impl Current {
    fn write(&mut self, line: &[u8], directory: &Directory, signal: &str) -> io::Result<()> {
        let (file, bytes) = match &mut self.file {
            Some((file, bytes)) if *bytes < directory.file => (file, bytes),
            full => {
                let (file, bytes) = full.insert((directory.begin(signal)?, 0));
                (file, bytes)
            }
        };
        if let Err(error) = file.write_all(line) {
            // A full disk takes half a line. A file that cannot be cut either is left for a new one.
            if file.set_len(*bytes).is_err() {
                self.file = None;
            }
            return Err(error);
        }
        *bytes += line.len() as u64;
        Ok(())
    }
}

impl SpanExporter for FileExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let request = ExportTraceServiceRequest { resource_spans };
        self.write(
            serde_json::to_vec(&request).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?,
        )
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

impl PushMetricExporter for FileExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = ExportMetricsServiceRequest::from(metrics);
        self.write(
            serde_json::to_vec(&request).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?,
        )
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
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("the directory is there");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_rotated_and_the_directory_is_bounded() {
        let path = std::env::temp_dir().join(format!("process-runtime-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        let directory = Arc::new(Directory { path: path.clone(), file: 1000, most: 5000 });
        let exporter = FileExporter::new(&directory, "traces");
        fs::create_dir_all(&path).expect("the directory of temporary files is writable");
        fs::write(path.join("notes.txt"), vec![b'x'; 9000]).expect("writable");
        for _ in 0..200 {
            exporter.write(vec![b'x'; 399]).expect("writable");
            std::thread::sleep(Duration::from_micros(200));
        }
        let files: Vec<_> = names(&path).into_iter().filter(|name| name.ends_with(ENDING)).collect();
        let bytes = files.iter().map(|name| fs::metadata(path.join(name)).expect("there").len());
        let bytes: Vec<_> = bytes.collect();
        assert!(bytes.iter().all(|bytes| *bytes <= 1400), "{bytes:?}");
        assert!(bytes.iter().sum::<u64>() <= 5400, "{bytes:?}");
        assert!(files.len() > 2, "{files:?}");
        assert!(path.join("notes.txt").exists(), "what is not ours stays");
        fs::remove_dir_all(&path).expect("removable");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_and_no_panic() {
        let directory = Arc::new(Directory::new(Path::new("/dev/null/telemetry")));
        let exporter = FileExporter::new(&directory, "traces");
        assert!(exporter.write(b"{}".to_vec()).is_err());
        assert!(report::said().iter().any(|line| line.contains("/dev/null/telemetry")));
    }
}
