//! Reads the policy. The policy defines which cases a process must prove, and which cases are waived for now. It is
//! in `[contracts]` and `[[waiver]]` of `process.toml`, with defaults for every criticality that `[contracts]` does
//! not set. Other tables of the file belong to other tools. The decision whether a case is proven does not belong
//! here.
//!
//! The file is the first `process.toml` in the directory of the package under test, or else in a directory above it:
//!
//! ```toml
//! # Each line replaces the default of one criticality; these are the defaults.
//! [contracts]
//! critical = ["happy", "dependency", "timeout", "sla", "context"]
//! high = ["happy", "dependency", "context"]
//! medium = ["happy", "dependency"]
//! low = ["happy"]
//!
//! # Every key is required. The waiver holds to the end of its last day, in UTC. After that, the cell fails.
//! [[waiver]]
//! process = "user_authentication"
//! case = 'dependency("sqlite")'
//! owner = "identity"
//! reason = "Faults of the driver can be injected from its next release on"
//! expires = "2027-01-31"
//! ```
//!
//! `dependency` without an argument means every dependency that the process or one of its stages declares. Other
//! cases are written as in `#[contract]`, for example `'error("card_declined")'`. `edge` cannot be required, because
//! each test decides for itself what `edge` means.
//!
//! If a process is tested in another package, the tests of the package under test do not link the process. To waive a
//! case of such a process, also list the id of the process in `expected`, a top-level array of ids.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use process_model::{Case, Criticality, Shape, nearest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::case;
use super::date::Date;
use super::problem::Problem;
use crate::catalog::definition::ProcessDefinition;
use crate::testing::origin::place;

const FILE: &str = "process.toml";

/// The top-level keys that have a meaning, here or for another tool.
const TABLES: [&str; 4] = ["attestation", "contracts", "expected", "waiver"];
const WAIVER: [&str; 5] = ["process", "case", "owner", "reason", "expires"];

/// The cases that processes of each criticality must prove, and the waivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The requirements for each criticality, in the order of [`Criticality`].
    required: [Vec<Requirement>; 4],
    waivers: Vec<Waiver>,
    /// The ids of processes that exist but need not be linked.
    expected: Vec<String>,
}

/// A requirement for every process of a criticality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The process must prove this case.
    Case(Case),
    /// The process must prove the case `dependency` for each dependency that it or one of its stages declares.
    EachDependency,
}

/// A permission not to prove a case of a process for now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiver {
    /// The id of the process.
    pub process: String,
    /// The case.
    pub case: Case,
    /// The person or team that is responsible for the waiver.
    pub owner: String,
    /// The reason for the waiver.
    pub reason: String,
    /// The last day on which the waiver is valid.
    pub expires: Date,
    file: PathBuf,
    line: usize,
}

impl Waiver {
    /// Creates a problem at the place of the waiver.
    fn problem(&self, message: &str) -> Problem {
        Problem::new(&self.file, Some(self.line), &message)
    }
}

/// `process.toml` cannot be read or is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read {}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The file is invalid; the list has every problem.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

impl Default for Policy {
    /// Returns the policy that applies without a file. It has the defaults that the [module](self) documents.
    fn default() -> Self {
        let all = [
            Requirement::Case(Case::Happy),
            Requirement::EachDependency,
            Requirement::Case(Case::Timeout),
            Requirement::Case(Case::Sla),
            Requirement::Case(Case::Context),
        ];
        let [happy, dependency, _, _, context] = all.clone();
        let required = [
            all.to_vec(),
            vec![happy.clone(), dependency.clone(), context],
            vec![happy.clone(), dependency],
            vec![happy],
        ];
        Policy { required, waivers: Vec::new(), expected: Vec::new() }
    }
}

impl Policy {
    /// Reads the policy of the package under test. The package's directory is `CARGO_MANIFEST_DIR` if the variable is
    /// set, and otherwise the working directory. The file is the first `process.toml` in this directory or above it.
    /// Returns the default policy if the directories have no such file.
    ///
    /// # Errors
    /// If the file cannot be read or is invalid.
    pub fn find() -> Result<Policy, PolicyError> {
        let found = place::package().ancestors().map(|above| above.join(FILE)).find(|file| file.is_file());
        found.map_or_else(|| Ok(Policy::default()), |file| Policy::read(&file))
    }

    /// Reads the policy of this file.
    ///
    /// # Errors
    /// As [`Policy::find`].
    pub fn read(file: &Path) -> Result<Policy, PolicyError> {
        let text = fs::read_to_string(file)
            .map_err(|source| PolicyError::Unreadable { file: file.to_owned(), source })?;
        Policy::parse(&text, file)
    }

    /// Parses a policy. Errors name `file` as the source of the text.
    ///
    /// # Errors
    /// If the text is invalid. The error has every problem with its line.
    pub fn parse(text: &str, file: &Path) -> Result<Policy, PolicyError> {
        let mut reader = Reader { text, file, problems: Vec::new() };
        let policy = reader.policy();
        if reader.problems.is_empty() { Ok(policy) } else { Err(PolicyError::Invalid(reader.problems)) }
    }

    /// Returns the requirements for processes of a criticality.
    pub fn required(&self, criticality: Criticality) -> &[Requirement] {
        &self.required[criticality as usize]
    }

    /// Returns the waivers, in the order of the file.
    pub fn waivers(&self) -> &[Waiver] {
        &self.waivers
    }

    /// Returns the cases that a process must prove, each once. A required `timeout` applies only to a process whose
    /// runs are futures, because a plain function cannot be stopped before it returns. With [`Shape::ByType`], only a
    /// returned value shows whether the runs are futures, so `timeout` applies as soon as the function has returned a
    /// future. A [matrix](super::matrix) also applies `timeout` if evidence of the process shows that its runs are
    /// futures.
    pub fn cases(&self, process: &ProcessDefinition) -> Vec<Case> {
        self.cases_of(process, process.shape())
    }

    /// Returns the cases that a process must prove if its runs have this shape.
    pub(super) fn cases_of(&self, process: &ProcessDefinition, shape: Shape) -> Vec<Case> {
        let mut cases = Vec::new();
        for requirement in self.required(process.criticality()) {
            match requirement {
                Requirement::Case(case) if case::applies_to(case, shape) => cases.push(case.clone()),
                Requirement::Case(_) => {}
                Requirement::EachDependency => {
                    let of_stages = process.stages().iter().flat_map(|stage| stage.dependencies());
                    let all = process.dependencies().iter().chain(of_stages);
                    cases.extend(all.map(|id| Case::Dependency(id.clone())));
                }
            }
        }
        let mut before = Vec::new();
        cases.retain(|case| {
            !before.contains(case) && {
                before.push(case.clone());
                true
            }
        });
        cases
    }

    pub(super) fn waiver(&self, process: &str, case: &Case) -> Option<&Waiver> {
        self.waivers.iter().find(|waiver| waiver.process == process && waiver.case == *case)
    }

    /// Checks that each waiver is for a case that one of the processes must prove, or for a process in `expected`.
    pub(super) fn check(&self, processes: &[&ProcessDefinition]) -> Result<(), PolicyError> {
        let problems: Vec<Problem> =
            self.waivers.iter().filter_map(|waiver| self.misplaced(waiver, processes)).collect();
        if problems.is_empty() { Ok(()) } else { Err(PolicyError::Invalid(problems)) }
    }

    /// Returns the problem with a waiver for an unknown process or for a case that is not required; `None` if the
    /// waiver is valid.
    fn misplaced(&self, waiver: &Waiver, processes: &[&ProcessDefinition]) -> Option<Problem> {
        let Some(process) = processes.iter().find(|process| process.id() == waiver.process) else {
            if self.expected.contains(&waiver.process) {
                return None;
            }
            let ids =
                processes.iter().map(|process| process.id()).chain(self.expected.iter().map(String::as_str));
            let help = nearest(&waiver.process, ids).map_or_else(
                || format!("if it is in another package, add it to `expected = [\"{}\"]`", waiver.process),
                |near| format!("did you mean `{near}`?"),
            );
            return Some(waiver.problem(&format!("unknown process `{}`; {help}", waiver.process)));
        };
        // If it is not known yet whether the runs are futures, the cases that are required only of futures can also
        // be waived.
        let shape = match process.shape() {
            Shape::ByType => Shape::Awaited,
            shape => shape,
        };
        let cases: Vec<String> = self.cases_of(process, shape).iter().map(Case::to_string).collect();
        let case = waiver.case.to_string();
        if cases.contains(&case) {
            return None;
        }
        let help = match nearest(&case, cases.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if cases.is_empty() => "remove the waiver, because no case is required".to_owned(),
            None => format!("the required cases are `{}`", cases.join("`, `")),
        };
        Some(waiver.problem(&format!(
            "case `{case}` is not required of process `{}` and cannot be waived; {help}",
            process.id()
        )))
    }
}

/// Reads the text of one policy file. The reader continues after a problem, so that all problems are reported at
/// once.
struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn refuse(&mut self, span: &Range<usize>, problem: &str) {
        let line = self.line(span);
        self.problems.push(Problem::new(self.file, Some(line), &problem));
    }

    fn policy(&mut self) -> Policy {
        let mut policy = Policy::default();
        let root = match DeTable::parse(self.text) {
            Ok(root) => root,
            Err(error) => {
                let line = error.span().map(|span| self.line(&span));
                self.problems.push(Problem::new(self.file, line, &error.message()));
                return policy;
            }
        };
        for (key, value) in root.get_ref() {
            match &**key.get_ref() {
                "contracts" => self.contracts(value, &mut policy.required),
                "waiver" => policy.waivers = self.waivers(value),
                "expected" => policy.expected = ids(value.get_ref()),
                // A key of another tool is allowed. A key that is only similar to one of `TABLES` is an error,
                // because a misspelt key would otherwise be ignored silently.
                other if !TABLES.contains(&other) => {
                    if let Some(near) = nearest(other, TABLES) {
                        self.refuse(&key.span(), &format!("unknown table `{other}`; did you mean `{near}`?"));
                    }
                }
                _ => {}
            }
        }
        policy
    }

    fn contracts(&mut self, value: &Spanned<DeValue<'_>>, required: &mut [Vec<Requirement>; 4]) {
        let Some(table) = value.get_ref().as_table() else {
            return self.refuse(&value.span(), "`contracts` must be a table; write `[contracts]`");
        };
        for (key, value) in table {
            match key.get_ref().parse::<Criticality>() {
                Ok(criticality) => required[criticality as usize] = self.requirements(value),
                Err(error) => self.refuse(&key.span(), &error.to_string()),
            }
        }
    }

    fn requirements(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Requirement> {
        let Some(list) = value.get_ref().as_array() else {
            self.refuse(&value.span(), "expected a list of cases, for example `[\"happy\", \"dependency\"]`");
            return Vec::new();
        };
        list.iter().filter_map(|word| self.requirement(word)).collect()
    }

    fn requirement(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Requirement> {
        match value.get_ref().as_str() {
            Some("dependency") => Some(Requirement::EachDependency),
            _ => self.case(value).map(Requirement::Case),
        }
    }

    /// Reads a case that can be required or waived. Returns `None` if the case is invalid.
    fn case(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Case> {
        let problem = match value.get_ref().as_str().map(str::parse::<Case>) {
            Some(Ok(case)) if !case::can_be_required(&case) => {
                format!(
                    "case `{case}` cannot be required or waived, because the test alone decides what it means; remove it"
                )
            }
            Some(Ok(case)) => return Some(case),
            Some(Err(error)) => error.to_string(),
            None => "expected a case as a string, for example `\"happy\"`".to_owned(),
        };
        self.refuse(&value.span(), &problem);
        None
    }

    fn waivers(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Waiver> {
        let Some(list) = value.get_ref().as_array() else {
            self.refuse(&value.span(), "`waiver` must be a list of tables; write `[[waiver]]`");
            return Vec::new();
        };
        let mut waivers: Vec<Waiver> = Vec::new();
        for value in list {
            let Some(waiver) = self.waiver(value) else { continue };
            let is_same = |other: &&Waiver| other.process == waiver.process && other.case == waiver.case;
            match waivers.iter().find(is_same) {
                Some(first) => {
                    let problem = format!(
                        "case `{}` of process `{}` is already waived in line {}; remove one of the waivers",
                        waiver.case, waiver.process, first.line
                    );
                    self.refuse(&value.span(), &problem);
                }
                None => waivers.push(waiver),
            }
        }
        waivers
    }

    fn waiver(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Waiver> {
        let Some(table) = value.get_ref().as_table() else {
            self.refuse(&value.span(), "a waiver must be a table; write `[[waiver]]`");
            return None;
        };
        for key in table.keys().filter(|key| !WAIVER.contains(&&**key.get_ref())) {
            let help = nearest(key.get_ref(), WAIVER).map_or_else(
                || format!("valid keys are `{}`", WAIVER.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            );
            self.refuse(&key.span(), &format!("unknown key `{}` of a waiver; {help}", key.get_ref()));
        }
        // Every key is read before the first `?`, so that all problems are reported.
        let place = value.span();
        let case = self.entry(table, "case", &place).and_then(|value| self.case(value));
        let [process, owner, reason] = ["process", "owner", "reason"]
            .map(|key| self.entry(table, key, &place).and_then(|value| self.words(key, value)));
        let expires = self.entry(table, "expires", &place).and_then(|value| self.date(value));
        Some(Waiver {
            process: process?,
            case: case?,
            owner: owner?,
            reason: reason?,
            expires: expires?,
            file: self.file.to_owned(),
            line: self.line(&place),
        })
    }

    fn entry<'t, 'i>(
        &mut self,
        table: &'t DeTable<'i>,
        key: &str,
        place: &Range<usize>,
    ) -> Option<&'t Spanned<DeValue<'i>>> {
        let value = table.get(key);
        if value.is_none() {
            self.refuse(place, &format!("the waiver has no key `{key}`; every key is required"));
        }
        value
    }

    /// Reads a text that is not blank. Returns `None` if the value is invalid.
    fn words(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::trim).filter(|text| !text.is_empty());
        if text.is_none() {
            self.refuse(
                &value.span(),
                &format!("invalid `{key}` of the waiver: expected a string that is not blank"),
            );
        }
        text.map(str::to_owned)
    }

    /// Reads a date, as a string or in TOML's own form. Returns `None` if the date is invalid.
    fn date(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Date> {
        let date = match value.get_ref() {
            DeValue::String(text) => text.parse().ok(),
            DeValue::Datetime(bare) => bare.to_string().parse().ok(),
            _ => None,
        };
        if date.is_none() {
            self.refuse(&value.span(), "invalid `expires`: write a day of the calendar as \"YYYY-MM-DD\"");
        }
        date
    }
}

/// Reads the ids in `expected`. Ignores values that are not strings, because another tool checks them.
fn ids(value: &DeValue<'_>) -> Vec<String> {
    let list = value.as_array().map(|list| list.iter()).into_iter().flatten();
    list.filter_map(|id| id.get_ref().as_str().map(str::to_owned)).collect()
}
