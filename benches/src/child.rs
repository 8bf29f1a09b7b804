//! Runs a row in a separate process. The program starts itself again as a child, and requests samples through
//! the child's standard input. Therefore rows share no global state, and the rows of a round can take turns.

use std::collections::HashMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use crate::contention;
use crate::cores::{self, Core};
use crate::sample::{self, Cost};
use crate::scenarios::{self, Scenario};
use crate::workload::Shape;

/// The subcommand of the child process.
pub(crate) const SUBCOMMAND: &str = "child";

pub(crate) struct Child {
    process: process::Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Child {
    pub(crate) fn start(scenario: &Scenario) -> Child {
        let mut process = this_program()
            .args([SUBCOMMAND, scenario.key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Our runtime reports missing destinations on standard error, but the rows omit destinations on
            // purpose.
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver can start itself");
        let asks = process.stdin.take().expect("stdin is piped");
        let answers = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Child { process, asks, answers }
    }

    pub(crate) fn cost(&mut self, shape: Shape, core: Core) -> Cost {
        let [nanos, processor_nanos, allocations, allocated_bytes] =
            self.ask(&format!("cost {} {core}", shape.name()));
        Cost { nanos, processor_nanos, allocations, allocated_bytes }
    }

    pub(crate) fn relative_throughput(&mut self, shape: Shape) -> f64 {
        let [relative] = self.ask(&format!("contention {}", shape.name()));
        relative
    }

    fn ask<const N: usize>(&mut self, what: &str) -> [f64; N] {
        writeln!(self.asks, "{what}").expect("the child listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the child answers");
        let figures: Vec<f64> = answer.split_whitespace().flat_map(str::parse).collect();
        figures.try_into().unwrap_or_else(|_| panic!("{what} was answered with {answer:?}"))
    }

    /// Ends the child by closing its input.
    pub(crate) fn finish(self) {
        let Child { mut process, asks, .. } = self;
        drop(asks);
        let status = process.wait().expect("the child ends");
        assert!(status.success(), "a child ended with {status}");
    }
}

/// Answers requests in the child process.
pub(crate) fn serve(key: &str) {
    let scenario = scenarios::named(key).expect("the driver names a row of the table");
    let attachment = scenario.attached.attach();
    let all_cores = cores::all();
    let mut burst_sizes = HashMap::new();
    for ask in io::stdin().lines() {
        let ask = ask.expect("the driver asks in UTF-8");
        let words: Vec<&str> = ask.split(' ').collect();
        let shape = Shape::named(words[1]).expect("the second word is a shape");
        match words[..] {
            ["cost", _, core] => {
                // Binds only this thread to the core. The threads of the exporters are already running and may
                // use any core.
                cores::pin(&[core.parse().expect("the third word is a core")]);
                let find_size = || sample::burst_size(scenario, &attachment, shape);
                let calls = *burst_sizes.entry(shape).or_insert_with(find_size);
                let cost = sample::cost(scenario, &attachment, shape, calls);
                println!(
                    "{} {} {} {}",
                    cost.nanos, cost.processor_nanos, cost.allocations, cost.allocated_bytes
                );
            }
            ["contention", _] => {
                cores::pin(&all_cores);
                println!("{}", contention::relative_throughput(scenario, &attachment, shape));
            }
            _ => panic!("unknown request {ask}"),
        }
        if scenario.attached.metrics {
            // A metrics sample that is dropped costs less than one that is recorded, so dropped samples would
            // make the row look too fast.
            for (reason, dropped) in process_runtime::__private::measure::dropped() {
                assert_eq!(dropped, 0, "{key} dropped a {reason}");
            }
        }
    }
}

pub(crate) fn this_program() -> Command {
    Command::new(env::current_exe().expect("a running program has a path"))
}
