//! What a test sees of the runs of its own domain: each that started, and how it ended.

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, Mutex};

use process_runtime::observe::{End, RunView, Sink};
use process_runtime::testing::Domain;
use process_runtime::{Carrier, Outcome, registry};

/// A domain, and a sink that keeps what it told.
pub(crate) struct Trial {
    domain: Domain,
    log: Arc<Log>,
    seen: Cell<usize>,
}

#[derive(Debug, Default)]
struct Log {
    started: Mutex<Vec<u64>>,
    ended: Mutex<Vec<Ended>>,
}

#[derive(Clone, Debug)]
struct Ended {
    run: u64,
    name: String,
    end: End,
    context: Vec<(&'static str, String)>,
}

impl Sink for Log {
    fn started(&self, run: &RunView<'_>) {
        self.started.lock().unwrap().push(run.id());
    }

    fn ended(&self, run: &RunView<'_>, end: &End) {
        let parts = [run.process().map(|process| process.id()), run.stage().map(|stage| stage.id())];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let context = run.context().iter().map(|(name, value)| (*name, value.to_string())).collect();
        let ended = Ended { run: run.id(), name: parts.join("."), end: *end, context };
        self.ended.lock().unwrap().push(ended);
    }
}

impl Trial {
    pub(crate) fn new() -> Trial {
        let log = Arc::new(Log::default());
        let domain = Domain::builder().sink(log.clone()).build();
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

    /// Runs that are going on now.
    pub(crate) fn active(&self) -> usize {
        self.domain.in_flight().len()
    }

    /// Since it was asked last, these runs ended so, in this order; all that started have ended, none twice;
    /// and the statistics say the same as the sink.
    #[track_caller]
    pub(crate) fn saw(&self, expected: &[(&str, Outcome)]) {
        let all = self.log.ended.lock().unwrap().clone();
        let new: Vec<_> = all[self.seen.get()..].iter().map(|e| (e.name.as_str(), e.end.outcome)).collect();
        assert_eq!(new, expected);
        self.seen.set(all.len());
        let mut started = self.log.started.lock().unwrap().clone();
        let mut ended: Vec<_> = all.iter().map(|ended| ended.run).collect();
        (started.sort_unstable(), ended.sort_unstable());
        assert_eq!(started, ended, "each run that started ended once");
        assert_eq!(self.active(), 0);
        for (id, _) in expected.iter().filter(|(id, _)| registry::get(id).is_ok()) {
            let stats = self.domain.stats(id).unwrap();
            let runs = all.iter().filter(|ended| ended.name == *id).count() as u64;
            assert_eq!((stats.started, stats.ended.total(), stats.active), (runs, runs, 0), "{id}");
        }
    }

    /// The last run's `error.type`.
    pub(crate) fn error_type(&self) -> Option<&'static str> {
        self.log.ended.lock().unwrap().last().and_then(|ended| ended.end.error_type)
    }

    /// The last run's business context.
    pub(crate) fn context(&self) -> Vec<(&'static str, String)> {
        self.log.ended.lock().unwrap().last().map(|ended| ended.context.clone()).unwrap_or_default()
    }
}

/// Awaits `future` in a domain of its own, where it must be one run of `id` that ends as `outcome`.
pub(crate) async fn ran<F: Future>(id: &str, outcome: Outcome, future: F) -> F::Output {
    let trial = Trial::new();
    let value = trial.run(future).await;
    trial.saw(&[(id, outcome)]);
    value
}

/// Calls `f` in a domain of its own, where it must be one run of `id` that ends as `outcome`.
#[track_caller]
pub(crate) fn called<R>(id: &str, outcome: Outcome, f: impl FnOnce() -> R) -> R {
    let trial = Trial::new();
    let value = trial.call(f);
    trial.saw(&[(id, outcome)]);
    value
}
