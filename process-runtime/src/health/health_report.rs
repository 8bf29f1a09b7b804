//! The report of an endpoint, and how its status follows from checks and traffic. The JSON forms of a report do not
//! belong here (`body`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, SystemTime};

use super::check::{CheckReading, Condition, EndedRun, Part, Reason, Status};
use super::traffic::{Unchecked, judge};
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::install::live;

/// The health of the program, or of one process or dependency.
#[derive(Clone, Debug)]
pub struct Report {
    /// The status of the whole report. If it is the report of a process and a part warns or fails, the status is at
    /// least [`Status::Warn`]. If the report consists only of parts, the status is the worst status of the parts, and
    /// unknown parts do not count.
    pub status: Status,
    /// Why the status is not a pass; `None` for a pass. If a part determines the status, this is the reason of the
    /// part.
    pub reason: Option<Reason>,
    /// The process, if this is the report of a process.
    pub process: Option<&'static ProcessDefinition>,
    /// The id of the dependency, if this is the report of a dependency.
    pub dependency: Option<&'static str>,
    /// The source of the status. `None` if the report consists only of parts.
    pub source: Option<StatusSource>,
    /// When the latest execution of the check ended. `None` without a check, or if no execution has ended yet.
    pub checked_at: Option<SystemTime>,
    /// How long ago the latest execution of the check ended. `None` if `checked_at` is `None`.
    pub age: Option<Duration>,
    /// How long the latest execution of the check took. `None` if `checked_at` is `None`.
    pub latency: Option<Duration>,
    /// An explanation of a status that is not a pass, or a summary of the traffic. It may contain the text of an error,
    /// so a response contains it only for clients that [`Detail`](crate::health::Detail) admits.
    pub output: Option<String>,
    /// The parts, by name.
    pub parts: BTreeMap<String, PartReport>,
}

/// The health of one part of a report, for example of a stage or a dependency.
#[derive(Clone, Debug)]
pub struct PartReport {
    /// The status.
    pub status: Status,
    /// Why the status is not a pass; `None` for a pass.
    pub reason: Option<Reason>,
    /// When the status was determined, if this time is known.
    pub checked_at: Option<SystemTime>,
    /// How long the check or run that determined the status took. `None` if the status has another source, such as
    /// traffic, or if the check has not ended yet.
    pub latency: Option<Duration>,
    /// An explanation of a status that is not a pass, or a summary of the traffic.
    pub output: Option<String>,
}

/// The source of the status of a process or dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusSource {
    /// The check of the process or dependency.
    Probe,
    /// The runs of a process that has no check.
    Traffic,
}

impl StatusSource {
    /// Returns `probe` or `traffic`.
    pub fn as_str(self) -> &'static str {
        match self {
            StatusSource::Probe => "probe",
            StatusSource::Traffic => "traffic",
        }
    }
}

impl Report {
    /// Creates a report that consists only of these parts. Its status is the worst status of the parts, or a pass if
    /// nothing is known about them.
    pub(super) fn from_parts(parts: BTreeMap<String, PartReport>) -> Report {
        let (status, reason) = worst(&parts).unwrap_or((Status::Pass, None));
        Report {
            status,
            reason,
            process: None,
            dependency: None,
            source: None,
            checked_at: None,
            age: None,
            latency: None,
            output: None,
            parts,
        }
    }

    /// Reports on a dependency that has a check.
    pub(super) fn from_dependency(id: &'static str, reading: CheckReading) -> Report {
        Report { dependency: Some(id), ..Report::from_check(reading) }
    }

    /// Reports on a check, without any parts.
    pub(super) fn from_check(reading: CheckReading) -> Report {
        let CheckReading { condition: Condition { status, reason, output }, last, age, .. } = reading;
        Report {
            status,
            reason,
            source: Some(StatusSource::Probe),
            checked_at: last.as_ref().map(|last| last.checked_at),
            age,
            latency: last.as_ref().map(|last| last.took),
            output,
            ..Report::from_parts(BTreeMap::new())
        }
    }

    /// Reports on a process with a probe. The parts are the stages, calls to dependencies and other processes that
    /// ran inside the probe, the stages of the process that did not run, and the declared dependencies.
    /// `dependencies` returns the result of the check of the dependency with the given id. If there is such a result,
    /// it replaces the status of the probe's calls to this dependency.
    pub(super) fn from_probe(
        process: &'static ProcessDefinition,
        reading: CheckReading,
        dependencies: impl Fn(&str) -> Option<PartReport>,
    ) -> Report {
        let last = reading.last.clone();
        let mut report = Report { process: Some(process), ..Report::from_check(reading) };
        for run in last.iter().flat_map(|last| &last.runs) {
            let part = match run.part {
                Some(Part::Stage(part) | Part::Dependency(part)) if run.process == Some(process.id()) => {
                    Some(part)
                }
                // The run of another process, which the process of the probe called.
                None if run.process != Some(process.id()) => run.process,
                _ => None,
            };
            if let Some(part) = part {
                let part = report.parts.entry(part.to_owned()).or_insert_with(|| PartReport::from_run(run));
                if run.status() > part.status {
                    *part = PartReport::from_run(run);
                }
            }
        }
        for stage in registry::stages().filter(|stage| stage.process() == Some(process.id())) {
            report.parts.entry(stage.id().to_owned()).or_insert_with(|| {
                PartReport::unseen(Status::Warn, "the health check did not run this stage")
            });
        }
        report.add_dependencies(process, dependencies);
        report
    }

    /// Reports on a process without a probe, from its traffic.
    pub(super) fn from_traffic(
        process: &'static ProcessDefinition,
        dependencies: impl Fn(&str) -> Option<PartReport>,
    ) -> Report {
        let Condition { status, reason, output } = match live::stats(process.id()) {
            Ok(stats) => judge(Unchecked::Process, &stats, process.objective().as_ratio()),
            Err(error) => Condition::new(Status::Unknown, Reason::NoTraffic, error.to_string()),
        };
        let mut report = Report {
            status,
            reason,
            process: Some(process),
            source: Some(StatusSource::Traffic),
            output,
            ..Report::from_parts(BTreeMap::new())
        };
        report.add_dependencies(process, dependencies);
        report
    }

    /// Adds a part for each dependency that the process or one of its stages declares. The part has the result of the
    /// dependency's check, which `checked` returns. Without a check, the status comes from the calls that the probe
    /// made, or, if it made none, from traffic. Without traffic, the part is unknown. Finally, if any part warns or
    /// fails, makes the report at least a warning.
    fn add_dependencies(
        &mut self,
        process: &'static ProcessDefinition,
        checked: impl Fn(&str) -> Option<PartReport>,
    ) {
        let called = live::dependency_stats(process.id()).unwrap_or_default();
        let from_calls = |id: &str| {
            let objective = process.objective().as_ratio();
            Some(PartReport::new(judge(Unchecked::Dependency, called.get(id)?, objective)))
        };
        let stages = registry::stages().filter(|stage| stage.process() == Some(process.id()));
        let stages: Vec<_> = stages.map(|stage| stage.id()).collect();
        for id in declared_dependencies(process) {
            let part = checked(id).or_else(|| self.parts.get(id).cloned()).or_else(|| from_calls(id));
            let part = part.unwrap_or_else(|| {
                PartReport::unseen(
                    Status::Unknown,
                    "the dependency has no check, and no call to it has ended",
                )
            });
            match self.parts.get_mut(id) {
                // If a stage has the same name as the dependency, the part with the worse status remains.
                Some(stage) if stages.contains(&id) && stage.status > part.status => {}
                _ => drop(self.parts.insert(id.to_owned(), part)),
            }
        }
        if let Some((part, reason)) = worst(&self.parts)
            && self.status < part.at_most_warn()
        {
            (self.status, self.reason) = (part.at_most_warn(), reason);
        }
    }

    /// Converts the report into a part of a larger report.
    pub(super) fn into_part(self) -> PartReport {
        let Report { status, reason, checked_at, latency, output, .. } = self;
        PartReport { status, reason, checked_at, latency, output }
    }
}

/// Adds a part. If a part with this name already exists, the part with the worse status remains.
pub(super) fn add_worse(parts: &mut BTreeMap<String, PartReport>, name: &str, part: PartReport) {
    match parts.entry(name.to_owned()) {
        Entry::Vacant(entry) => drop(entry.insert(part)),
        Entry::Occupied(mut entry) if entry.get().status < part.status => drop(entry.insert(part)),
        Entry::Occupied(_) => {}
    }
}

/// Returns the worst status of the parts, with its reason. Returns `None` if no part warns or fails.
fn worst(parts: &BTreeMap<String, PartReport>) -> Option<(Status, Option<Reason>)> {
    // `max_by_key` returns the last of several parts with the same status, so the first one by name comes last.
    let worst = parts.values().rev().max_by_key(|part| part.status)?;
    (worst.status >= Status::Warn).then_some((worst.status, worst.reason))
}

/// Returns the dependencies that a process and its stages declare.
pub(super) fn declared_dependencies(
    process: &'static ProcessDefinition,
) -> impl Iterator<Item = &'static str> {
    let stages = registry::stages().filter(|stage| stage.process() == Some(process.id()));
    let of_stages = stages.flat_map(|stage| stage.dependencies());
    process.dependencies().iter().chain(of_stages).map(String::as_str)
}

impl PartReport {
    /// Creates a part whose condition was determined just now.
    pub(super) fn new(condition: Condition) -> PartReport {
        PartReport { checked_at: Some(SystemTime::now()), ..PartReport::from_condition(condition) }
    }

    fn from_condition(Condition { status, reason, output }: Condition) -> PartReport {
        PartReport { status, reason, checked_at: None, latency: None, output }
    }

    fn from_run(run: &EndedRun) -> PartReport {
        PartReport { latency: Some(run.took), ..PartReport::from_condition(run.condition("")) }
    }

    fn unseen(status: Status, text: &str) -> PartReport {
        PartReport::from_condition(Condition::new(status, Reason::NoTraffic, text))
    }
}
