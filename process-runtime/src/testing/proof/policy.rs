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
//!
//! The file has at most 8 MiB. The time to read it grows with its size. The memory is about 25 times its size for
//! waivers with all their keys, and at most 128 times its size. Each value that cannot be read is reported with its
//! line. In a file of more than 256 KiB that is not TOML, only the first mistake is reported.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use process_model::{Case, Criticality, Shape, nearest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::case;
use super::date::Date;
use super::problem::{self, Problem, Problems};
use crate::catalog::definition::ProcessDefinition;
use crate::testing::origin::place;

const FILE: &str = "process.toml";
/// The maximum size of the file, in bytes.
const BYTES: usize = 8 << 20;
/// The size up to which every mistake in the syntax is reported, in bytes. Each takes a hundred times its size.
const ALL_MISTAKES: usize = 256 << 10;

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
    expected: BTreeSet<String>,
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
    file: Arc<Path>,
    line: usize,
}

/// `process.toml` cannot be read or is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read {}", problem::path(.file))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The file is invalid. The list has the first hundred problems, and one with the number of the others.
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
        Policy { required, waivers: Vec::new(), expected: BTreeSet::new() }
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
        let bytes =
            content(file).map_err(|source| PolicyError::Unreadable { file: file.to_owned(), source })?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Policy::parse(text, file),
            Err(error) => {
                let before = &bytes[..error.valid_up_to()];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                let problem = Problem::new(file, Some(line), &"the text is not UTF-8");
                Err(PolicyError::Invalid(vec![problem]))
            }
        }
    }

    /// Parses a policy. Errors name `file` as the source of the text.
    ///
    /// # Errors
    /// If the text is invalid. The error has every problem with its line.
    pub fn parse(text: &str, file: &Path) -> Result<Policy, PolicyError> {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(end, _)| end).collect();
        let mut reader = Reader { text, file: file.into(), ends, problems: Problems::default() };
        let policy = reader.policy();
        none(reader.problems, file).map(|()| policy)
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
        let mut before = BTreeSet::new();
        cases.retain(|case| before.insert(case.clone()));
        cases
    }

    /// Returns the waivers of each process, by their cases.
    pub(super) fn waivers_by_process(&self) -> HashMap<&str, BTreeMap<&Case, &Waiver>> {
        let mut waivers: HashMap<&str, BTreeMap<&Case, &Waiver>> = HashMap::new();
        for waiver in &self.waivers {
            waivers.entry(&waiver.process).or_default().entry(&waiver.case).or_insert(waiver);
        }
        waivers
    }

    /// Checks that each waiver is for a case that one of the processes must prove, or for a process in `expected`.
    pub(super) fn check(&self, processes: &[&ProcessDefinition]) -> Result<(), PolicyError> {
        let mut known: HashMap<&str, (&ProcessDefinition, Option<BTreeSet<Case>>)> = HashMap::new();
        for process in processes {
            known.entry(process.id()).or_insert((process, None));
        }
        let mut problems = Problems::default();
        for waiver in &self.waivers {
            let Some((process, cases)) = known.get_mut(&*waiver.process) else {
                if !self.expected.contains(&waiver.process) {
                    let problem = || self.unknown_process(&waiver.process, processes);
                    problems.add_with(&waiver.file, Some(waiver.line), problem);
                }
                continue;
            };
            let cases = cases.get_or_insert_with(|| self.waivable_cases(process).into_iter().collect());
            if !cases.contains(&waiver.case) {
                let problem = || not_required(waiver, &self.waivable_cases(process));
                problems.add_with(&waiver.file, Some(waiver.line), problem);
            }
        }
        let file = self.waivers.first().map_or(Path::new(FILE), |waiver| &waiver.file);
        none(problems, file)
    }

    /// Returns the cases of a process that can be waived. If it is not known yet whether the runs are futures, these
    /// are also the cases that are required only of futures.
    fn waivable_cases(&self, process: &ProcessDefinition) -> Vec<Case> {
        let shape = match process.shape() {
            Shape::ByType => Shape::Awaited,
            shape => shape,
        };
        self.cases_of(process, shape)
    }

    /// Describes a waiver for an unknown process.
    fn unknown_process(&self, process: &str, processes: &[&ProcessDefinition]) -> String {
        let linked = processes.iter().map(|process| process.id());
        let help = nearest(process, linked.chain(self.expected.iter().map(String::as_str))).map_or_else(
            || format!("if it is in another package, add it to `expected = [\"{process}\"]`"),
            |near| format!("did you mean `{near}`?"),
        );
        format!("unknown process `{process}`; {help}")
    }
}

/// Describes a waiver for a case that is not required.
fn not_required(waiver: &Waiver, required: &[Case]) -> String {
    let required: Vec<String> = required.iter().map(Case::to_string).collect();
    let (case, process) = (waiver.case.to_string(), &waiver.process);
    let help = match nearest(&case, required.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if required.is_empty() => "remove the waiver, because no case is required".to_owned(),
        None => format!("the required cases are `{}`", required.join("`, `")),
    };
    format!("case `{case}` is not required of process `{process}` and cannot be waived; {help}")
}

/// Returns an error with the problems, if there are any.
fn none(Problems { mut first, omitted }: Problems, file: &Path) -> Result<(), PolicyError> {
    if omitted > 0 {
        first.push(Problem::new(file, None, &format_args!("{omitted} more problems")));
    }
    if first.is_empty() { Ok(()) } else { Err(PolicyError::Invalid(first)) }
}

/// Reads the file, if it is a regular file within the limit.
fn content(file: &Path) -> io::Result<Vec<u8>> {
    // A pipe must not be opened, because that would wait for a writer.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(BYTES as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > BYTES {
        true => Err(io::Error::other(format!("larger than {} MiB", BYTES >> 20))),
        false => Ok(bytes),
    }
}

/// Reads the text of one policy file. The reader continues after a problem, so that all problems are reported at
/// once.
struct Reader<'a> {
    text: &'a str,
    file: Arc<Path>,
    /// The places of the line feeds.
    ends: Vec<usize>,
    problems: Problems,
}

impl Reader<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.ends.partition_point(|end| *end < span.start)
    }

    fn refuse(&mut self, span: &Range<usize>, problem: &str) {
        let line = self.line(span);
        self.problems.add(&self.file, Some(line), &problem);
    }

    fn policy(&mut self) -> Policy {
        let mut policy = Policy::default();
        let root = match DeTable::parse(self.text) {
            Ok(root) => root,
            Err(first) => {
                // What could be read in spite of mistakes may be in the wrong table, so it is not checked.
                let errors = match self.text.len() <= ALL_MISTAKES {
                    true => DeTable::parse_recoverable(self.text).1,
                    false => vec![first],
                };
                for error in errors {
                    let line = error.span().map(|span| self.line(&span));
                    self.problems.add(&self.file, line, &error.message());
                }
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
        let mut lines: HashMap<(String, Case), usize> = HashMap::new();
        for value in list {
            let Some(waiver) = self.waiver(value) else { continue };
            match lines.entry((waiver.process.clone(), waiver.case.clone())) {
                Entry::Occupied(first) => {
                    let (process, case) = first.key();
                    let problem = format!(
                        "case `{case}` of process `{process}` is already waived in line {}; remove one of the waivers",
                        first.get()
                    );
                    self.refuse(&value.span(), &problem);
                }
                Entry::Vacant(place) => {
                    place.insert(waiver.line);
                    waivers.push(waiver);
                }
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
            file: Arc::clone(&self.file),
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
fn ids(value: &DeValue<'_>) -> BTreeSet<String> {
    let list = value.as_array().map(|list| list.iter()).into_iter().flatten();
    list.filter_map(|id| id.get_ref().as_str().map(str::to_owned)).collect()
}
