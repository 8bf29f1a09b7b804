//! Which code evidence is for: the commit, and what in the tree differs from it. Asked of git, once a process; nothing
//! here is compared with anything but for equality.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::fingerprint::Fingerprint;
use super::place;
use super::text::{at_most, one_line};

/// Says the revision where git cannot.
const OVERRIDE: &str = "PROCESS_REVISION";
/// The most bytes of a revision's text.
const LONGEST: usize = 200;
/// An untracked file of more bytes than this counts by its size and the time of its last change.
const LARGE: u64 = 16 << 20;

/// The changes to tracked files, whatever settings and drivers of this machine would make of them; against what, comes
/// last.
const DIFF: [&str; 8] = [
    "-c",
    "diff.relative=false",
    "diff",
    "--binary",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--submodule=diff",
];

/// What a revision starts with that is none.
const UNKNOWN: &str = "unknown: ";
/// The most files that are read where git does not answer.
const FILES: usize = 50_000;

/// A state of the code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    text: String,
    tree: Tree,
}

/// How the tree stood to its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::testing) enum Tree {
    Clean,
    /// Something was changed, or nobody knows.
    Changed,
}

impl Revision {
    /// The revision of the package under test, in `CARGO_MANIFEST_DIR` or else the working directory; computed once a
    /// process. `PROCESS_REVISION` overrides it, as in a container without git; a text that ends in `-dirty`, as
    /// `git describe --always --dirty` writes it, is a tree that was not clean.
    pub fn current() -> &'static Revision {
        static CURRENT: OnceLock<Revision> = OnceLock::new();
        CURRENT.get_or_init(|| {
            let given = env::var(OVERRIDE).ok().and_then(|text| Revision::named(&text));
            given.unwrap_or_else(|| Revision::of(&place::package()))
        })
    }

    /// The revision of the tree around a directory: the commit and, where the tree is not clean, a fingerprint of
    /// every change to tracked files and of the names and contents of those untracked and not ignored. (Cargo's target
    /// directory and that of evidence do not count; other files that tests write must be ignored, or each is another
    /// revision.) Before the first commit, as after `cargo new`, everything is a change. Where git does not answer, it is
    /// a fingerprint of the names and contents of all files around the nearest `Cargo.lock`, but for hidden ones and what
    /// cargo builds; where that is too much as well, the revision says why, and evidence of it counts for nothing.
    pub fn of(directory: &Path) -> Revision {
        match tree_at(directory) {
            Ok((commit, None)) => Revision { text: commit, tree: Tree::Clean },
            Ok((commit, Some(changes))) => {
                Revision { text: format!("{commit}+{changes}"), tree: Tree::Changed }
            }
            Err(NoAnswer(why)) => {
                let text = match contents(directory) {
                    Some(contents) => format!("no git+{contents}"),
                    None => format!("{UNKNOWN}{}", one_line(&why)),
                };
                Revision { text: at_most(LONGEST, &text).to_owned(), tree: Tree::Changed }
            }
        }
    }

    /// A revision by its name, as `PROCESS_REVISION` gives it; `None` for a text that is empty, of more than 200
    /// bytes, or has control characters.
    pub fn named(text: &str) -> Option<Revision> {
        let text = text.trim();
        Revision::decode(text, if text.ends_with("-dirty") { Tree::Changed } else { Tree::Clean })
    }

    pub(in crate::testing) fn decode(text: &str, tree: Tree) -> Option<Revision> {
        let is_text = !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control);
        is_text.then(|| Revision { text: text.to_owned(), tree })
    }

    /// Whether one state of the code can be told from another by it: not where neither git nor the files did answer.
    pub fn is_known(&self) -> bool {
        !self.text.starts_with(UNKNOWN)
    }

    /// Whether the tree was the commit's, so that somebody else can have it.
    pub fn is_clean(&self) -> bool {
        self.tree == Tree::Clean
    }

    /// The whole text: `4e6e851…`, `4e6e851…+0f3a…` where there are changes, `no commit+0f3a…`, `no git+0f3a…`,
    /// `unknown: …`, or what was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text with a commit's hash as people quote it.
    pub fn short(&self) -> String {
        match self.text.split_at_checked(40) {
            Some((commit, rest)) if commit.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                format!("{}{rest}", &commit[..12])
            }
            _ => self.text.clone(),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Why git does not answer.
struct NoAnswer(String);

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        NoAnswer(error.to_string())
    }
}

/// The commit, and the fingerprint of what differs from it.
fn tree_at(directory: &Path) -> Result<(String, Option<String>), NoAnswer> {
    let top = answer(directory, &["rev-parse", "--show-toplevel"])?;
    let top = Path::new(&top);
    match answer(top, &["rev-parse", "--verify", "--quiet", "HEAD"]) {
        Ok(commit) => changes(top, &commit).map(|changes| (commit, changes)),
        Err(_) => {
            let nothing = answer(top, &["hash-object", "-t", "tree", "--stdin"])?;
            let changes = changes(top, &nothing)?.unwrap_or_else(|| Fingerprint::new().digits());
            Ok(("no commit".to_owned(), Some(changes)))
        }
    }
}

fn changes(top: &Path, since: &str) -> Result<Option<String>, NoAnswer> {
    let mut fingerprint = Fingerprint::new();
    let tracked = ask(top, &[&DIFF[..], &[since]].concat())?;
    let mut is_changed = !tracked.is_empty();
    fingerprint.part(&tracked);
    let outputs = outputs();
    let untracked = ask(top, &["ls-files", "--others", "--exclude-standard", "-z"])?;
    for name in untracked.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let path = top.join(&*String::from_utf8_lossy(name));
        if !outputs.iter().any(|output| path.starts_with(output)) {
            is_changed = true;
            fingerprint.part(name);
            fingerprint.part(&content(&path));
        }
    }
    Ok(is_changed.then(|| fingerprint.digits()))
}

/// The fingerprint of all files that a build may read; nothing where there are none, or too many.
fn contents(directory: &Path) -> Option<String> {
    let top = directory.ancestors().find(|above| above.join("Cargo.lock").is_file()).unwrap_or(directory);
    let outputs = outputs();
    let (mut fingerprint, mut files, mut waiting) = (Fingerprint::new(), 0, vec![top.to_owned()]);
    while let Some(directory) = waiting.pop() {
        let mut entries: Vec<_> = fs::read_dir(&directory).ok()?.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let is_output = path.join(place::MARK).is_file() || outputs.contains(&path);
            match entry.file_type().ok()? {
                _ if is_hidden || is_output => {}
                kind if kind.is_dir() => waiting.push(path),
                _ => {
                    files += 1;
                    fingerprint.part(path.strip_prefix(top).unwrap_or(&path).as_os_str().as_encoded_bytes());
                    fingerprint.part(&content(&path));
                }
            }
            if files > FILES {
                return None;
            }
        }
    }
    (files > 0).then(|| fingerprint.digits())
}

/// Directories that the tests themselves write into.
fn outputs() -> Vec<PathBuf> {
    let directories = [place::target(), place::directory().ok()];
    directories.into_iter().flatten().filter_map(|directory| directory.canonicalize().ok()).collect()
}

/// What tells the content of an untracked file from another; nothing where it cannot be read, as one that is gone.
fn content(path: &Path) -> Vec<u8> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Vec::new() };
    if metadata.is_symlink() {
        return fs::read_link(path).unwrap_or_default().into_os_string().into_encoded_bytes();
    }
    if metadata.len() > LARGE {
        return format!("{} {:?}", metadata.len(), metadata.modified().ok()).into_bytes();
    }
    let mut bytes = Vec::new();
    if metadata.is_file() {
        // What is read before an error is as good as what is there.
        let _ = File::open(path).and_then(|file| file.take(LARGE).read_to_end(&mut bytes));
    }
    bytes
}

/// The one line that git prints.
fn answer(directory: &Path, arguments: &[&str]) -> Result<String, NoAnswer> {
    Ok(String::from_utf8_lossy(&ask(directory, arguments)?).trim_end().to_owned())
}

/// What git prints.
fn ask(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>, NoAnswer> {
    let mut command = Command::new("git");
    // A hook's variables name the repository relative to another directory.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    // Hundreds of tests that ask at once must not lock the index.
    command.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
    let output = command.current_dir(directory).args(arguments).stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(NoAnswer(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
