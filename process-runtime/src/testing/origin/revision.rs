//! Identifies the state of the code for which evidence was written: the commit, and every change in the working tree.
//! Each test program determines both once, by calls to git. Revisions are compared only for equality. An order of
//! revisions does not belong here.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::OnceLock;

use super::fingerprint::Fingerprint;
use super::place;
use super::text::one_line;
use crate::base::foreign::text::{LONGEST_MARK, cut_again};

/// The environment variable that overrides the revision.
const OVERRIDE: &str = "PROCESS_REVISION";
/// The maximum length of a revision's text, in bytes.
const LONGEST: usize = 200;
/// A file with more bytes than this is identified by its size and the time of its last change.
const LARGE: u64 = 16 << 20;

/// The git arguments that print the changes to tracked files. They make the output independent of this machine's git
/// settings and diff drivers. The caller appends the revision to compare with.
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

/// The start of the text of an unknown revision.
const UNKNOWN: &str = "unknown: ";
/// The maximum number of files that are read if git gives no answer.
const FILES: usize = 50_000;

/// A state of the code, identified by a text.
///
/// ```
/// use process_runtime::testing::revision::Revision;
///
/// let revision: Revision = "v1.4.2-dirty".parse()?;
/// assert!(!revision.is_clean());
/// # Ok::<(), process_runtime::testing::revision::InvalidRevision>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    text: String,
    tree: Tree,
}

/// Whether the working tree differed from its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::testing) enum Tree {
    Clean,
    /// There were changes, or it is unknown whether there were any.
    Changed,
}

impl Revision {
    /// Returns the revision of the package under test. The package's directory is `CARGO_MANIFEST_DIR` if the
    /// variable is set, and otherwise the working directory. The revision is computed once in each test program. Set
    /// the variable `PROCESS_REVISION` to override the revision, for example in a container without git. If its value
    /// ends in `-dirty`, as in the output of `git describe --always --dirty`, the tree has uncommitted changes. An
    /// invalid value is ignored.
    pub fn current() -> &'static Revision {
        static CURRENT: OnceLock<Revision> = OnceLock::new();
        CURRENT.get_or_init(|| {
            let given = env::var(OVERRIDE).ok().and_then(|text| text.parse().ok());
            given.unwrap_or_else(|| Revision::detect(&place::package()))
        })
    }

    /// Detects the revision of the working tree that contains a directory.
    ///
    /// * The revision is the commit. If the tree has changes, a fingerprint of the changes is appended. The
    ///   fingerprint covers every change to tracked files, and the names and contents of untracked files that are not
    ///   ignored. Untracked files in cargo's target directory and in the directory of evidence are left out. If tests
    ///   write other files, list these files in `.gitignore`; otherwise each of them changes the revision.
    /// * Before the first commit, for example after `cargo new`, every file counts as a change.
    /// * If git gives no answer, the revision is a fingerprint of the names and contents of all files in the
    ///   workspace, except hidden files and the files that cargo or the tests write. The workspace is the nearest
    ///   directory with a `Cargo.lock`, from `directory` upwards.
    /// * If there are too many such files, or if they cannot be listed, the revision is unknown. The text of the
    ///   revision then gives the reason why git did not answer. Evidence for an unknown revision does not count.
    pub fn detect(directory: &Path) -> Revision {
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
                // The mark of a cut must not make the text too long for a revision.
                Revision { text: cut_again(&text, LONGEST - LONGEST_MARK).into_owned(), tree: Tree::Changed }
            }
        }
    }

    pub(in crate::testing) fn decode(text: &str, tree: Tree) -> Option<Revision> {
        let is_text = !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control);
        is_text.then(|| Revision { text: text.to_owned(), tree })
    }

    /// Returns whether the revision identifies the code. It does not if git gave no answer and the files could not be
    /// listed.
    pub fn is_known(&self) -> bool {
        !self.text.starts_with(UNKNOWN)
    }

    /// Returns whether the working tree had no changes since its commit. Others can then reproduce this tree.
    pub fn is_clean(&self) -> bool {
        self.tree == Tree::Clean
    }

    /// Returns the whole text.
    ///
    /// The text has one of the forms `4e6e851…`, `4e6e851…+0f3a…` with changes, `no commit+0f3a…`,
    /// `no git+0f3a…` and `unknown: …`, or it is the value of `PROCESS_REVISION`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the same text as [`as_str`](Self::as_str), but with the hash of the commit shortened to twelve digits.
    pub fn short(&self) -> String {
        match self.text.split_at_checked(40) {
            Some((commit, rest)) if commit.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                format!("{}{rest}", &commit[..12])
            }
            _ => self.text.clone(),
        }
    }
}

/// A text that cannot be the name of a revision, because it is empty, has more than 200 bytes, or has control
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid revision `{0}`: it must have 1 to {LONGEST} bytes and no control characters")]
pub struct InvalidRevision(String);

impl FromStr for Revision {
    type Err = InvalidRevision;

    /// Reads the name of a revision, in the form that `PROCESS_REVISION` has. White space around the name is ignored.
    fn from_str(text: &str) -> Result<Revision, InvalidRevision> {
        let text = text.trim();
        let tree = if text.ends_with("-dirty") { Tree::Changed } else { Tree::Clean };
        Revision::decode(text, tree).ok_or_else(|| InvalidRevision(one_line(text)))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The reason why git gave no answer.
struct NoAnswer(String);

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        NoAnswer(error.to_string())
    }
}

/// Returns the commit, and the fingerprint of the changes since this commit. The fingerprint is `None` if there are
/// no changes.
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

/// Returns the fingerprint of all files of the workspace, except hidden files and the files that cargo or the tests
/// write. Returns `None` if there are no files or too many, or if a directory cannot be read.
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
            let is_output = place::is_target(&path) || outputs.contains(&path);
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

/// Returns the directories that tests write into.
fn outputs() -> Vec<PathBuf> {
    let directories = [place::target(), place::directory().ok()];
    directories.into_iter().flatten().filter_map(|directory| directory.canonicalize().ok()).collect()
}

/// Returns bytes that identify the content of a file. They are empty if the file cannot be read, for example because
/// it was deleted.
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
        // On an error, the part that was read identifies the file well enough.
        let _ = File::open(path).and_then(|file| file.take(LARGE).read_to_end(&mut bytes));
    }
    bytes
}

/// Runs git and returns the one line that it prints.
fn answer(directory: &Path, arguments: &[&str]) -> Result<String, NoAnswer> {
    Ok(String::from_utf8_lossy(&ask(directory, arguments)?).trim_end().to_owned())
}

/// Runs git and returns its output.
fn ask(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>, NoAnswer> {
    let mut command = Command::new("git");
    // If the tests run in a git hook, these variables are set and can refer to another directory.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    // Hundreds of tests can run git at the same time and must not lock the index.
    command.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
    let output = command.current_dir(directory).args(arguments).stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(NoAnswer(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
