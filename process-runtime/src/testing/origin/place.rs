//! Where a test runs: its package, cargo's target directory, and the directory of evidence in it.

use std::env;
use std::path::{Path, PathBuf};

/// What cargo marks its target directory with (<https://bford.info/cachedir/>).
pub(in crate::testing) const MARK: &str = "CACHEDIR.TAG";
/// Overrides the directory of evidence.
const OVERRIDE: &str = "PROCESS_EVIDENCE_DIR";

/// There is no directory to write evidence into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoDirectory {
    /// The variable is a relative path. Cargo runs the tests of each package in that package's directory, so it would
    /// be another directory for each.
    #[error("{OVERRIDE} is `{}`, which is another directory for each package; write an absolute path", .0.display())]
    Relative(PathBuf),
    /// The test was not built by cargo, or was moved.
    #[error(
        "no directory above this test binary is a target directory of cargo's; set {OVERRIDE} to an absolute path"
    )]
    NoTarget,
}

/// The directory of evidence: `PROCESS_EVIDENCE_DIR`, else `process/evidence` in the target directory.
///
/// # Errors
/// Where the variable is a relative path; where there is no variable and no target directory.
pub fn directory() -> Result<PathBuf, NoDirectory> {
    match env::var_os(OVERRIDE).filter(|value| !value.is_empty()).map(PathBuf::from) {
        Some(given) if given.is_absolute() => Ok(given),
        Some(given) => Err(NoDirectory::Relative(given)),
        None => Ok(target().ok_or(NoDirectory::NoTarget)?.join("process").join("evidence")),
    }
}

/// Cargo's target directory. A relative `CARGO_TARGET_DIR` was relative to where cargo was called, which a test cannot
/// know, so there the binary's own place decides.
pub(in crate::testing) fn target() -> Option<PathBuf> {
    let given = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|given| given.is_absolute());
    given.or_else(|| {
        let binary = env::current_exe().ok()?;
        binary.ancestors().skip(1).find(|above| above.join(MARK).is_file()).map(Path::to_owned)
    })
}

/// The directory of the package under test.
pub(in crate::testing) fn package() -> PathBuf {
    let given = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    given.or_else(|| env::current_dir().ok()).unwrap_or_default()
}
