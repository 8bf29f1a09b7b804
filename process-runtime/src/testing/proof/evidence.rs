//! What a contract run leaves behind: one line of JSON in a file of its own, which the test that runs again replaces.
//! Here it is written, read and checked; what it counts for is [`matrix`](super::matrix)'s.
//!
//! A file is written beside its place and renamed, so tests in parallel processes never see half a line, and shards of
//! CI are merged by copying their files together. `PROCESS_EVIDENCE_DIR` (an absolute path) names another directory
//! than `process/evidence` in cargo's target directory.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use process_model::grammar::{check_id, check_version};
use process_model::{Case, Outcome, nearest};
use serde::{Deserialize, Serialize};

use super::case;
use super::problem::Problem;
use crate::catalog::definition::ProcessDefinition;
use crate::testing::origin::fingerprint::Fingerprint;
pub use crate::testing::origin::place::{NoDirectory, directory};
use crate::testing::origin::revision::{Revision, Tree};
use crate::testing::origin::text::{at_most, one_line};

/// The version of the form of a line.
const FORMAT: u64 = 1;
/// The longest line.
const LINE: usize = 64 << 10;
/// The most bytes of a reason, each of which may be six in JSON.
const REASON: usize = 8 << 10;
/// The most bytes of a test's path.
const TEST: usize = 1 << 10;
/// The most characters of a test's path in a file's name.
const NAME: usize = 80;
/// The largest file that is read.
const FILE: u64 = 64 << 20;
/// The most lines that are read.
const LINES: usize = 100_000;
/// The most problems that are told of one by one.
const PROBLEMS: usize = 100;

/// That a contract ran, and what was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// Id of the process.
    pub process: String,
    /// Version of the process.
    pub version: String,
    /// The definition's [hash](ProcessDefinition::hash).
    pub definition: String,
    /// What was to be proven.
    pub case: Case,
    /// Full path of the test.
    pub test: String,
    /// Whether it was.
    pub proof: Proof,
    /// How the run ended; nothing where no single one did, as under load.
    pub outcome: Option<Outcome>,
    /// Whether the run was late.
    pub late: bool,
    /// How long the run took, in the time that it saw.
    pub duration: Duration,
    /// The code that ran.
    pub revision: Revision,
    /// When the contract ended, in seconds since 1970 (UTC).
    pub at: u64,
    /// The source file of the test, which tells its evidence from that of a namesake in the same package; it is no part
    /// of the evidence itself.
    pub(super) source: String,
}

/// What came of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The case was observed, and everything held.
    Proven,
    /// It was not, and why.
    Failed(String),
}

/// Evidence that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is nowhere to write it.
    #[error(transparent)]
    NoDirectory(#[from] NoDirectory),
    /// It says what cannot be, so it would be no evidence to whoever reads it.
    #[error("evidence of `{test}` is refused: {flaw}")]
    Flawed {
        /// The test.
        test: String,
        /// What cannot be.
        flaw: String,
    },
    /// The file system refuses.
    #[error("evidence cannot be written to {}: {source}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Evidence {
    /// Evidence for the code of this test, now. What was observed is filled in afterwards: until then no run ended.
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
            duration: Duration::ZERO,
            revision: Revision::current().clone(),
            at: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs(),
            source: String::new(),
        }
    }

    /// What in it cannot be: a malformed value, or a proof of a case by a run that did not go that way.
    pub fn flaw(&self) -> Option<String> {
        let error = check_id(&self.process)
            .and(check_version(&self.version))
            .and(self.case.to_string().parse::<Case>().map(drop));
        if let Err(error) = error {
            return Some(error.to_string());
        }
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.definition.len() != 32 || !self.definition.bytes().all(is_digit) {
            return Some(format!("`{}` is no hash of a definition, which has 32 digits", self.definition));
        }
        if self.test.is_empty() || self.test.len() > TEST || self.test.contains(char::is_control) {
            return Some(format!("`{}` is no path of a test", self.test));
        }
        if self.proof == Proof::Proven && !case::admits(&self.case, self.outcome, self.late) {
            let outcome = self.outcome.map_or("no outcome", Outcome::as_str);
            let late = if self.late { ", late" } else { "" };
            return Some(format!("`{}` is said to be proven by a run that had {outcome}{late}", self.case));
        }
        None
    }

    /// Why it proves nothing, if it does not.
    pub(super) fn failure(&self) -> Option<String> {
        match &self.proof {
            Proof::Proven => self.flaw(),
            Proof::Failed(reason) => Some(reason.clone()),
        }
    }

    /// Writes it to the [`directory`] of this build. The file, which a test that runs again replaces.
    ///
    /// # Errors
    /// Where there is no directory, the evidence has a [flaw](Evidence::flaw), or the file system refuses.
    pub fn write(&self) -> Result<PathBuf, WriteError> {
        self.write_to(&directory()?)
    }

    /// Writes it to this directory, as [`Evidence::write`] does.
    ///
    /// # Errors
    /// As [`Evidence::write`].
    pub fn write_to(&self, directory: &Path) -> Result<PathBuf, WriteError> {
        let line = self
            .line()
            .map_err(|flaw| WriteError::Flawed { test: one_line(&self.test), flaw: one_line(&flaw) })?;
        let file = directory.join(self.file_name());
        match fs::create_dir_all(directory).and_then(|()| replace(&file, &line)) {
            Ok(()) => Ok(file),
            Err(source) => Err(WriteError::Io { file, source }),
        }
    }

    /// One file for each test binary, test, process and case. Cargo's hash at the end of the binary's name is another
    /// with each compiler and set of features, and is none of it.
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

    /// Its one form, or the flaw that it has.
    fn line(&self) -> Result<String, String> {
        if let Some(flaw) = self.flaw() {
            return Err(flaw);
        }
        let (verdict, reason) = match &self.proof {
            Proof::Proven => (Verdict::Proven, None),
            Proof::Failed(reason) => (Verdict::Failed, Some(at_most(REASON, reason))),
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
            duration_ns: u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX),
            revision: self.revision.as_str().to_owned(),
            clean: self.revision.is_clean(),
            at: self.at,
            reason: reason.map(str::to_owned),
        };
        let line = serde_json::to_string(&line).map_err(|error| error.to_string())? + "\n";
        if line.len() > LINE { Err(format!("it has more than {} KiB", LINE >> 10)) } else { Ok(line) }
    }
}

/// Puts a file in the place of the one that is there, if any.
fn replace(file: &Path, content: &str) -> io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    // Of another ending than evidence, so that nobody reads what is left of a process that was killed here.
    let beside = file.with_extension(format!("{}-{since}-{number}.tmp", process::id()));
    let written = fs::write(&beside, content).and_then(|()| fs::rename(&beside, file));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Everything that was in a directory of evidence.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Gathered {
    /// What can be read, by file.
    pub evidence: Vec<Evidence>,
    /// What cannot be, and why: the first hundred.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more_problems: usize,
    lines: usize,
}

/// Reads every `*.jsonl` of a directory; one that is not there holds nothing. A line of more than 64 KiB, one that is
/// cut off, of another form or version, or says what cannot be is a problem and costs no other line. At most 100 000
/// lines are read, and files of at most 64 MiB.
pub fn read(directory: &Path) -> Gathered {
    let mut gathered = Gathered::default();
    match files(directory) {
        Ok(files) => files.iter().for_each(|file| gathered.take_file(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => gathered.problem(directory, None, &error),
    }
    gathered
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

impl Gathered {
    fn problem(&mut self, file: &Path, line: Option<usize>, problem: &dyn std::fmt::Display) {
        match self.problems.len() < PROBLEMS {
            true => self.problems.push(Problem::new(file, line, problem)),
            false => self.more_problems += 1,
        }
    }

    fn take_file(&mut self, path: &Path) {
        if self.lines > LINES {
            return;
        }
        if let Err(error) = self.lines_of(path) {
            self.problem(path, None, &error);
        }
    }

    fn lines_of(&mut self, path: &Path) -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        // To open a pipe is to wait for its writer.
        if !metadata.is_file() || metadata.len() > FILE {
            self.problem(path, None, &format_args!("it is no file of at most {} MiB", FILE >> 20));
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
            if self.lines > LINES {
                self.problem(
                    path,
                    Some(line),
                    &format_args!("more than {LINES} lines of evidence are not read"),
                );
                break;
            }
            if bytes.len() > LINE {
                self.problem(path, Some(line), &format_args!("the line has more than {} KiB", LINE >> 10));
                if !bytes.ends_with(b"\n") {
                    file.skip_until(b'\n')?;
                }
            } else if !bytes.trim_ascii().is_empty() {
                match decode(bytes.trim_ascii_end()) {
                    Ok(evidence) => self.evidence.push(evidence),
                    Err(problem) => self.problem(path, Some(line), &problem),
                }
            }
        }
        Ok(())
    }
}

/// Evidence on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: u64,
    process: String,
    version: String,
    definition: String,
    case: String,
    test: String,
    verdict: Verdict,
    outcome: Option<String>,
    late: bool,
    duration_ns: u64,
    revision: String,
    clean: bool,
    at: u64,
    reason: Option<String>,
}

/// What tells a line of this form, whatever else it has.
#[derive(Deserialize)]
struct Head {
    format: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Proven,
    Failed,
}

/// Evidence from its line, or what is wrong with that.
fn decode(bytes: &[u8]) -> Result<Evidence, String> {
    match serde_json::from_slice::<Head>(bytes) {
        Ok(Head { format: FORMAT }) => {}
        Ok(Head { format }) => {
            return Err(format!(
                "it is of format {format}, and this version of process-runtime reads {FORMAT}"
            ));
        }
        Err(error) if error.is_eof() => return Err(format!("it is cut off: {error}")),
        Err(error) => return Err(format!("it is no evidence: {error}")),
    }
    let line: Line = serde_json::from_slice(bytes).map_err(|error| format!("it is no evidence: {error}"))?;
    let evidence = Evidence {
        case: line.case.parse::<Case>().map_err(|error| error.to_string())?,
        outcome: line.outcome.as_deref().map(outcome).transpose()?,
        proof: match (line.verdict, line.reason) {
            (Verdict::Proven, None) => Proof::Proven,
            (Verdict::Failed, Some(reason)) => Proof::Failed(reason),
            (Verdict::Proven, Some(_)) => return Err("it is proven, and has a reason why not".to_owned()),
            (Verdict::Failed, None) => return Err("it has failed for no reason".to_owned()),
        },
        revision: Revision::decode(&line.revision, if line.clean { Tree::Clean } else { Tree::Changed })
            .ok_or_else(|| format!("`{}` is no revision", line.revision))?,
        process: line.process,
        version: line.version,
        definition: line.definition,
        test: line.test,
        late: line.late,
        duration: Duration::from_nanos(line.duration_ns),
        at: line.at,
        source: String::new(),
    };
    evidence.flaw().map_or(Ok(evidence), Err)
}

fn outcome(word: &str) -> Result<Outcome, String> {
    let words: BTreeMap<&str, Outcome> = Outcome::ALL.map(|outcome| (outcome.as_str(), outcome)).into();
    words.get(word).copied().ok_or_else(|| match nearest(word, words.keys().copied()) {
        Some(near) => format!("`{word}` is no outcome; did you mean `{near}`?"),
        None => format!("`{word}` is no outcome"),
    })
}
