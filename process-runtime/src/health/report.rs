//! What an endpoint has to say, before anybody writes it down: one model for every form of an answer.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use process_model::Outcome;

use super::check::{Reading, bounded};
use super::status::Status;
use super::synthetic::{Part, Ran};
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::install::live;
use crate::stats::{Outcomes, Stats};

/// The fewest runs in five minutes that a process without a probe is judged by.
const ENOUGH: u64 = 5;

/// What is said of the service, or of one process or dependency.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it is.
    pub status: Status,
    /// The process, where it is about one.
    pub process: Option<&'static ProcessDefinition>,
    /// The id of the dependency, where it is about one.
    pub dependency: Option<&'static str>,
    /// What that is known from; of the service, nothing.
    pub source: Option<Source>,
    /// When that was seen.
    pub checked: Option<SystemTime>,
    /// How long ago.
    pub age: Option<Duration>,
    /// How long the check took.
    pub latency: Option<Duration>,
    /// Why it is not a pass: error text, which not everybody may read.
    pub output: Option<String>,
    /// Its parts, by name.
    pub parts: BTreeMap<String, PartReport>,
}

/// What is said of a part.
#[derive(Clone, Debug)]
pub struct PartReport {
    /// How it is.
    pub status: Status,
    /// When that was seen.
    pub checked: Option<SystemTime>,
    /// How long it took.
    pub latency: Option<Duration>,
    /// Why it is not a pass.
    pub output: Option<String>,
}

/// What the state of a process or dependency is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A check of its own.
    Probe,
    /// What real runs show.
    Traffic,
}

impl Source {
    /// `probe` or `traffic`.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Probe => "probe",
            Source::Traffic => "traffic",
        }
    }
}

impl Report {
    /// Of something that has only parts.
    pub(super) fn of_parts(parts: BTreeMap<String, PartReport>) -> Report {
        let status = parts.values().map(|part| part.status).max().unwrap_or(Status::Pass);
        Report {
            status,
            process: None,
            dependency: None,
            source: None,
            checked: None,
            age: None,
            latency: None,
            output: None,
            parts,
        }
    }

    /// Of a dependency that has a check.
    pub(super) fn of_dependency(id: &'static str, reading: Reading) -> Report {
        Report { dependency: Some(id), ..Report::of_check(reading) }
    }

    /// Of what has a check.
    pub(super) fn of_check(reading: Reading) -> Report {
        let Reading { status, output, done, age, .. } = reading;
        Report {
            status,
            source: Some(Source::Probe),
            checked: done.as_ref().map(|done| done.when),
            age,
            latency: done.as_ref().map(|done| done.took),
            output,
            ..Report::of_parts(BTreeMap::new())
        }
    }

    /// Of a process with a probe: its stages and dependencies as they went, the latter rather as their own checks say.
    pub(super) fn of_probe(
        process: &'static ProcessDefinition,
        reading: Reading,
        dependencies: impl Fn(&str) -> Option<PartReport>,
    ) -> Report {
        let done = reading.done.clone();
        let mut report = Report { process: Some(process), ..Report::of_check(reading) };
        for ran in done.iter().flat_map(|done| &done.ran) {
            let part = match ran.part {
                Some(Part::Stage(part) | Part::Dependency(part)) if ran.process == Some(process.id()) => {
                    Some(part)
                }
                // Another process that this one called.
                None if ran.process != Some(process.id()) => ran.process,
                _ => None,
            };
            if let Some(part) = part {
                let part = report.parts.entry(part.to_owned()).or_insert_with(|| PartReport::of(ran));
                if ran.status() > part.status {
                    *part = PartReport::of(ran);
                }
            }
        }
        for stage in registry::stages().filter(|stage| stage.process() == Some(process.id())) {
            report
                .parts
                .entry(stage.id().to_owned())
                .or_insert_with(|| PartReport::unseen("the probe did not reach it"));
        }
        report.add_dependencies(process, dependencies);
        report
    }

    /// Of a process that nobody probes.
    pub(super) fn of_traffic(
        process: &'static ProcessDefinition,
        dependencies: impl Fn(&str) -> Option<PartReport>,
    ) -> Report {
        let (status, output) = match live::stats(process.id()) {
            Ok(stats) => traffic(Lack::Probe, &stats, process.objective().as_ratio()),
            Err(error) => (Status::Warn, error.to_string()),
        };
        let mut report = Report {
            status,
            process: Some(process),
            source: Some(Source::Traffic),
            output: Some(output),
            ..Report::of_parts(BTreeMap::new())
        };
        report.add_dependencies(process, dependencies);
        report
    }

    /// Each as its own check says, or as it went here, or as real traffic shows.
    fn add_dependencies(
        &mut self,
        process: &'static ProcessDefinition,
        checked: impl Fn(&str) -> Option<PartReport>,
    ) {
        let called = live::dependency_stats(process.id()).unwrap_or_default();
        let of_calls = |id: &str| {
            let (status, said) = traffic(Lack::Check, called.get(id)?, process.objective().as_ratio());
            Some(PartReport::new(status, Some(said)))
        };
        let stages = registry::stages().filter(|stage| stage.process() == Some(process.id()));
        let stages: Vec<_> = stages.map(|stage| stage.id()).collect();
        for id in declared(process) {
            let part = checked(id).or_else(|| self.parts.get(id).cloned()).or_else(|| of_calls(id));
            let part =
                part.unwrap_or_else(|| PartReport::unseen("it has no check, and nothing has called it"));
            match self.parts.get_mut(id) {
                // A stage of that name: the worse of both.
                Some(stage) if stages.contains(&id) && stage.status > part.status => {}
                _ => drop(self.parts.insert(id.to_owned(), part)),
            }
        }
        let parts = self.parts.values().map(|part| part.status.as_part()).max();
        self.status = self.status.max(parts.unwrap_or(Status::Pass));
    }

    /// The same, as a part of something larger.
    pub(super) fn into_part(self) -> PartReport {
        PartReport { status: self.status, checked: self.checked, latency: self.latency, output: self.output }
    }
}

/// What a process and its stages declare to depend on.
pub(super) fn declared(process: &'static ProcessDefinition) -> impl Iterator<Item = &'static str> {
    let stages = registry::stages().filter(|stage| stage.process() == Some(process.id()));
    let of_stages = stages.flat_map(|stage| stage.dependencies());
    process.dependencies().iter().chain(of_stages).map(String::as_str)
}

impl PartReport {
    pub(super) fn new(status: Status, output: Option<String>) -> PartReport {
        PartReport { status, checked: Some(SystemTime::now()), latency: None, output: output.map(bounded) }
    }

    fn of(ran: &Ran) -> PartReport {
        let status = ran.status();
        let late = if ran.late { ", late" } else { "" };
        let kind = ran.error_type.map(|kind| format!(", {kind}")).unwrap_or_default();
        let output = (status != Status::Pass).then(|| format!("{}{late}{kind}", ran.outcome));
        PartReport { status, checked: None, latency: Some(ran.took), output }
    }

    fn unseen(why: &str) -> PartReport {
        PartReport { status: Status::Warn, checked: None, latency: None, output: Some(why.to_owned()) }
    }
}

/// What the last five minutes show, and how it is said. `objective` is the share that must be good: as ever, of those
/// runs that were neither rejected nor cancelled in time.
fn traffic(lack: Lack, stats: &Stats, objective: f64) -> (Status, String) {
    let [_, window, hour] = &stats.windows;
    let ended = &window.ended;
    let succeeded = |ended: &Outcomes| ended.count(Outcome::Success) + ended.count(Outcome::Degraded) > 0;
    let last = match () {
        () if succeeded(ended) => "the last success within 5 minutes",
        () if succeeded(&hour.ended) => "the last success within an hour",
        () if succeeded(&stats.ended) => "the last success more than an hour ago",
        () => "no success since the start",
    };
    let (check, runs) = match lack {
        Lack::Probe => ("probe", "runs"),
        Lack::Check => ("check", "calls"),
    };
    let (rejected, degraded) = (ended.count(Outcome::Rejected), ended.count(Outcome::Degraded));
    let seen = ended.total() - rejected - ended.count_on_time(Outcome::Cancelled);
    let good = ended.count_on_time(Outcome::Success) + ended.count_on_time(Outcome::Degraded);
    let failed = ended.count(Outcome::Failure) + ended.count(Outcome::Panic);
    let (bad, overdue, asked) = (seen - good, stats.overdue, seen + rejected);
    let said = format!(
        "no {check}; of {asked} {runs} in 5 minutes {failed} failed, {} were late, {rejected} rejected, {degraded} \
         degraded; {overdue} overdue; {last}",
        ended.late()
    );
    let allowed = (1.0 - objective) * seen as f64 + 1e-9;
    let status = match () {
        () if seen >= ENOUGH && 2 * failed >= seen => Status::Fail,
        () if !succeeded(ended) || overdue > 0 || bad as f64 > allowed => Status::Warn,
        () if 2 * rejected > asked || 2 * degraded > seen => Status::Warn,
        () => Status::Pass,
    };
    (status, said)
}

/// What there would have to be for anybody to know better.
#[derive(Clone, Copy, Debug)]
enum Lack {
    Probe,
    Check,
}
