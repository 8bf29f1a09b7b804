//! The text of a crate's files. All checks read this text, so a test can check a crate that exists only in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The Rust files of one `src` folder, by their path below the folder.
#[derive(Debug, Default)]
pub struct Sources {
    files: BTreeMap<String, String>,
}

impl Sources {
    /// Reads every Rust file in and below a folder.
    ///
    /// # Panics
    ///
    /// Panics if a file cannot be read.
    pub fn read(src: &Path) -> Sources {
        let mut sources = Sources::default();
        sources.read_folder(src, src);
        sources
    }

    fn read_folder(&mut self, src: &Path, folder: &Path) {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("the folder was opened").path();
            if path.is_dir() {
                self.read_folder(src, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text =
                    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let relative = path.strip_prefix(src).expect("it is below the folder");
                self.add(&relative.to_string_lossy().replace('\\', "/"), &text);
            }
        }
    }

    /// Divides one text into files. Each file begins after a line `//- path`.
    ///
    /// # Panics
    ///
    /// Panics if text comes before the first such line.
    pub fn planted(text: &str) -> Sources {
        let mut sources = Sources::default();
        let mut current: Option<String> = None;
        for line in text.lines() {
            if let Some(path) = line.trim().strip_prefix("//- ") {
                sources.add(path, "");
                current = Some(path.to_owned());
            } else if let Some(path) = &current {
                let file = sources.files.get_mut(path).expect("it was added");
                file.push_str(line);
                file.push('\n');
            } else {
                assert!(line.trim().is_empty(), "text before the first file: {line}");
            }
        }
        sources
    }

    /// Adds a file, or replaces it if it exists.
    pub fn add(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
    }

    /// Returns the text of a file, or `None` if the file does not exist.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Returns every file with its text, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }
}
