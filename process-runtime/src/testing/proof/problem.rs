//! Describes a problem with a file, and the place of the problem in the file. The name of the file, and texts from it,
//! are shown on one line and without control sequences. Checks of a file do not belong here.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::base::foreign::quote;
use crate::testing::origin::text::one_line;

/// The maximum number of problems that are reported individually.
const MOST: usize = 100;

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
        f.write_str(&path(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Returns the name of a file on one line.
pub(super) fn path(file: &Path) -> String {
    quote::line(&file.display().to_string()).into_owned()
}

/// The first hundred problems, and the number of the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Problems {
    pub(super) first: Vec<Problem>,
    pub(super) omitted: usize,
}

impl Problems {
    pub(super) fn add(&mut self, file: &Path, line: Option<usize>, message: &dyn fmt::Display) {
        self.add_with(file, line, || message.to_string());
    }

    /// Adds a problem whose message takes time. It is only written if the problem is reported individually.
    pub(super) fn add_with(&mut self, file: &Path, line: Option<usize>, message: impl FnOnce() -> String) {
        match self.first.len() < MOST {
            true => self.first.push(Problem::new(file, line, &message())),
            false => self.omitted += 1,
        }
    }
}
