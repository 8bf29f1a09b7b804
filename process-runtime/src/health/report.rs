//! What an endpoint has to say, before anybody writes it down: one model for every form of an answer.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use process_model::Outcome;

use super::check::Reading;
use super::status::Status;
use super::synthetic::{Part, Ran};
use crate::definition::ProcessDefinition;
use crate::registry;
use crate::stats::{Ended, Stats};

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

    fn of_check(reading: Reading) -> Report {
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
                if Status::of(ran.outcome, ran.late) > part.status {
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
        let (status, output) = match registry::stats(process.id()) {
            Ok(stats) => traffic(Lack::Probe, &stats, process.objective().as_ratio()),
            Err(error) => (Status::Warn, error.to_string()),
        };
        let mut report = Report {
            status,
            process: Some(process),
            source: Some(Source::Traffic),
            checked: Some(SystemTime::now()),
            age: Some(Duration::ZERO),
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
        let called = registry::dependency_stats(process.id()).unwrap_or_default();
        let of_calls = |id: &str| {
            let (status, said) = traffic(Lack::Check, called.get(id)?, process.objective().as_ratio());
            Some(PartReport::new(status, Some(said)))
        };
        for id in declared(process) {
            let part = checked(id).or_else(|| self.parts.remove(id)).or_else(|| of_calls(id));
            let part =
                part.unwrap_or_else(|| PartReport::unseen("it has no check, and nothing has called it"));
            self.parts.insert(id.to_owned(), part);
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
        PartReport { status, checked: Some(SystemTime::now()), latency: None, output }
    }

    fn of(ran: &Ran) -> PartReport {
        let status = Status::of(ran.outcome, ran.late);
        let late = if ran.late { ", late" } else { "" };
        let kind = ran.error_type.map(|kind| format!(", {kind}")).unwrap_or_default();
        let output = (status != Status::Pass).then(|| format!("{}{late}{kind}", ran.outcome));
        PartReport { status, checked: None, latency: Some(ran.took), output }
    }

    fn unseen(why: &str) -> PartReport {
        PartReport { status: Status::Warn, checked: None, latency: None, output: Some(why.to_owned()) }
    }
}

/// What the last five minutes show, and how it is said. `objective` is the share that must be good.
fn traffic(lack: Lack, stats: &Stats, objective: f64) -> (Status, String) {
    let [_, window, hour] = &stats.windows;
    let seen = window.ended.total() - window.ended.with(Outcome::Cancelled);
    let rate = window.error_rate.unwrap_or_default();
    let succeeded = |ended: &Ended| ended.with(Outcome::Success) + ended.with(Outcome::Degraded) > 0;
    let last = match () {
        () if succeeded(&window.ended) => "the last success within 5 minutes",
        () if succeeded(&hour.ended) => "the last success within an hour",
        () if succeeded(&stats.ended) => "the last success more than an hour ago",
        () => "no success since the start",
    };
    let (check, runs) = match lack {
        Lack::Probe => ("probe", "runs"),
        Lack::Check => ("check", "calls"),
    };
    let (failed, overdue) = (100.0 * rate, stats.overdue);
    let said = format!(
        "no {check}; {seen} {runs} in 5 minutes, {failed:.1} % of them failed, {overdue} overdue, {last}"
    );
    let status = match () {
        () if seen >= ENOUGH && rate >= 0.5 => Status::Fail,
        () if seen == 0 || stats.overdue > 0 || rate > 1.0 - objective => Status::Warn,
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
