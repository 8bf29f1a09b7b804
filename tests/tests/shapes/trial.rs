//! A domain for one test, which counts only the runs of this test, and assertions about these runs.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;

use process_runtime::observe::End;
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Outcome, registry};
use process_tests::sink::{Entry, Log, What};

/// A domain, and the log of its runs.
pub(crate) struct Trial {
    domain: Domain,
    log: Log,
    seen: Cell<usize>,
}

impl Trial {
    pub(crate) fn new() -> Trial {
        let log = Log::default();
        let domain = Domain::builder().sink(Arc::new(log.clone())).build();
        Trial { domain, log, seen: Cell::new(0) }
    }

    pub(crate) async fn run<F: Future>(&self, future: F) -> F::Output {
        self.domain.run(future).await
    }

    pub(crate) fn call<R>(&self, f: impl FnOnce() -> R) -> R {
        self.domain.call(f)
    }

    pub(crate) fn carrier(&self) -> Carrier {
        self.domain.carrier()
    }

    /// Returns how many runs are running.
    pub(crate) fn active(&self) -> usize {
        self.domain.in_flight().len()
    }

    /// Asserts that since the last call exactly these runs ended, in this order and with these outcomes. Also asserts
    /// that every run that started has ended exactly once, and that the statistics agree.
    #[track_caller]
    pub(crate) fn saw(&self, expected: &[(&str, Outcome)]) {
        let all = self.ended();
        let new: Vec<_> =
            all[self.seen.get()..].iter().map(|(entry, end)| (name(entry), end.outcome)).collect();
        let new: Vec<_> = new.iter().map(|(name, outcome)| (name.as_str(), *outcome)).collect();
        assert_eq!(new, expected);
        self.seen.set(all.len());
        let entries = self.log.entries();
        let started = entries.iter().filter(|entry| entry.what == What::Started);
        let mut started: Vec<_> = started.map(|entry| entry.run).collect();
        let mut ended: Vec<_> = all.iter().map(|(entry, _)| entry.run).collect();
        (started.sort_unstable(), ended.sort_unstable());
        assert_eq!(started, ended, "each run that started ended once");
        assert_eq!(self.active(), 0);
        for (id, _) in expected.iter().filter(|(id, _)| registry::get(id).is_ok()) {
            let stats = self.domain.stats(id).unwrap();
            let runs = all.iter().filter(|(entry, _)| name(entry) == *id).count() as u64;
            assert_eq!((stats.started, stats.ended.total(), stats.active), (runs, runs, 0), "{id}");
        }
    }

    /// Returns the runs that ended, in order.
    fn ended(&self) -> Vec<(Entry, End)> {
        let end = |entry: Entry| match entry.what {
            What::Ended(end) => Some((entry, end)),
            _ => None,
        };
        self.log.entries().into_iter().filter_map(end).collect()
    }

    /// Returns the `error.type` of the last run that ended.
    pub(crate) fn error_type(&self) -> Option<&'static str> {
        self.ended().last().and_then(|(_, end)| end.error_type)
    }

    /// Returns the business context of the last run that ended.
    pub(crate) fn context(&self) -> Vec<(&'static str, String)> {
        self.ended().pop().map(|(entry, _)| entry.context).unwrap_or_default()
    }
}

/// Returns the name of a run: the id of its process, the id of its shared stage, or `process.stage`.
fn name(entry: &Entry) -> String {
    [entry.process, entry.stage].into_iter().flatten().collect::<Vec<_>>().join(".")
}

/// Awaits `future` in a domain of its own. Asserts that this is one run of `id` with this outcome.
pub(crate) async fn ran<F: Future>(id: &str, outcome: Outcome, future: F) -> F::Output {
    let trial = Trial::new();
    let value = trial.run(future).await;
    trial.saw(&[(id, outcome)]);
    value
}

/// Calls `f` in a domain of its own. Asserts that this is one run of `id` with this outcome.
#[track_caller]
pub(crate) fn called<R>(id: &str, outcome: Outcome, f: impl FnOnce() -> R) -> R {
    let trial = Trial::new();
    let value = trial.call(f);
    trial.saw(&[(id, outcome)]);
    value
}
