//! Which cases a process must have proven, and which it need not for now: `[contracts]` and `[[waiver]]` of
//! `process.toml`, and what holds without one. Other tables there are for other tools, which read them themselves.
//!
//! The file is the first `process.toml` upwards from the package under test:
//!
//! ```toml
//! # Each line replaces the default of one criticality; these are the defaults.
//! [contracts]
//! critical = ["happy", "dependency", "timeout", "sla", "context"]
//! high = ["happy", "dependency", "context"]
//! medium = ["happy", "dependency"]
//! low = ["happy"]
//!
//! # Every key is required. The waiver holds to the end of its last day, in UTC; then the cell has failed.
//! [[waiver]]
//! process = "user_authentication"
//! case = 'dependency("sqlite")'
//! owner = "identity"
//! reason = "The driver cannot be made to fail before its next release"
//! expires = "2027-01-31"
//! ```
//!
//! `dependency` alone means each dependency that the process or one of its stages declares. A case may be written as in
//! `#[contract]`, as `'error("card_declined")'`; `edge` means whatever a test says, and cannot be required.
//!
//! A process that another package's tests prove is not linked with this one's. List its id in `expected`, a top-level
//! array of ids, so that a waiver may name it.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use process_model::{Case, Criticality, nearest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::case;
use super::date::Date;
use super::problem::Problem;
use crate::catalog::definition::ProcessDefinition;
use crate::testing::origin::place;

const FILE: &str = "process.toml";

/// The keys of the file that have a meaning today, here or to another tool.
const TABLES: [&str; 4] = ["attestation", "contracts", "expected", "waiver"];
const WAIVER: [&str; 5] = ["process", "case", "owner", "reason", "expires"];

/// What must be proven of a process of each criticality, and the waivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// By criticality.
    required: [Vec<Requirement>; 4],
    waivers: Vec<Waiver>,
    /// Processes that exist, linked or not.
    expected: Vec<String>,
}

/// What is required of every process of a criticality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// This case.
    Case(Case),
    /// The failure of each dependency that the process or one of its stages declares.
    EachDependency,
}

/// One cell that need not be proven for now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiver {
    /// Id of the process.
    pub process: String,
    /// The case.
    pub case: Case,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Date,
    file: PathBuf,
    line: usize,
}

impl Waiver {
    /// What is wrong with it.
    fn problem(&self, problem: &str) -> Problem {
        Problem::new(&self.file, Some(self.line), &problem)
    }
}

/// `process.toml` says what cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everything that is wrong with what it says.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Problem>),
}

impl Default for Policy {
    /// What holds without a file: the lists above.
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
    /// The policy of the package under test: of the first `process.toml` upwards from `CARGO_MANIFEST_DIR`, or else
    /// from the working directory. The default where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read, or says what cannot be.
    pub fn find() -> Result<Policy, PolicyError> {
        let found = place::package().ancestors().map(|above| above.join(FILE)).find(|file| file.is_file());
        found.map_or_else(|| Ok(Policy::default()), |file| Policy::read(&file))
    }

    /// The policy of this file.
    ///
    /// # Errors
    /// As [`Policy::find`].
    pub fn read(file: &Path) -> Result<Policy, PolicyError> {
        let text = fs::read_to_string(file)
            .map_err(|source| PolicyError::Unreadable { file: file.to_owned(), source })?;
        Policy::parse(&text, file)
    }

    /// The policy of a text, which `file` names in errors.
    ///
    /// # Errors
    /// With everything that is wrong, each with its line.
    pub fn parse(text: &str, file: &Path) -> Result<Policy, PolicyError> {
        let mut reader = Reader { text, file, problems: Vec::new() };
        let policy = reader.policy();
        if reader.problems.is_empty() { Ok(policy) } else { Err(PolicyError::Refused(reader.problems)) }
    }

    /// What is required of processes of a criticality.
    pub fn required(&self, criticality: Criticality) -> &[Requirement] {
        &self.required[criticality as usize]
    }

    /// The waivers, in the order of the file.
    pub fn waivers(&self) -> &[Waiver] {
        &self.waivers
    }

    /// The cases that must be proven of a process, each once. Of a plain function `timeout` is none of them: nothing can
    /// stop it in the middle.
    pub fn cases(&self, process: &ProcessDefinition) -> Vec<Case> {
        let mut cases = Vec::new();
        for requirement in self.required(process.criticality()) {
            match requirement {
                Requirement::Case(case) if case::applies_to(case, process) => cases.push(case.clone()),
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

    /// Checks the waivers against the processes that there are.
    pub(super) fn check(&self, processes: &[&ProcessDefinition]) -> Result<(), PolicyError> {
        let problems: Vec<Problem> =
            self.waivers.iter().filter_map(|waiver| self.misplaced(waiver, processes)).collect();
        if problems.is_empty() { Ok(()) } else { Err(PolicyError::Refused(problems)) }
    }

    /// Why there is no cell for a waiver, if there is none.
    fn misplaced(&self, waiver: &Waiver, processes: &[&ProcessDefinition]) -> Option<Problem> {
        let Some(process) = processes.iter().find(|process| process.id() == waiver.process) else {
            if self.expected.contains(&waiver.process) {
                return None;
            }
            let ids =
                processes.iter().map(|process| process.id()).chain(self.expected.iter().map(String::as_str));
            let help = nearest(&waiver.process, ids).map_or_else(
                || format!("if another package has it, list it in `expected = [\"{}\"]`", waiver.process),
                |near| format!("did you mean `{near}`?"),
            );
            return Some(waiver.problem(&format!("no process `{}` is registered; {help}", waiver.process)));
        };
        let cases: Vec<String> = self.cases(process).iter().map(Case::to_string).collect();
        let case = waiver.case.to_string();
        if cases.contains(&case) {
            return None;
        }
        let help = match nearest(&case, cases.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if cases.is_empty() => "nothing is".to_owned(),
            None => format!("`{}` are", cases.join("`, `")),
        };
        Some(waiver.problem(&format!(
            "`{case}` is not required of process `{}`, so there is nothing to waive; {help}",
            process.id()
        )))
    }
}

/// Reads one text, and goes on after a mistake so that all are told at once.
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
                // Another tool's table is not refused, but a slip of ours would be a policy that nobody has.
                other if !TABLES.contains(&other) => {
                    if let Some(near) = nearest(other, TABLES) {
                        self.refuse(&key.span(), &format!("`{other}` is no table; did you mean `{near}`?"));
                    }
                }
                _ => {}
            }
        }
        policy
    }

    fn contracts(&mut self, value: &Spanned<DeValue<'_>>, required: &mut [Vec<Requirement>; 4]) {
        let Some(table) = value.get_ref().as_table() else {
            return self.refuse(&value.span(), "`contracts` is a table: write `[contracts]`");
        };
        for (key, value) in table {
            match Criticality::parse(key.get_ref()) {
                Ok(criticality) => required[criticality as usize] = self.requirements(value),
                Err(error) => self.refuse(&key.span(), &error.to_string()),
            }
        }
    }

    fn requirements(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Requirement> {
        let Some(list) = value.get_ref().as_array() else {
            self.refuse(&value.span(), "write a list of cases, as in `[\"happy\", \"dependency\"]`");
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

    /// A case that can be required.
    fn case(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Case> {
        let problem = match value.get_ref().as_str().map(str::parse::<Case>) {
            Some(Ok(case)) if !case::can_be_required(&case) => {
                "`edge` is whatever a test says, so nothing can require or waive it".to_owned()
            }
            Some(Ok(case)) => return Some(case),
            Some(Err(error)) => error.to_string(),
            None => "write a case as a text, as in `\"happy\"`".to_owned(),
        };
        self.refuse(&value.span(), &problem);
        None
    }

    fn waivers(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Waiver> {
        let Some(list) = value.get_ref().as_array() else {
            self.refuse(&value.span(), "waivers are a list: write `[[waiver]]`");
            return Vec::new();
        };
        let mut waivers: Vec<Waiver> = Vec::new();
        for value in list {
            let Some(waiver) = self.waiver(value) else { continue };
            let is_same = |other: &&Waiver| other.process == waiver.process && other.case == waiver.case;
            match waivers.iter().find(is_same) {
                Some(first) => {
                    let problem = format!(
                        "`{}` of process `{}` is waived in line {} already",
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
            self.refuse(&value.span(), "a waiver is a table: write `[[waiver]]`");
            return None;
        };
        for key in table.keys().filter(|key| !WAIVER.contains(&&**key.get_ref())) {
            let help = nearest(key.get_ref(), WAIVER).map_or_else(
                || format!("the keys are `{}`", WAIVER.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            );
            self.refuse(&key.span(), &format!("`{}` is no key of a waiver; {help}", key.get_ref()));
        }
        // Each is read before any can end this, so that all that is wrong is told.
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
            self.refuse(place, &format!("the waiver has no `{key}`"));
        }
        value
    }

    /// A text that says something.
    fn words(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::trim).filter(|text| !text.is_empty());
        if text.is_none() {
            self.refuse(&value.span(), &format!("`{key}` of the waiver is no text, or an empty one"));
        }
        text.map(str::to_owned)
    }

    /// A date, in quotes or as TOML has it.
    fn date(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Date> {
        let date = match value.get_ref() {
            DeValue::String(text) => Date::parse(text),
            DeValue::Datetime(bare) => Date::parse(&bare.to_string()),
            _ => None,
        };
        if date.is_none() {
            self.refuse(&value.span(), "`expires` is a day of the calendar: write \"YYYY-MM-DD\"");
        }
        date
    }
}

/// The ids of `expected`; its form is another tool's to check.
fn ids(value: &DeValue<'_>) -> Vec<String> {
    let list = value.as_array().map(|list| list.iter()).into_iter().flatten();
    list.filter_map(|id| id.get_ref().as_str().map(str::to_owned)).collect()
}
