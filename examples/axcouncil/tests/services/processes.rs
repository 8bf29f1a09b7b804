//! Starts the programs of this package, for each test in a directory of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use axcouncil::{ACME_USER, PASSWORD};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_machine::memory;
use test_machine::program::{Running, unconfigured};

/// The longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A wait that is longer than a day of the example.
const LONG: Duration = Duration::from_secs(300);

/// The directory in which the programs of a test run.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { directory: TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made") }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = unconfigured(program);
        command.args(arguments).current_dir(self.directory.path());
        command
    }

    /// Starts a program that serves until it is stopped.
    pub(crate) fn start(&self, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Program {
        let mut command = self.command(program, arguments);
        command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = Running::start(&mut command);
        let output = program.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        // Reads all output, because the program would block when the pipe is full.
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        Program { program, lines }
    }

    /// Starts a program of another package, and discards its output.
    pub(crate) fn start_part(&self, program: &str, arguments: &[&str]) -> Running {
        let mut command = self.command(program, arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running::start(&mut command)
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, arguments).output().expect("it starts")
    }

    /// Returns the path of a file in the directory to which the programs write.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("target/axcouncil").join(name)
    }

    /// Returns the spans in all trace files, and the text of these files.
    pub(crate) fn spans(&self) -> (Vec<Value>, String) {
        let files = std::fs::read_dir(self.file("telemetry"));
        let files = files.expect("there is telemetry").map(|file| file.expect("it is readable").path());
        let traces = files.filter(|path| path.to_string_lossy().contains("-traces."));
        let text: String = traces.map(|path| read(&path)).collect();
        let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let requests = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
        let resources = requests.flat_map(|request| all(&request, "resourceSpans"));
        let scopes = resources.flat_map(|resource| all(&resource, "scopeSpans"));
        (scopes.flat_map(|scope| all(&scope, "spans")).collect(), text)
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it is readable")
}

/// A running program of this package, and the lines that it prints.
pub(crate) struct Program {
    program: Running,
    lines: Receiver<String>,
}

impl Program {
    /// Returns the next lines, up to and including the first one for which `is_last` returns true.
    pub(crate) fn lines_to(&self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| is_last(line)) {
            lines.push(self.lines.recv_timeout(LONG).expect("the program prints more"));
        }
        lines
    }

    /// Waits until the program ends. Returns its remaining lines, and whether it succeeded.
    pub(crate) fn ended(mut self) -> (Vec<String>, bool) {
        let lines = self.lines.iter().collect();
        (lines, self.program.wait().expect("it ends").success())
    }

    /// Returns the URL that the program prints after a label.
    pub(crate) fn url(&self, label: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("the program prints its URL");
            if let Some(url) = line.strip_prefix(label) {
                return url.trim().to_owned();
            }
        }
    }

    /// Returns the memory of the program in MiB, or `None` if the system does not report it.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory::resident(self.program.id()).map(|bytes| bytes >> 20)
    }

    /// Stops the program with the signal that Ctrl-C sends, and waits until it has written its telemetry and ended.
    pub(crate) fn stop(mut self) {
        let id = self.program.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().is_ok_and(|status| status.success()));
        let deadline = Instant::now() + PATIENCE;
        while self.program.try_wait().expect("the program is a child").is_none() {
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A user of the API who is logged in.
pub(crate) struct User {
    client: Client,
    api: String,
    token: String,
}

impl User {
    pub(crate) async fn of(api: &str) -> User {
        let client = Client::builder().no_proxy().build().expect("a client can be made");
        let mut user = User { client, api: api.to_owned(), token: String::new() };
        let login = user.ask("/login", &json!({ "email": ACME_USER, "password": PASSWORD })).send().await;
        let session: Value = login.expect("it answers").json().await.expect("it is JSON");
        user.token = session["token"].as_str().expect("a session has a token").to_owned();
        user
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn ask(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.api)).bearer_auth(&self.token).json(body)
    }

    pub(crate) async fn set(&self, provider: &str, rule: &Value) {
        let set = self.client.post(format!("{provider}/mode")).json(rule).send().await;
        assert_eq!(set.expect("it answers").status(), 204);
    }
}

/// Returns the trace id in a response.
pub(crate) fn trace_of(response: &Response) -> String {
    response.headers()["x-trace-id"].to_str().expect("it is text").to_owned()
}

pub(crate) const AXCOUNCIL: &str = env!("CARGO_BIN_EXE_axcouncil");
pub(crate) const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");
