//! Measures `#[critical_process]` side by side with its peers, and writes the tables of `README.md`. This
//! file is the command line; `scenarios` and `builds` contain the rows, and `budgets` computes the budgets
//! from them.

mod allocations;
mod attach;
mod budgets;
mod builds;
mod child;
mod contention;
mod cores;
mod footprint;
mod instructions;
mod machine;
mod measured;
mod report;
mod rounds;
mod sample;
mod scenarios;
mod statistics;
mod subjects;
mod workload;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use budgets::Verdict;
use measured::Measured;
use rounds::Rounds;

const USAGE: &str = "\
usage: cargo run --release [-- PART]

without PART   measures everything and rewrites the tables of README.md
quick          times, allocations and memory in a few rounds, printed; under a minute
costs          the cost of a run
instructions   instructions for each run, under callgrind
builds         check and release time, and bytes in the binary
footprint      memory, and the duration of a watchdog scan
budgets        everything that the budgets need; --strict fails if one is missed
";

const ROUNDS: usize = 11;
const QUICK_ROUNDS: usize = 3;
const BUILD_ROUNDS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scratch = home.join("target");
    match arguments[..] {
        [child::SUBCOMMAND, row] => return served(|| child::serve(row)),
        [instructions::SUBCOMMAND, row] => return served(|| instructions::serve(row)),
        [footprint::SUBCOMMAND] => return served(footprint::serve),
        _ => {}
    }
    let rounds = || Rounds::measure(ROUNDS);
    let instructions = || instructions::all(&scratch);
    let builds = || builds::measure(&scratch, BUILD_ROUNDS);
    let footprint = || Some(footprint::measure());
    let nothing = Measured::default;

    let measured = match arguments[..] {
        [] => Measured {
            // The builds come first, because they are the most likely to fail.
            builds: builds(),
            footprint: footprint(),
            rounds: rounds(),
            instructions: instructions(),
        },
        ["quick"] => Measured { rounds: Rounds::measure(QUICK_ROUNDS), footprint: footprint(), ..nothing() },
        ["costs"] => Measured { rounds: rounds(), ..nothing() },
        ["instructions"] => Measured { instructions: instructions(), ..nothing() },
        ["builds"] => Measured { builds: builds(), ..nothing() },
        ["footprint"] => Measured { footprint: footprint(), ..nothing() },
        ["budgets"] | ["budgets", "--strict"] => {
            Measured { rounds: rounds(), footprint: footprint(), builds: builds(), ..nothing() }
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };

    let markdown = report::markdown(&measured);
    println!("{markdown}");
    if arguments.is_empty() {
        report::write(&home.join("README.md"), &markdown);
    }
    let missed = budgets::all(&measured).iter().any(|budget| budget.verdict() == Verdict::Missed);
    if missed && arguments.contains(&"--strict") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn served(serve: impl FnOnce()) -> ExitCode {
    serve();
    ExitCode::SUCCESS
}
