//! The page `first-process.md`, done word for word in a fresh directory: its commands, its program, and what it says
//! that they print. Only where the crate comes from differs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const PAGE: &str = include_str!("../../process-runtime/docs/first-process.md");

const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);

/// A new user's machine: an empty directory.
struct User {
    home: tempfile::TempDir,
    /// Where the user is.
    place: PathBuf,
    workspace: PathBuf,
}

impl User {
    fn new() -> User {
        let home = tempfile::tempdir().unwrap();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        User { place: home.path().to_owned(), home, workspace }
    }

    /// Does what one line of a shell says. The crate comes from here and not from crates.io, and what it depends on in
    /// the versions that are built already.
    fn types(&mut self, line: &str) -> Output {
        if let Some(place) = line.strip_prefix("cd ") {
            self.place.push(place);
            // Nobody has it, and nobody needs it: it spares the test the network and a second build.
            fs::copy(self.workspace.join("Cargo.lock"), self.place.join("Cargo.lock")).unwrap();
        }
        let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        if line.starts_with("cargo add process-runtime ") {
            words.extend(["--path".to_owned(), self.workspace.join("process-runtime").display().to_string()]);
        }
        let cargo = words[0] == "cargo";
        let mut command = Command::new(if cargo { env!("CARGO") } else { "true" });
        command
            .args(&words[1..])
            .current_dir(&self.place)
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TERM_QUIET", "true")
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
        for (name, _) in std::env::vars() {
            let is_of_this_test = name.starts_with("CARGO_PKG") || name.starts_with("CARGO_MANIFEST");
            if is_of_this_test
                || name.starts_with("OTEL_")
                || name.starts_with("SENTRY_")
                || name == "RUST_LOG"
            {
                command.env_remove(name);
            }
        }
        command.output().unwrap()
    }

    fn succeeds(&mut self, line: &str) -> String {
        let output = self.types(line);
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}` in {}:\n{said}", self.home.path().display());
        said.into_owned()
    }

    fn program(&self) -> PathBuf {
        self.place.join("src/main.rs")
    }
}

/// The blocks of the page, each with its language.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap())
}

/// The lines, without what is different each time: times and ids. Sorted, since two streams are one here.
fn lasting(text: &str) -> Vec<String> {
    let is_of_once = |word: &str| {
        let word = word.trim_start_matches('+').trim_end_matches(',');
        let starts_with_digit = word.starts_with(|first: char| first.is_ascii_digit());
        let is_duration = starts_with_digit && word.ends_with('s');
        let is_time = starts_with_digit && word.contains(':');
        let is_trace = word.len() == 32 && word.chars().all(|digit| digit.is_ascii_hexdigit());
        word.is_empty() || is_duration || is_time || is_trace
    };
    let lasting =
        |line: &str| line.split_whitespace().filter(|word| !is_of_once(word)).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<_> = text.lines().map(lasting).collect();
    lines.sort();
    lines
}

#[test]
fn a_new_user_gets_from_cargo_new_to_a_trace_as_the_page_says() {
    let started = Instant::now();
    let mut user = User::new();
    let (mut said, mut compared) = (String::new(), 0);
    for (language, block) in blocks() {
        match language {
            "sh" => said = block.lines().map(|line| user.succeeds(line)).collect(),
            "rust,no_run" => fs::write(user.program(), block).unwrap(),
            "text" => {
                assert_eq!(lasting(&said), lasting(block), "{said}");
                compared += 1;
            }
            other => panic!("nobody knows what to do with {other}"),
        }
    }
    assert_eq!(compared, 2);
    // What a machine does of it; a person types for a minute. Much of it was built for other tests, and nothing was
    // fetched.
    println!("from an empty directory to the trace in {:.1?}", started.elapsed());
    assert!(started.elapsed() < FIVE_MINUTES, "it took {:?}", started.elapsed());

    // Who looks elsewhere is told where nothing was.
    fs::remove_dir_all(user.place.join("telemetry")).unwrap();
    let nowhere = user.types("cargo run -- zeta");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("telemetry: "), "{nowhere:?}");

    // A usual mistake: telemetry is dropped at once.
    let program = fs::read_to_string(user.program()).unwrap();
    fs::write(user.program(), program.replace("let _telemetry =", "let _ =")).unwrap();
    let said = user.succeeds("cargo run");
    assert!(said.contains("keep what `telemetry::init` returns until the end of `main`"), "{said}");
}
