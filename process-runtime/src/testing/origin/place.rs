//! Finds the directories of a test: its package, cargo's target directory, and the directory of evidence. Reading and
//! writing files do not belong here.

use std::env;
use std::path::{Path, PathBuf};

/// The file with which cargo marks its target directory (<https://bford.info/cachedir/>).
pub(in crate::testing) const MARK: &str = "CACHEDIR.TAG";
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
/// the nearest directory above the test binary that has cargo's mark. A relative path is not used. It is relative to
/// the directory in which cargo was called, and a test does not know this directory. Returns `None` if no such
/// directory is found.
pub(in crate::testing) fn target() -> Option<PathBuf> {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|given| given.is_absolute());
    given.or_else(|| {
        let binary = env::current_exe().ok()?;
        binary.ancestors().skip(1).find(|above| above.join(MARK).is_file()).map(Path::to_owned)
    })
}

/// Returns the directory of the package under test. This is `CARGO_MANIFEST_DIR` if the variable is set, and
/// otherwise the working directory.
pub(in crate::testing) fn package() -> PathBuf {
    let given = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    given.or_else(|| env::current_dir().ok()).unwrap_or_default()
}
