//! Shows which cases of which processes are proven, as a matrix with a cell for each case of each process. Only
//! evidence for the current definition and revision counts. If a cell has several pieces of evidence, one failure
//! outweighs every proof. Printing a matrix does not belong here.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use process_model::{Case, Shape};

use super::date::Date;
use super::evidence::{self, Evidence, NoDirectory};
use super::policy::{Policy, PolicyError, Waiver};
use super::problem::Problem;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::testing::origin::revision::Revision;
use crate::testing::origin::text::one_line;

/// A row for each process and a cell for each of its cases, at one revision.
#[derive(Clone, Debug)]
pub struct Matrix {
    rows: Vec<Row>,
    revision: Revision,
    problems: Vec<Problem>,
    omitted_problems: usize,
}

/// The cells of one process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The process.
    pub process: &'static ProcessDefinition,
    /// The required cases in the order of the policy, then other cases for which a contract ran.
    pub cells: Vec<Cell>,
}

/// One case of one process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cell {
    /// The id of the process.
    pub process: &'static str,
    /// The case.
    pub case: Case,
    /// Whether the policy requires the case.
    pub required: bool,
    /// The state of the cell.
    pub state: State,
    /// The reason for the state, on one line. `None` if the case is proven and has no waiver.
    pub reason: Option<String>,
    /// Whether the evidence for the cell belongs to a working tree with uncommitted changes. The commit alone does
    /// not reproduce this tree.
    pub dirty: bool,
    /// The tests that ran for the case, with the current definition and revision.
    pub tests: Vec<String>,
    /// The longest duration in the evidence of `tests`.
    pub duration: Duration,
}

/// The state of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// At least one contract proved the case and none failed.
    Proven,
    /// A contract failed, or the waiver of an unproven case has expired.
    Failed,
    /// No contract for the case ran with the current definition and revision.
    Unknown,
    /// The case is not proven, but a valid waiver allows this for now.
    Waived,
}

impl State {
    /// Returns the word that reports use for the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Proven => "proven",
            State::Failed => "failed",
            State::Unknown => "unknown",
            State::Waived => "waived",
        }
    }
}

/// The matrix of this build cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// The policy cannot be read or is invalid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The directory of evidence is unknown.
    #[error(transparent)]
    NoDirectory(#[from] NoDirectory),
}

impl Matrix {
    /// Returns the matrix of this build, for the current revision and date. The matrix has every process in the
    /// registry. It uses the evidence in the [`directory`](evidence::directory) of the build and the policy of the
    /// package.
    ///
    /// # Errors
    /// If the policy cannot be read or is invalid, if it has a waiver for an unknown process or for a case that is
    /// not required, or if the directory of evidence is unknown.
    pub fn current() -> Result<Matrix, MatrixError> {
        let policy = Policy::find()?;
        let gathered = evidence::read(&evidence::directory()?);
        let matrix =
            Matrix::new(registry::all(), &policy, &gathered.evidence, Revision::current(), Date::today())?;
        Ok(Matrix { problems: gathered.problems, omitted_problems: gathered.omitted_problems, ..matrix })
    }

    /// Creates a matrix from processes, a policy and evidence.
    ///
    /// # Errors
    /// If the policy has a waiver for an unknown process or for a case that is not required.
    pub fn new(
        processes: impl IntoIterator<Item = &'static ProcessDefinition>,
        policy: &Policy,
        evidence: &[Evidence],
        revision: &Revision,
        today: Date,
    ) -> Result<Matrix, PolicyError> {
        let processes = Vec::from_iter(processes);
        policy.check(&processes)?;
        let mut by_process: HashMap<&str, Vec<&Evidence>> = HashMap::new();
        for one in evidence {
            by_process.entry(&one.process).or_default().push(one);
        }
        let waivers = policy.waivers_by_process();
        let (no_evidence, no_waivers) = (Vec::new(), BTreeMap::new());
        let row = |process: &'static ProcessDefinition| {
            let evidence = by_process.get(process.id()).unwrap_or(&no_evidence);
            let waivers = waivers.get(process.id()).unwrap_or(&no_waivers);
            Row { process, cells: cells(process, policy, evidence, waivers, revision, today) }
        };
        let rows = processes.into_iter().map(row).collect();
        Ok(Matrix { rows, revision: revision.clone(), problems: Vec::new(), omitted_problems: 0 })
    }

    /// Returns a row for each process, in the order in which [`Matrix::new`] received the processes.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Returns every cell, row by row.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().flat_map(|row| &row.cells)
    }

    /// Returns the open cells. These are the cells with the state [`State::Failed`] or [`State::Unknown`].
    pub fn open_cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells().filter(|cell| matches!(cell.state, State::Failed | State::Unknown))
    }

    /// Returns the revision of the matrix. Evidence for any other revision does not count.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Returns the first hundred problems with files in the directory of evidence.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns how many problems there were beyond the first hundred.
    pub fn omitted_problems(&self) -> usize {
        self.omitted_problems
    }
}

impl Cell {
    /// Returns the attribute that a test for this cell needs, for example
    /// `#[contract(process = "pay_invoice", case = happy)]`.
    pub fn attribute(&self) -> String {
        format!("#[contract(process = \"{}\", case = {})]", self.process, self.case)
    }
}

fn cells(
    process: &'static ProcessDefinition,
    policy: &Policy,
    evidence: &[&Evidence],
    waivers: &BTreeMap<&Case, &Waiver>,
    revision: &Revision,
    today: Date,
) -> Vec<Cell> {
    let is_current = |one: &&Evidence| {
        revision.is_known() && one.definition == process.hash() && one.revision == *revision
    };
    let (current, stale): (Vec<&Evidence>, Vec<&Evidence>) = evidence.iter().copied().partition(is_current);
    let shape = if current.iter().any(|one| one.is_future) { Shape::Awaited } else { process.shape() };
    let [mut current, stale] = [current, stale].map(by_case);
    let cell = |case: Case, required: bool, current: Vec<&Evidence>| {
        let stale = stale.get(&case).into_iter().flatten().copied().max_by_key(|one| one.at);
        let waiver = waivers.get(&case).copied();
        let (state, reason) = with_waiver(waiver, today, by_evidence(&current, stale, process, revision));
        Cell {
            process: process.id(),
            case,
            required,
            state,
            reason: reason.map(|reason| one_line(&reason)),
            dirty: !current.is_empty() && !revision.is_clean(),
            tests: current.iter().map(|one| one.test.clone()).collect(),
            duration: current.iter().map(|one| one.duration).max().unwrap_or_default(),
        }
    };
    let required = policy.cases_of(process, shape).into_iter().map(|case| {
        let current = current.remove(&case).unwrap_or_default();
        cell(case, true, current)
    });
    let mut cells = Vec::from_iter(required);
    // If a case is not required and has only stale evidence, it gets no cell. The test for the case may no longer
    // exist, and then no test could close the cell.
    cells.extend(current.into_iter().map(|(case, current)| cell(case.clone(), false, current)));
    cells
}

/// Groups evidence by its case. The groups are in the order of the cases.
fn by_case(evidence: Vec<&Evidence>) -> BTreeMap<&Case, Vec<&Evidence>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in evidence {
        groups.entry(&one.case).or_default().push(one);
    }
    groups
}

type StateAndReason = (State, Option<String>);

/// Derives the state of a cell from `current`, the evidence that counts. `stale` is the latest evidence for another
/// definition or revision.
fn by_evidence(
    current: &[&Evidence],
    stale: Option<&Evidence>,
    process: &ProcessDefinition,
    revision: &Revision,
) -> StateAndReason {
    let failed = current.iter().find_map(|one| Some(format!("{}: {}", one.test, one.failure()?)));
    match (failed, stale) {
        (Some(failed), _) => (State::Failed, Some(failed)),
        (None, _) if !current.is_empty() => (State::Proven, None),
        (None, Some(stale)) => (State::Unknown, Some(staleness(stale, process, revision))),
        (None, None) => (State::Unknown, Some("no contract ran".to_owned())),
    }
}

/// Explains why evidence does not count.
fn staleness(stale: &Evidence, process: &ProcessDefinition, revision: &Revision) -> String {
    let (test, then, now) = (&stale.test, stale.revision.short(), revision.short());
    if !revision.is_known() {
        format!(
            "the revision of this build is not known, so the run of {test} does not count; set PROCESS_REVISION ({revision})"
        )
    } else if stale.definition == process.hash() {
        format!("{test} last ran at revision {then}, and the code is at {now} now; run it again")
    } else {
        let version = &stale.version;
        format!("{test} last ran with another definition (version {version} at {then}); run it again")
    }
}

/// Applies a waiver to the state of a cell, if there is one. A waiver is valid to the end of its last day.
fn with_waiver(waiver: Option<&Waiver>, today: Date, (state, reason): StateAndReason) -> StateAndReason {
    let Some(Waiver { owner, expires, reason: why, .. }) = waiver else { return (state, reason) };
    let rest = reason.map(|reason| format!("; {reason}")).unwrap_or_default();
    match state {
        State::Proven => (state, Some(format!("remove its waiver ({owner}, until {expires})"))),
        _ if today <= *expires => (State::Waived, Some(format!("{owner}, until {expires}: {why}{rest}"))),
        _ => (
            State::Failed,
            Some(format!("the waiver expired on {expires} (owner: {owner}; reason: {why}){rest}")),
        ),
    }
}
