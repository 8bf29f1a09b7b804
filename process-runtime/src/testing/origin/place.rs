//! Finds the directories of a test: its package, cargo's target directory, and the directory of evidence in it.

use std::env;
use std::path::{Path, PathBuf};

/// The file with which cargo marks its target directory (<https://bford.info/cachedir/>).
pub(in crate::testing) const MARK: &str = "CACHEDIR.TAG";
/// The variable that overrides the directory of evidence.
const OVERRIDE: &str = "PROCESS_EVIDENCE_DIR";

/// The directory of evidence is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoDirectory {
    /// The variable is a relative path. Cargo runs the tests of each package in the package's directory, so a relative
    /// path is a different directory for each package.
    #[error("invalid {OVERRIDE} `{}`: it must be an absolute path", .0.display())]
    Relative(PathBuf),
    /// The test was not built by cargo, or was moved.
    #[error(
        "cargo's target directory was not found above this test binary; set {OVERRIDE} to an absolute path"
    )]
    NoTarget,
}

/// Returns the directory of evidence: `PROCESS_EVIDENCE_DIR`, or else `process/evidence` in the target directory.
///
/// # Errors
/// If the variable is a relative path. If it is not set and the target directory is not found.
pub fn directory() -> Result<PathBuf, NoDirectory> {
    match env::var_os(OVERRIDE).filter(|value| !value.is_empty()).map(PathBuf::from) {
        Some(given) if given.is_absolute() => Ok(given),
        Some(given) => Err(NoDirectory::Relative(given)),
        None => Ok(target().ok_or(NoDirectory::NoTarget)?.join("process").join("evidence")),
    }
}

/// Returns cargo's target directory. A relative `CARGO_TARGET_DIR` is relative to the directory in which cargo was
/// called, which a test does not know, so the place of the binary decides then.
pub(in crate::testing) fn target() -> Option<PathBuf> {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|given| given.is_absolute());
    given.or_else(|| {
        let binary = env::current_exe().ok()?;
        binary.ancestors().skip(1).find(|above| above.join(MARK).is_file()).map(Path::to_owned)
    })
}

/// Returns the directory of the package under test.
pub(in crate::testing) fn package() -> PathBuf {
    let given = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    given.or_else(|| env::current_dir().ok()).unwrap_or_default()
}
