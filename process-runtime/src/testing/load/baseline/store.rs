//! Reads and writes the file of a baseline. The whole file is checked when it is read. Changes are written to a
//! temporary file, which then replaces the file, so that readers never see a partly written file. A problem with the
//! file becomes a note in the report and never fails the test. The comparison of sessions does not belong here.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, io};

use serde::{Deserialize, Serialize};

use super::{SESSIONS, Session};
use crate::testing::origin::text::with_sources;
use crate::testing::origin::{machine, place};

const VERSION: u32 = 1;
const VARIABLE: &str = "PROCESS_BASELINE_DIR";

/// The maximum number of loads in a file. Loads with different keys are different loads. If there are more loads,
/// those that ran most recently are kept.
const LOADS: usize = 32;

/// The size of the largest file that is read, in bytes. This is several times the size of a file with [`LOADS`] loads
/// of [`SESSIONS`] sessions.
const LARGEST: u64 = 1 << 20;

/// The properties of a load. Two sessions are compared only if all these properties of their loads are equal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::testing::load) struct LoadKey {
    process: String,
    concurrency: usize,
    runs: usize,
    profile: String,
    machine: String,
}

impl LoadKey {
    /// Creates the key of a load in this program and on this machine.
    pub(in crate::testing::load) fn new(process: &str, concurrency: usize, runs: usize) -> LoadKey {
        LoadKey {
            process: process.to_owned(),
            concurrency,
            runs,
            profile: machine::profile(),
            machine: machine::machine(),
        }
    }
}

/// The sessions of one load. Loads with the same baseline name share a file.
#[derive(Debug)]
pub(super) struct Store {
    name: String,
    path: Option<PathBuf>,
    key: LoadKey,
    sessions: Vec<Session>,
    others: Vec<LoadForm>,
}

impl Store {
    /// Reads the file of this name. If the file does not exist, the store starts without sessions. If the file cannot
    /// be used, the store also starts without sessions, and a note gives the reason.
    pub(super) fn open(name: &str, key: LoadKey) -> (Store, Option<String>) {
        let path = directory().map(|directory| directory.join(format!("{name}.json")));
        let (loads, note) = match path.as_deref().map(read) {
            Some(Ok(loads)) => (loads, None),
            Some(Err(problem)) => {
                (Vec::new(), Some(format!("the earlier baseline was discarded: {problem}")))
            }
            None => {
                let note = format!(
                    "the baseline is not stored: no target directory was found; set {VARIABLE} to an absolute path"
                );
                (Vec::new(), Some(note))
            }
        };
        let (own, others): (Vec<_>, Vec<_>) = loads.into_iter().partition(|load| load.load == key);
        let sessions = own.iter().flat_map(|load| &load.sessions).map(SessionForm::session).collect();
        (Store { name: name.to_owned(), path, key, sessions, others }, note)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the earlier sessions of the load, the oldest first.
    pub(super) fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// Adds a session and writes the file. An error is the text of a note for the report. If the directory is
    /// unknown, only keeps the session in memory.
    pub(super) fn add(&mut self, session: Session) -> Result<(), String> {
        self.sessions.push(session);
        self.sessions.drain(..self.sessions.len().saturating_sub(SESSIONS));
        let Some(path) = &self.path else { return Ok(()) };
        let sessions = self.sessions.iter().map(SessionForm::new).collect();
        let own = LoadForm { load: self.key.clone(), sessions };
        let others = self.others.iter().skip((self.others.len() + 1).saturating_sub(LOADS)).cloned();
        let form = FileForm { version: VERSION, loads: others.chain([own]).collect() };
        write(path, &form).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

fn directory() -> Option<PathBuf> {
    match env::var_os(VARIABLE) {
        Some(directory) if !directory.is_empty() => Some(PathBuf::from(directory)),
        _ => Some(place::target()?.join("process").join("baseline")),
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    version: u32,
    loads: Vec<LoadForm>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LoadForm {
    load: LoadKey,
    sessions: Vec<SessionForm>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SessionForm {
    level: u32,
    p50_ns: u64,
    p95_ns: u64,
    p99_ns: u64,
}

impl SessionForm {
    fn new(session: &Session) -> SessionForm {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let [p50_ns, p95_ns, p99_ns] = session.percentiles.map(nanos);
        SessionForm { level: session.level, p50_ns, p95_ns, p99_ns }
    }

    fn session(&self) -> Session {
        let percentiles = [self.p50_ns, self.p95_ns, self.p99_ns].map(Duration::from_nanos);
        Session { level: self.level, percentiles }
    }
}

/// The version of a file. It is checked before the rest of the file is decoded.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The reason why a file cannot be used as a baseline.
#[derive(Debug, thiserror::Error)]
enum InvalidBaseline {
    #[error("cannot read the file")]
    Unreadable(#[from] io::Error),
    #[error("the file has {0} bytes, and at most {LARGEST} are allowed")]
    Large(u64),
    #[error("the file is not a valid baseline")]
    Json(#[from] serde_json::Error),
    #[error("the file has version {0}, but this program supports version {VERSION}")]
    Version(u32),
    #[error("the file has {found} {items}, and at most {most} are allowed")]
    Many { found: usize, items: &'static str, most: usize },
    #[error("the percentiles of a session are not in ascending order: {0:?}")]
    Percentiles([Duration; 3]),
    #[error("the levels of its sessions are not in ascending order: {0}, then {1}")]
    Level(u32, u32),
}

/// Reads the loads in a file. Returns no loads if the file does not exist.
fn read(path: &Path) -> Result<Vec<LoadForm>, String> {
    let read = || {
        let bytes = fs::metadata(path)?.len();
        if bytes > LARGEST {
            return Err(InvalidBaseline::Large(bytes));
        }
        decode(&fs::read(path)?)
    };
    match read() {
        Err(InvalidBaseline::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        loads => loads.map_err(|error| format!("{}: {}", path.display(), with_sources(&error))),
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<LoadForm>, InvalidBaseline> {
    let Versioned { version } = serde_json::from_slice(bytes)?;
    if version != VERSION {
        return Err(InvalidBaseline::Version(version));
    }
    let FileForm { loads, .. } = serde_json::from_slice(bytes)?;
    check_count(loads.len(), "loads", LOADS)?;
    loads.iter().try_for_each(|load| check(&load.sessions))?;
    Ok(loads)
}

fn check(sessions: &[SessionForm]) -> Result<(), InvalidBaseline> {
    check_count(sessions.len(), "sessions of a load", SESSIONS)?;
    let percentiles = |form: &SessionForm| form.session().percentiles;
    if let Some(form) = sessions.iter().find(|form| !percentiles(form).is_sorted()) {
        return Err(InvalidBaseline::Percentiles(percentiles(form)));
    }
    match sessions.windows(2).find(|pair| pair[0].level > pair[1].level) {
        Some(pair) => Err(InvalidBaseline::Level(pair[0].level, pair[1].level)),
        None => Ok(()),
    }
}

fn check_count(found: usize, items: &'static str, most: usize) -> Result<(), InvalidBaseline> {
    if found <= most { Ok(()) } else { Err(InvalidBaseline::Many { found, items, most }) }
}

/// Replaces the file. A concurrent reader sees either the old or the new file. If the writer is killed, the old file
/// remains.
fn write(path: &Path, form: &FileForm) -> io::Result<()> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let own = format!("{}.{}.tmp", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
    let temporary = path.with_extension(own);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut bytes = serde_json::to_vec_pretty(form)?;
    bytes.push(b'\n');
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
