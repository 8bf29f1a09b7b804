//! Follows a page of the documentation word for word, as a new user in an empty directory. The only difference is
//! that the crate comes from this workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A new user, who starts with an empty directory.
#[derive(Debug)]
pub struct User {
    home: tempfile::TempDir,
    /// The current directory.
    place: PathBuf,
    workspace: PathBuf,
    target: PathBuf,
}

impl User {
    /// Creates a user. `target` is `CARGO_TARGET_TMPDIR`.
    pub fn new(target: &str) -> User {
        let home = tempfile::tempdir().unwrap();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        let target = Path::new(target).parent().unwrap().to_owned();
        User { place: home.path().to_owned(), home, workspace, target }
    }

    /// Runs one line of a shell. The crate comes from this workspace and not from crates.io. Its dependencies have
    /// the versions of this workspace, which are built already.
    pub fn types(&mut self, line: &str) -> Output {
        if let Some(place) = line.strip_prefix("cd ") {
            self.place.push(place);
        }
        if line.starts_with("cargo add ") {
            // A real user has no `Cargo.lock` at this point and needs none. With this file, the test needs neither
            // the network nor a second build of the dependencies.
            fs::copy(self.workspace.join("Cargo.lock"), self.file("Cargo.lock")).unwrap();
        }
        let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        if line.starts_with("cargo add process-runtime ") {
            words.extend(["--path".to_owned(), self.workspace.join("process-runtime").display().to_string()]);
        }
        let program = match &*words[0] {
            "cargo" => env!("CARGO"),
            "git" => "git",
            _ => "true",
        };
        let mut command = Command::new(program);
        command.args(&words[1..]).current_dir(&self.place);
        self.surround(&mut command);
        if !line.starts_with("cargo test") {
            // This variable makes cargo print less. `cargo test` does not get it, because its output would then leave
            // out the tests that pass.
            command.env("CARGO_TERM_QUIET", "true");
        }
        command.output().unwrap()
    }

    /// Gives a command the environment of a new user.
    fn surround(&self, command: &mut Command) {
        for (name, _) in std::env::vars() {
            let of_this_test =
                ["CARGO_PKG", "CARGO_MANIFEST", "GIT_", "OTEL_", "PROCESS_", "RUST_LOG", "SENTRY_"];
            if of_this_test.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", &self.target);
        // The target directory is shared with other tests, so the user has separate directories for evidence and
        // baselines.
        for (name, directory) in [("PROCESS_EVIDENCE_DIR", "evidence"), ("PROCESS_BASELINE_DIR", "baseline")]
        {
            command.env(name, self.home.path().join(directory));
        }
        for name in ["GIT_AUTHOR", "GIT_COMMITTER"] {
            command.env(format!("{name}_NAME"), "user").env(format!("{name}_EMAIL"), "user@example.com");
        }
    }

    /// Runs one line of a shell, and returns its output. The line must succeed.
    ///
    /// # Panics
    /// If the line fails.
    pub fn succeeds(&mut self, line: &str) -> String {
        let output = self.types(line);
        let printed = printed(&output);
        assert!(output.status.success(), "`{line}` in {}:\n{printed}", self.home.path().display());
        printed
    }

    /// Returns the path of a file in the user's current directory.
    pub fn file(&self, path: &str) -> PathBuf {
        self.place.join(path)
    }
}

/// Returns what a command wrote to standard output, and then what it wrote to standard error.
pub fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A code block of a page.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The text between the previous block and this block.
    pub before: &'static str,
    /// The language that the fence of the block names.
    pub language: &'static str,
    /// The lines of the block.
    pub text: &'static str,
}

impl Block {
    /// Returns the texts in backticks before the block, the last one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let parts: Vec<_> = self.before.split('`').collect();
        parts.into_iter().skip(1).step_by(2).collect::<Vec<_>>().into_iter().rev()
    }
}

/// Returns the code blocks of a page.
pub fn blocks(page: &'static str) -> impl Iterator<Item = Block> {
    let parts: Vec<_> = page.split("```").collect();
    let block = |pair: &[&'static str]| {
        let (language, text) = pair[1].split_once('\n').unwrap();
        Block { before: pair[0], language, text }
    };
    parts.chunks_exact(2).map(block).collect::<Vec<_>>().into_iter()
}

/// Returns the lines without the words that differ from run to run: times, durations, trace ids and revisions.
pub fn lasting(text: &str) -> Vec<String> {
    let is_of_once = |word: &str| {
        let is_revision = word.rsplit_once('+').is_some_and(|(_, digits)| is_hexadecimal(digits, 16));
        let word = word.trim_start_matches('+').trim_end_matches(',');
        let field = word.split_once('=').filter(|(key, _)| ["time", "duration", "trace_id"].contains(key));
        let word = field.map_or(word, |(_, value)| value);
        let starts_with_digit = word.starts_with(|first: char| first.is_ascii_digit());
        let is_duration = starts_with_digit && word.ends_with('s');
        let is_time = starts_with_digit && word.contains(':');
        word.is_empty() || is_revision || is_duration || is_time || is_hexadecimal(word, 32)
    };
    let lasting =
        |line: &str| line.split_whitespace().filter(|word| !is_of_once(word)).collect::<Vec<_>>().join(" ");
    text.lines().map(lasting).collect()
}

fn is_hexadecimal(word: &str, digits: usize) -> bool {
    word.len() == digits && word.chars().all(|digit| digit.is_ascii_hexdigit())
}
