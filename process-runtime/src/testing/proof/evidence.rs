//! Writes, reads and checks evidence. Evidence is the result of one contract, stored as one line of JSON in a file.
//! The next execution of the test replaces the file. The decision about which evidence counts does not belong here;
//! it is in [`matrix`](super::matrix).
//!
//! Each file is written under a temporary name and then renamed, so that tests in parallel programs never see a
//! partial line. By default, the files are in `process/evidence` in cargo's target directory. To merge the shards of
//! a CI run, copy their files into one directory. To use another directory, set `PROCESS_EVIDENCE_DIR` to an absolute
//! path.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use process_model::grammar::{check_id, check_version};
use process_model::{Case, Outcome, Shape, nearest};
use serde::{Deserialize, Serialize};

use super::case;
use super::problem::{self, Problem, Problems};
use crate::base::foreign::text::cut;
use crate::catalog::definition::ProcessDefinition;
use crate::testing::origin::fingerprint::Fingerprint;
pub use crate::testing::origin::place::{NoDirectory, directory};
use crate::testing::origin::revision::{Revision, Tree};
use crate::testing::origin::text::one_line;

/// The version of the format of a line.
const FORMAT: u64 = 1;
/// The maximum length of a line, in bytes.
const LINE: usize = 64 << 10;
/// The maximum length of the reason for a failure, in bytes. JSON can escape each of these bytes as six bytes.
const REASON: usize = 8 << 10;
/// The maximum length of a test's path, in bytes.
const TEST: usize = 1 << 10;
/// The maximum number of characters of a test's path in a file name.
const NAME: usize = 80;
/// The maximum size of a file that is read, in bytes.
const FILE: u64 = 64 << 20;
/// The maximum number of lines that are read from all files of a directory.
const LINES: usize = 100_000;
/// The maximum size of the lines that are read from all files of a directory, in bytes.
const BYTES: usize = 64 << 20;

/// The result of one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// The id of the process.
    pub process: String,
    /// The version of the process.
    pub version: String,
    /// The [hash](ProcessDefinition::hash) of the definition.
    pub definition: String,
    /// The case to prove.
    pub case: Case,
    /// The full path of the test.
    pub test: String,
    /// Whether the case was proven.
    pub proof: Proof,
    /// The outcome of the run that proved the case, or else of the last observed run. `None` if no run was judged, if
    /// the run did not end, and for a load.
    pub outcome: Option<Outcome>,
    /// Whether this run was late.
    pub late: bool,
    /// Whether the test binary that wrote the evidence knows that the runs of the process are futures.
    pub is_future: bool,
    /// The duration of the run or load, by the clock of the domain in which it ran. This clock can be paused.
    pub duration: Duration,
    /// The revision of the code.
    pub revision: Revision,
    /// The time at which the contract ended, in seconds since 1970 (UTC).
    pub at: u64,
    /// The source file of the test. It is part of the fingerprint in the file name, so that two tests with the same
    /// path have different evidence files. It is not written into the line.
    pub(super) source: String,
}

/// Whether a contract proved its case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The test passed, and an observed run or load proved the case.
    Proven,
    /// The test failed, for this reason.
    Failed(String),
}

/// The reason why evidence cannot be true: a value is malformed, or the run cannot have proven the case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidEvidence(String);

/// Evidence cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The directory of evidence is unknown.
    #[error(transparent)]
    NoDirectory(#[from] NoDirectory),
    /// The evidence is not [valid](Evidence::validate).
    #[error("cannot write evidence of `{test}`")]
    Invalid {
        /// The test.
        test: String,
        /// The problem.
        source: InvalidEvidence,
    },
    /// The file system reported an error.
    #[error("cannot write evidence to {}", problem::path(.file))]
    Io {
        /// The file.
        file: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl Evidence {
    /// Creates evidence for the current code and time. Set the outcome, lateness and duration of the run afterwards.
    pub fn new(process: &ProcessDefinition, case: Case, test: &str, proof: Proof) -> Evidence {
        Evidence {
            process: process.id().to_owned(),
            version: process.version().to_owned(),
            definition: process.hash().to_owned(),
            case,
            test: test.to_owned(),
            proof,
            outcome: None,
            late: false,
            is_future: process.shape() == Shape::Awaited,
            duration: Duration::ZERO,
            revision: Revision::current().clone(),
            at: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs(),
            source: String::new(),
        }
    }

    /// Checks that the values are well-formed, and that a run with this outcome can have proven the case.
    ///
    /// # Errors
    /// If a value is malformed, or if the run contradicts the proof.
    pub fn validate(&self) -> Result<(), InvalidEvidence> {
        check_id(&self.process)
            .and(check_version(&self.version))
            .and(self.case.to_string().parse::<Case>().map(drop))
            .map_err(|error| InvalidEvidence(one_line(&error.to_string())))?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.definition.len() != 32 || !self.definition.bytes().all(is_digit) {
            let problem = "it must have 32 hexadecimal digits";
            return Err(InvalidEvidence(format!(
                "invalid definition hash `{}`: {problem}",
                one_line(&self.definition)
            )));
        }
        if self.test.is_empty() || self.test.len() > TEST || self.test.contains(char::is_control) {
            let problem = format!("it must have 1 to {TEST} bytes and no control characters");
            return Err(InvalidEvidence(format!(
                "invalid path of a test `{}`: {problem}",
                one_line(&self.test)
            )));
        }
        if self.proof == Proof::Proven && !case::admits(&self.case, self.outcome, self.late) {
            let outcome = self.outcome.map_or("no outcome", Outcome::as_str);
            let late = if self.late { " that was late" } else { "" };
            let run = format!("a run with {outcome}{late}");
            return Err(InvalidEvidence(format!("case `{}` cannot be proven by {run}", self.case)));
        }
        Ok(())
    }

    /// Returns the reason why the evidence is not a proof; `None` if it is a proof.
    pub(super) fn failure(&self) -> Option<String> {
        match &self.proof {
            Proof::Proven => self.validate().err().map(|error| error.to_string()),
            Proof::Failed(reason) => Some(reason.clone()),
        }
    }

    /// Writes the evidence to the [`directory`] of this build. Returns the path of the file. The next execution of
    /// the test replaces this file.
    ///
    /// # Errors
    /// If the directory is unknown, the evidence is not [valid](Evidence::validate), or the file system reports an
    /// error.
    pub fn write(&self) -> Result<PathBuf, WriteError> {
        self.write_to(&directory()?)
    }

    /// Writes the evidence to this directory, as [`Evidence::write`] does.
    ///
    /// # Errors
    /// As [`Evidence::write`].
    pub fn write_to(&self, directory: &Path) -> Result<PathBuf, WriteError> {
        let line = self.line().map_err(|InvalidEvidence(problem)| WriteError::Invalid {
            test: one_line(&self.test),
            source: InvalidEvidence(one_line(&problem)),
        })?;
        let file = directory.join(self.file_name());
        match fs::create_dir_all(directory).and_then(|()| replace(&file, &line)) {
            Ok(()) => Ok(file),
            Err(source) => Err(WriteError::Io { file, source }),
        }
    }

    /// Returns the name of the file. Each combination of package, test binary, source file, test, process and case
    /// has a file of its own. Cargo appends a hash to the name of the binary. The hash is left out, because it
    /// depends on the compiler and the features.
    fn file_name(&self) -> String {
        let binary = env::current_exe().unwrap_or_default();
        let binary = binary.file_stem().unwrap_or_default().to_string_lossy();
        let is_hash = |end: &str| end.len() == 16 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
        let binary =
            binary.rsplit_once('-').filter(|(_, end)| is_hash(end)).map_or(&*binary, |(name, _)| name);
        let mut fingerprint = Fingerprint::new();
        fingerprint.part(env::var_os("CARGO_PKG_NAME").unwrap_or_default().as_encoded_bytes());
        for part in [binary, &self.source, &self.test, &self.process, &self.case.to_string()] {
            fingerprint.part(part.as_bytes());
        }
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let name: String = self.test.chars().take(NAME).map(plain).collect();
        format!("{name}-{}.jsonl", fingerprint.digits())
    }

    /// Formats the evidence as a line of JSON.
    fn line(&self) -> Result<String, InvalidEvidence> {
        self.validate()?;
        let (verdict, reason) = match &self.proof {
            Proof::Proven => (VerdictForm::Proven, None),
            Proof::Failed(reason) => (VerdictForm::Failed, Some(cut(reason, REASON))),
        };
        let line = Line {
            format: FORMAT,
            process: self.process.clone(),
            version: self.version.clone(),
            definition: self.definition.clone(),
            case: self.case.to_string(),
            test: self.test.clone(),
            verdict,
            outcome: self.outcome.map(|outcome| outcome.as_str().to_owned()),
            late: self.late,
            future: self.is_future,
            duration_ns: u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX),
            revision: self.revision.as_str().to_owned(),
            clean: self.revision.is_clean(),
            at: self.at,
            reason: reason.map(Cow::into_owned),
        };
        let line = serde_json::to_string(&line).map_err(|error| InvalidEvidence(error.to_string()))? + "\n";
        let is_long = line.len() > LINE;
        if is_long { Err(InvalidEvidence(format!("it has more than {} KiB", LINE >> 10))) } else { Ok(line) }
    }
}

/// Writes a file, replacing an existing one.
fn replace(file: &Path, content: &str) -> io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    // The extension differs from that of evidence files. If the program is killed and leaves the temporary file, the
    // file is then never read as evidence.
    let beside = file.with_extension(format!("{}-{since}-{number}.tmp", process::id()));
    let written = fs::write(&beside, content).and_then(|()| fs::rename(&beside, file));
    if written.is_err() {
        // Only the first error is reported.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The contents of a directory of evidence.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Gathered {
    /// The evidence that could be read, sorted by file.
    pub evidence: Vec<Evidence>,
    /// The first hundred problems.
    pub problems: Vec<Problem>,
    /// How many problems there were beyond the first hundred.
    pub omitted_problems: usize,
}

/// Reads every file `*.jsonl` in a directory. A directory that does not exist counts as empty. A line is reported as
/// a problem if it has more than 64 KiB, is truncated, has a format that this version does not support, or is not
/// [valid](Evidence::validate). The other lines are still read. At most 100 000 lines with together 64 MiB are read,
/// and only files of at most 64 MiB.
///
/// The time grows with the size of the files. The memory is at most 256 MiB, in addition to the names of the files.
pub fn read(directory: &Path) -> Gathered {
    let mut reader = Reader::default();
    match files(directory) {
        Ok(files) => files.iter().for_each(|file| reader.take_file(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => reader.problems.add(directory, None, &error),
    }
    let Reader { evidence, problems: Problems { first, omitted }, .. } = reader;
    Gathered { evidence, problems: first, omitted_problems: omitted }
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the files of a directory, one after the other.
#[derive(Default)]
struct Reader {
    evidence: Vec<Evidence>,
    problems: Problems,
    lines: usize,
    bytes: usize,
    is_full: bool,
}

impl Reader {
    fn take_file(&mut self, path: &Path) {
        if self.is_full {
            return;
        }
        if let Err(error) = self.lines_of(path) {
            self.problems.add(path, None, &error);
        }
    }

    fn lines_of(&mut self, path: &Path) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        // A pipe must not be opened, because that would wait for a writer.
        if !metadata.is_file() || metadata.len() > FILE {
            let problem = format_args!("not a regular file, or larger than {} MiB", FILE >> 20);
            self.problems.add(path, None, &problem);
            return Ok(());
        }
        let mut file = BufReader::new(File::open(path)?.take(FILE));
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            if (&mut file).take(LINE as u64 + 1).read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            self.lines += 1;
            self.bytes += bytes.len();
            self.is_full = self.lines > LINES || self.bytes > BYTES;
            if self.is_full {
                let problem = format_args!(
                    "only the first {LINES} lines of evidence, with together {} MiB, are read",
                    BYTES >> 20
                );
                self.problems.add(path, Some(line), &problem);
                break;
            }
            if bytes.len() > LINE {
                let problem = format_args!("the line has more than {} KiB", LINE >> 10);
                self.problems.add(path, Some(line), &problem);
                if !bytes.ends_with(b"\n") {
                    file.skip_until(b'\n')?;
                }
                continue;
            }
            // Some programs begin a file with a mark of its encoding.
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
            if !text.is_empty() {
                match decode(text) {
                    Ok(evidence) => self.evidence.push(evidence),
                    Err(problem) => self.problems.add(path, Some(line), &problem),
                }
            }
        }
        Ok(())
    }
}

/// Evidence in its JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: u64,
    process: String,
    version: String,
    definition: String,
    case: String,
    test: String,
    verdict: VerdictForm,
    outcome: Option<String>,
    late: bool,
    #[serde(default)]
    future: bool,
    duration_ns: u64,
    revision: String,
    clean: bool,
    at: u64,
    reason: Option<String>,
}

/// The format of a line. It is checked before the rest of the line is decoded.
#[derive(Deserialize)]
struct Head {
    format: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum VerdictForm {
    Proven,
    Failed,
}

/// Decodes a line and checks its values.
fn decode(bytes: &[u8]) -> Result<Evidence, String> {
    match serde_json::from_slice::<Head>(bytes) {
        Ok(Head { format: FORMAT }) => {}
        Ok(Head { format }) => {
            return Err(format!(
                "the line has format {format}, but this version of process-runtime supports format {FORMAT}"
            ));
        }
        Err(error) if error.is_eof() => return Err(format!("the line is truncated: {error}")),
        Err(error) => return Err(format!("the line is not valid evidence: {error}")),
    }
    let line: Line =
        serde_json::from_slice(bytes).map_err(|error| format!("the line is not valid evidence: {error}"))?;
    let evidence = Evidence {
        case: line.case.parse::<Case>().map_err(|error| error.to_string())?,
        outcome: line.outcome.as_deref().map(outcome).transpose()?,
        proof: match (line.verdict, line.reason) {
            (VerdictForm::Proven, None) => Proof::Proven,
            (VerdictForm::Failed, Some(reason)) => Proof::Failed(reason),
            (VerdictForm::Proven, Some(_)) => {
                return Err("the verdict is `proven`, but a reason for a failure is also given".to_owned());
            }
            (VerdictForm::Failed, None) => {
                return Err("the verdict is `failed`, but the reason is missing".to_owned());
            }
        },
        revision: Revision::decode(&line.revision, if line.clean { Tree::Clean } else { Tree::Changed })
            .ok_or_else(|| format!("invalid revision `{}`", line.revision))?,
        process: line.process,
        version: line.version,
        definition: line.definition,
        test: line.test,
        late: line.late,
        is_future: line.future,
        duration: Duration::from_nanos(line.duration_ns),
        at: line.at,
        source: String::new(),
    };
    evidence.validate().map_err(|error| error.to_string())?;
    Ok(evidence)
}

fn outcome(word: &str) -> Result<Outcome, String> {
    let words: BTreeMap<&str, Outcome> = Outcome::ALL.map(|outcome| (outcome.as_str(), outcome)).into();
    words.get(word).copied().ok_or_else(|| match nearest(word, words.keys().copied()) {
        Some(near) => format!("invalid outcome `{word}`; did you mean `{near}`?"),
        None => format!("invalid outcome `{word}`"),
    })
}
