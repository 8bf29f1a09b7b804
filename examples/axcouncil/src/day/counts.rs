//! Counts of ended runs by process, stage, outcome and lateness. They are either read from the registry, or list what
//! a step expects.

use std::collections::BTreeMap;

use process_runtime::stats::Stats;
use process_runtime::{Outcome, registry};

use super::Result;

/// The id of a process, or of a process and its stage; the outcome of a run; whether the run was late.
type Key = (String, Outcome, bool);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts(BTreeMap<Key, u64>);

impl Counts {
    /// Returns the counts so far.
    pub(super) fn now() -> Result<Counts> {
        let mut counts = Counts::default();
        for process in registry::all() {
            counts.add(process.id(), &registry::stats(process.id())?);
            for (stage, stats) in registry::stage_stats(process.id())? {
                counts.add(&format!("{}.{stage}", process.id()), &stats);
            }
        }
        Ok(counts)
    }

    fn add(&mut self, id: &str, stats: &Stats) {
        for outcome in Outcome::ALL {
            let ended =
                [(false, stats.ended.count_on_time(outcome)), (true, stats.ended.count_late(outcome))];
            for (late, runs) in ended.into_iter().filter(|(_, runs)| *runs > 0) {
                self.0.insert((id.to_owned(), outcome, late), runs);
            }
        }
    }

    /// Returns the counts since `before`.
    pub(super) fn since(self, before: &Counts) -> Counts {
        let more = self.0.into_iter().map(|(key, runs)| {
            let earlier = before.0.get(&key).copied().unwrap_or_default();
            (key, runs - earlier)
        });
        Counts(more.filter(|(_, runs)| *runs > 0).collect())
    }

    /// Returns a line for each count: id, outcome, number of runs.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.0.iter().map(|((id, outcome, late), runs)| {
            let late = if *late { ", late" } else { "" };
            let times = if *runs == 1 { String::new() } else { format!(" × {runs}") };
            format!("{id:<36}{outcome}{late}{times}")
        });
        lines.collect()
    }
}

impl<const N: usize> From<[(Key, u64); N]> for Counts {
    fn from(counts: [(Key, u64); N]) -> Counts {
        Counts(counts.into())
    }
}

pub(super) fn succeeded(id: &str, runs: u64) -> (Key, u64) {
    ((id.to_owned(), Outcome::Success, false), runs)
}

/// Returns the count of runs that succeeded but were late.
pub(super) fn late(id: &str, runs: u64) -> (Key, u64) {
    ((id.to_owned(), Outcome::Success, true), runs)
}

pub(super) fn degraded(id: &str, runs: u64) -> (Key, u64) {
    ((id.to_owned(), Outcome::Degraded, false), runs)
}

pub(super) fn rejected(id: &str, runs: u64) -> (Key, u64) {
    ((id.to_owned(), Outcome::Rejected, false), runs)
}

pub(super) fn failed(id: &str, runs: u64) -> (Key, u64) {
    ((id.to_owned(), Outcome::Failure, false), runs)
}

pub(super) fn cancelled(id: &str, runs: u64) -> (Key, u64) {
    ((id.to_owned(), Outcome::Cancelled, false), runs)
}
