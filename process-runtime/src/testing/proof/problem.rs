//! What is wrong with a file, and where. What the file says is quoted in it, so no terminal has to fear it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::testing::origin::text::one_line;

/// Something wrong with a file of evidence, or with `process.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; nothing where it is the whole file.
    pub line: Option<usize>,
    /// What is wrong: one line without control characters.
    pub problem: String,
}

impl Problem {
    pub(super) fn new(file: &Path, line: Option<usize>, problem: &dyn fmt::Display) -> Problem {
        Problem { file: file.to_owned(), line, problem: one_line(&problem.to_string()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}
