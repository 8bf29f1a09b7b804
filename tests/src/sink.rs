//! A sink of a third party's own, that keeps all it is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_runtime::observe::{End, RunView, Sink};

/// One thing that a sink was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The run.
    pub run: u64,
    /// The run around it.
    pub parent: Option<u64>,
    /// The process.
    pub process: Option<&'static str>,
    /// The stage.
    pub stage: Option<&'static str>,
    /// The context then.
    pub context: Vec<(&'static str, String)>,
    /// What happened.
    pub what: What,
}

/// What happened to a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// It started.
    Started,
    /// It passed its SLA.
    Overdue(Duration),
    /// It ended.
    Ended(End),
}

/// A sink that keeps everything.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Told>>>);

impl Log {
    /// All that was told, in order.
    pub fn told(&self) -> Vec<Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ends.
    pub fn ends(&self) -> Vec<End> {
        let end = |told: &Told| {
            if let What::Ended(end) = told.what { Some(end) } else { None }
        };
        self.told().iter().filter_map(end).collect()
    }

    fn add(&self, run: &RunView<'_>, what: What) {
        let context = run.context().iter().map(|(name, value)| (*name, value.to_string())).collect();
        let told = Told {
            run: run.id(),
            parent: run.parent_id(),
            process: run.process().map(|process| process.id()),
            stage: run.stage().map(|stage| stage.id()),
            context,
            what,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
}

impl Sink for Log {
    fn started(&self, run: &RunView<'_>) {
        self.add(run, What::Started);
    }

    fn overdue(&self, run: &RunView<'_>, elapsed: Duration) {
        self.add(run, What::Overdue(elapsed));
    }

    fn ended(&self, run: &RunView<'_>, end: &End) {
        self.add(run, What::Ended(*end));
    }
}
