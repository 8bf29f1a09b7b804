//! A program that runs under load: `src/bin/loaded.rs`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use test_machine::program::{Running, unconfigure};

/// How long one [`Loaded::run`] takes.
const TIME: Duration = Duration::from_millis(700);

/// The program, which is killed when this is dropped.
#[derive(Debug)]
pub struct Loaded {
    program: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Loaded {
    /// Returns the id of its process.
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// Starts the program with this command, and its files in a directory. One of `failing` runs fails; with 0 none
    /// does.
    pub fn start(mut command: Command, directory: &Path, failing: u64, variables: &[(&str, &str)]) -> Loaded {
        unconfigure(&mut command);
        command.arg(directory).arg(failing.to_string()).envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = Running::start(&mut command);
        let (input, output) = (program.stdin.take().unwrap(), BufReader::new(program.stdout.take().unwrap()));
        Loaded { program, input, output }
    }

    /// Sends a command, and returns the answer.
    pub fn ask(&mut self, what: &str) -> Value {
        writeln!(self.input, "{what}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?} after {what}"))
    }

    /// Runs for a while. Returns the median latency of the runs that succeed, and of those that fail if there are any.
    pub fn run(&mut self) -> Vec<f64> {
        let answer = self.ask(&format!("run {}", TIME.as_millis()));
        ["good", "failed"].iter().filter_map(|kind| answer[*kind].as_f64()).collect()
    }
}
