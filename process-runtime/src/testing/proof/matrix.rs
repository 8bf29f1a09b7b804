//! What is proven of every process, case by case. Only evidence of this definition at this revision counts, and of a
//! cell's evidence the worst.

use std::time::Duration;

use process_model::Case;

use super::date::Date;
use super::evidence::{self, Evidence, NoDirectory};
use super::policy::{Policy, PolicyError, Waiver};
use super::problem::Problem;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::testing::origin::revision::Revision;
use crate::testing::origin::text::one_line;

/// Process × case, at one revision.
#[derive(Clone, Debug)]
pub struct Matrix {
    rows: Vec<Row>,
    revision: Revision,
    problems: Vec<Problem>,
    more_problems: usize,
}

/// What is proven of one process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The process.
    pub process: &'static ProcessDefinition,
    /// The required cases in the policy's order, then others that some test ran.
    pub cells: Vec<Cell>,
}

/// One case of one process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cell {
    /// Id of the process.
    pub process: &'static str,
    /// The case.
    pub case: Case,
    /// Whether the policy asks for it.
    pub required: bool,
    /// How it stands.
    pub state: State,
    /// Why it stands so, on one line; nothing where it is proven and there is no more to say.
    pub reason: Option<String>,
    /// Whether it rests on a tree that was not clean, which nobody else has.
    pub unclean: bool,
    /// The tests that ran it, of this definition and revision.
    pub tests: Vec<String>,
    /// The longest that a run of these tests took.
    pub duration: Duration,
}

/// How a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A contract observed it, and none failed.
    Proven,
    /// A contract failed, or nothing has proven it and its waiver expired.
    Failed,
    /// No contract of this definition and revision ran.
    Unknown,
    /// It need not be proven for now.
    Waived,
}

impl State {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Proven => "proven",
            State::Failed => "failed",
            State::Unknown => "unknown",
            State::Waived => "waived",
        }
    }
}

/// There is no matrix of this build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// The policy says what cannot be.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Nobody knows where the evidence is.
    #[error(transparent)]
    NoDirectory(#[from] NoDirectory),
}

impl Matrix {
    /// What the evidence in this build's [`directory`](evidence::directory) proves of every process in the registry,
    /// under the policy of the package, at its revision, today.
    ///
    /// # Errors
    /// Where the policy cannot be read or has a waiver for what is not there, or there is no directory.
    pub fn of_this_build() -> Result<Matrix, MatrixError> {
        let policy = Policy::find()?;
        let gathered = evidence::read(&evidence::directory()?);
        let matrix =
            Matrix::new(registry::all(), &policy, &gathered.evidence, Revision::current(), Date::today())?;
        Ok(Matrix { problems: gathered.problems, more_problems: gathered.more_problems, ..matrix })
    }

    /// What this evidence proves of these processes.
    ///
    /// # Errors
    /// Where a waiver of the policy is for a process or a cell that is not there.
    pub fn new(
        processes: impl IntoIterator<Item = &'static ProcessDefinition>,
        policy: &Policy,
        evidence: &[Evidence],
        revision: &Revision,
        today: Date,
    ) -> Result<Matrix, PolicyError> {
        let processes = Vec::from_iter(processes);
        policy.check(&processes)?;
        let row = |process| Row { process, cells: cells(process, policy, evidence, revision, today) };
        let rows = processes.into_iter().map(row).collect();
        Ok(Matrix { rows, revision: revision.clone(), problems: Vec::new(), more_problems: 0 })
    }

    /// A row for each process, in the order given.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Every cell, row by row.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flat_map(|row| &row.cells)
    }

    /// The cells that must be closed: those that failed, and those required of which nothing is known.
    pub fn open(&self) -> impl Iterator<Item = &Cell> {
        self.cells().filter(|cell| matches!(cell.state, State::Failed | State::Unknown))
    }

    /// The revision that the evidence had to be of.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// What was in the directory of evidence and could not be read: the first hundred.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many more there were.
    pub fn more_problems(&self) -> usize {
        self.more_problems
    }
}

impl Cell {
    /// The line above the test that proves it: `#[contract(process = "pay_invoice", case = happy)]`.
    pub fn contract(&self) -> String {
        format!("#[contract(process = \"{}\", case = {})]", self.process, self.case)
    }
}

fn cells(
    process: &'static ProcessDefinition,
    policy: &Policy,
    evidence: &[Evidence],
    revision: &Revision,
    today: Date,
) -> Vec<Cell> {
    let is_current = |one: &&Evidence| {
        revision.is_known() && one.definition == process.hash() && one.revision == *revision
    };
    let (current, stale): (Vec<&Evidence>, Vec<&Evidence>) =
        evidence.iter().filter(|one| one.process == process.id()).partition(is_current);
    let required = policy.cases(process);
    // What is neither required nor run any more leaves no cell, which nobody could close.
    let mut others: Vec<&Case> =
        current.iter().map(|one| &one.case).filter(|case| !required.contains(case)).collect();
    others.sort();
    others.dedup();
    let cell = |case: &Case| {
        let current: Vec<&Evidence> = current.iter().copied().filter(|one| one.case == *case).collect();
        let stale = stale.iter().copied().filter(|one| one.case == *case).max_by_key(|one| one.at);
        let waiver = policy.waiver(process.id(), case);
        let (state, reason) = under(waiver, today, standing(&current, stale, process, revision));
        Cell {
            process: process.id(),
            case: case.clone(),
            required: required.contains(case),
            state,
            reason: reason.map(|reason| one_line(&reason)),
            unclean: !current.is_empty() && !revision.is_clean(),
            tests: current.iter().map(|one| one.test.clone()).collect(),
            duration: current.iter().map(|one| one.duration).max().unwrap_or_default(),
        }
    };
    required.iter().chain(others).map(cell).collect()
}

type Standing = (State, Option<String>);

/// How a cell stands by its evidence: what counts now, and the latest that does not.
fn standing(
    current: &[&Evidence],
    stale: Option<&Evidence>,
    process: &ProcessDefinition,
    revision: &Revision,
) -> Standing {
    let failed = current.iter().find_map(|one| Some(format!("{}: {}", one.test, one.failure()?)));
    match (failed, stale) {
        (Some(failed), _) => (State::Failed, Some(failed)),
        (None, _) if !current.is_empty() => (State::Proven, None),
        (None, Some(stale)) => (State::Unknown, Some(staleness(stale, process, revision))),
        (None, None) => (State::Unknown, Some("no contract ran".to_owned())),
    }
}

/// Why evidence does not count.
fn staleness(stale: &Evidence, process: &ProcessDefinition, revision: &Revision) -> String {
    if !revision.is_known() {
        return format!("nobody knows which code {} ran on: set PROCESS_REVISION ({revision})", stale.test);
    }
    let (test, ran, now) = (&stale.test, stale.revision.short(), revision.short());
    match stale.definition == process.hash() {
        true => format!("the evidence of {test} is of another revision: {ran}, and this is {now}"),
        false => {
            format!("the evidence of {test} is of another definition: version {} at {ran}", stale.version)
        }
    }
}

/// How a cell stands under its waiver, which holds to the end of its last day.
fn under(waiver: Option<&Waiver>, today: Date, (state, reason): Standing) -> Standing {
    let Some(Waiver { owner, expires, reason: why, .. }) = waiver else { return (state, reason) };
    let besides = reason.map(|reason| format!("; {reason}")).unwrap_or_default();
    match state {
        State::Proven => (state, Some(format!("its waiver ({owner}, until {expires}) can go"))),
        _ if today <= *expires => (State::Waived, Some(format!("{owner}, until {expires}: {why}{besides}"))),
        _ => (State::Failed, Some(format!("the waiver of {owner} expired on {expires}: {why}{besides}"))),
    }
}
