//! Finds the directories of a test: its package, cargo's target directory, and the directory of evidence. Reading and
//! writing files do not belong here.

use std::env;
use std::path::{Path, PathBuf};

/// The files that show that a directory is cargo's target directory. Cargo writes the first one
/// (<https://bford.info/cachedir/>) only into a directory that it has created itself, and the second one also into a
/// directory that was there before, for example a mounted volume.
const MARKS: [&str; 2] = ["CACHEDIR.TAG", ".rustc_info.json"];
/// The file that cargo writes into the directory of a profile, for example `target/debug`.
const LOCK: &str = ".cargo-lock";
/// The environment variable that overrides the directory of evidence.
const OVERRIDE: &str = "PROCESS_EVIDENCE_DIR";

/// The directory of evidence is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoDirectory {
    /// The variable `PROCESS_EVIDENCE_DIR` is a relative path. Cargo runs the tests of each package in the package's
    /// directory, so a relative path would be a different directory for each package.
    #[error("invalid {OVERRIDE} `{}`: it must be an absolute path", .0.display())]
    Relative(PathBuf),
    /// The test binary is not inside a target directory of cargo, for example because the binary was moved.
    #[error(
        "cargo's target directory was not found above this test binary; set {OVERRIDE} to an absolute path"
    )]
    NoTarget,
}

/// Returns the directory of evidence. This is `PROCESS_EVIDENCE_DIR` if the variable is set, and otherwise
/// `process/evidence` in the target directory.
///
/// # Errors
/// If the variable is a relative path, or if it is not set and the target directory is not found.
pub fn directory() -> Result<PathBuf, NoDirectory> {
    match env::var_os(OVERRIDE).filter(|value| !value.is_empty()).map(PathBuf::from) {
        Some(given) if given.is_absolute() => Ok(given),
        Some(given) => Err(NoDirectory::Relative(given)),
        None => Ok(target().ok_or(NoDirectory::NoTarget)?.join("process").join("evidence")),
    }
}

/// Returns cargo's target directory. This is `CARGO_TARGET_DIR` if the variable is an absolute path, and otherwise
/// the nearest directory above the test binary that is marked as a target directory or contains the directory of a
/// profile. A relative path is not used. It is relative to the directory in which cargo was called, and a test does
/// not know this directory. Returns `None` if no such directory is found.
pub(in crate::testing) fn target() -> Option<PathBuf> {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|given| given.is_absolute());
    given.or_else(|| {
        let binary = env::current_exe().ok()?;
        let above: Vec<&Path> = binary.ancestors().skip(1).collect();
        let found = above.windows(2).find(|pair| pair[0].join(LOCK).is_file() || is_target(pair[1]))?;
        Some(found[1].to_owned())
    })
}

/// Whether cargo has marked the directory as a target directory.
pub(in crate::testing) fn is_target(directory: &Path) -> bool {
    MARKS.iter().any(|mark| directory.join(mark).is_file())
}

/// Returns the directory of the package under test. This is `CARGO_MANIFEST_DIR` if the variable is set, and
/// otherwise the working directory.
pub(in crate::testing) fn package() -> PathBuf {
    let given = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    given.or_else(|| env::current_dir().ok()).unwrap_or_default()
}
