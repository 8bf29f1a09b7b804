//! The file of a baseline: read whole and checked, written whole and renamed into place. Whatever is wrong with it is
//! a sentence for whoever runs the test, and never the test's failure.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, io};

use serde::{Deserialize, Serialize};

use super::{SESSIONS, Session};
use crate::testing::origin::{machine, place};

const VERSION: u32 = 1;
const VARIABLE: &str = "PROCESS_BASELINE_DIR";

/// The most loads that a file has, each under a key of its own: the ones that ran last.
const LOADS: usize = 32;

/// The largest file that is read, in bytes: several times what [`LOADS`] and [`SESSIONS`] can take.
const LARGEST: u64 = 1 << 20;

/// What sessions must have in common to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::testing::load) struct Key {
    process: String,
    concurrency: usize,
    runs: usize,
    profile: String,
    machine: String,
}

impl Key {
    /// Of a load in this program, on this machine.
    pub(in crate::testing::load) fn of(process: &str, concurrency: usize, runs: usize) -> Key {
        Key {
            process: process.to_owned(),
            concurrency,
            runs,
            profile: machine::profile(),
            machine: machine::machine(),
        }
    }
}

/// One load's sessions among those of its file.
#[derive(Debug)]
pub(super) struct Store {
    name: String,
    path: Option<PathBuf>,
    key: Key,
    sessions: Vec<Session>,
    others: Vec<LoadForm>,
}

impl Store {
    /// What is in the file of this name, and what is wrong with that.
    pub(super) fn open(name: &str, key: Key) -> (Store, Option<String>) {
        let path = directory().map(|directory| directory.join(format!("{name}.json")));
        let (loads, wrong) = match path.as_deref().map(read) {
            Some(Ok(loads)) => (loads, None),
            Some(Err(wrong)) => (Vec::new(), Some(format!("started anew: {wrong}"))),
            None => (Vec::new(), Some(format!("kept nowhere: there is no target directory; set {VARIABLE}"))),
        };
        let (own, others): (Vec<_>, Vec<_>) = loads.into_iter().partition(|load| load.load == key);
        let sessions = own.iter().flat_map(|load| &load.sessions).map(SessionForm::session).collect();
        (Store { name: name.to_owned(), path, key, sessions, others }, wrong)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The earlier sessions of the load, the oldest first.
    pub(super) fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// Adds a session and writes the file.
    pub(super) fn add(&mut self, session: Session) -> Result<(), String> {
        self.sessions.push(session);
        self.sessions.drain(..self.sessions.len().saturating_sub(SESSIONS));
        let Some(path) = &self.path else { return Ok(()) };
        let sessions = self.sessions.iter().map(SessionForm::of).collect();
        let own = LoadForm { load: self.key.clone(), sessions };
        let others = self.others.iter().skip((self.others.len() + 1).saturating_sub(LOADS)).cloned();
        let form = FileForm { version: VERSION, loads: others.chain([own]).collect() };
        write(path, &form).map_err(|error| format!("{} could not be written: {error}", path.display()))
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
    load: Key,
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
    fn of(session: &Session) -> SessionForm {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let [p50_ns, p95_ns, p99_ns] = session.percentiles.map(nanos);
        SessionForm { level: session.level, p50_ns, p95_ns, p99_ns }
    }

    fn session(&self) -> Session {
        let percentiles = [self.p50_ns, self.p95_ns, self.p99_ns].map(Duration::from_nanos);
        Session { level: self.level, percentiles }
    }
}

/// The version alone, which must be read before anything else is.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Why a file is no baseline.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("it cannot be read: {0}")]
    Unread(#[from] io::Error),
    #[error("it has {0} bytes, and {LARGEST} are the most")]
    Large(u64),
    #[error("it is no baseline: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has version {0}, and this program knows {VERSION}")]
    Version(u32),
    #[error("it has {found} {of}, and {most} are the most")]
    Many { found: usize, of: &'static str, most: usize },
    #[error("a session's percentiles do not rise: {0:?}")]
    Percentiles([Duration; 3]),
    #[error("the level falls from {0} to {1}")]
    Level(u32, u32),
}

/// The loads in a file; none where it is not there.
fn read(path: &Path) -> Result<Vec<LoadForm>, String> {
    let read = || {
        let bytes = fs::metadata(path)?.len();
        if bytes > LARGEST {
            return Err(Broken::Large(bytes));
        }
        decode(&fs::read(path)?)
    };
    match read() {
        Err(Broken::Unread(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        loads => loads.map_err(|broken| format!("{}: {broken}", path.display())),
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<LoadForm>, Broken> {
    let Versioned { version } = serde_json::from_slice(bytes)?;
    if version != VERSION {
        return Err(Broken::Version(version));
    }
    let FileForm { loads, .. } = serde_json::from_slice(bytes)?;
    check_count(loads.len(), "loads", LOADS)?;
    loads.iter().try_for_each(|load| check(&load.sessions))?;
    Ok(loads)
}

fn check(sessions: &[SessionForm]) -> Result<(), Broken> {
    check_count(sessions.len(), "sessions of a load", SESSIONS)?;
    let percentiles = |form: &SessionForm| form.session().percentiles;
    if let Some(form) = sessions.iter().find(|form| !percentiles(form).is_sorted()) {
        return Err(Broken::Percentiles(percentiles(form)));
    }
    match sessions.windows(2).find(|pair| pair[0].level > pair[1].level) {
        Some(pair) => Err(Broken::Level(pair[0].level, pair[1].level)),
        None => Ok(()),
    }
}

fn check_count(found: usize, of: &'static str, most: usize) -> Result<(), Broken> {
    if found <= most { Ok(()) } else { Err(Broken::Many { found, of, most }) }
}

/// Whoever reads meanwhile finds the old file or the new one, and a writer that is stopped leaves the old one.
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
