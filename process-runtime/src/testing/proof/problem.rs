//! Describes a problem with a file, and the place of the problem in the file. Texts from the file are quoted without
//! control characters, so that they are safe to print on a terminal. Checks of a file do not belong here.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::testing::origin::text::one_line;

/// A problem with a file of evidence or with `process.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; `None` if the problem concerns the whole file.
    pub line: Option<usize>,
    /// The problem, on one line without control characters.
    pub message: String,
}

impl Problem {
    pub(super) fn new(file: &Path, line: Option<usize>, message: &dyn fmt::Display) -> Problem {
        Problem { file: file.to_owned(), line, message: one_line(&message.to_string()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}
