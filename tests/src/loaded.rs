//! Starts the program `src/bin/loaded.rs`, which runs under load, and sends commands to it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use test_machine::latency::Slice;
use test_machine::program::{Running, unconfigure};

/// How long one [`Loaded::run`] takes.
const TIME: Duration = Duration::from_millis(700);

/// The running program. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Loaded {
    program: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Loaded {
    /// Returns the process id of the program.
    pub fn id(&self) -> u32 {
        self.program.id()
    }

    /// Starts the program with this command. The program writes its files to `directory`. One of every `failing` runs
    /// fails; if `failing` is 0, no run fails.
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

    /// Lets the program execute runs for 700 ms, and returns their latencies.
    pub fn run(&mut self) -> Slice {
        self.run_on(1)
    }

    /// Does the same as [`Loaded::run`] on several threads, which together execute as many runs.
    pub fn run_on(&mut self, threads: usize) -> Slice {
        let answer = self.ask(&format!("run {} {threads}", TIME.as_millis()));
        serde_json::from_value(answer).expect("two lists of times")
    }
}
