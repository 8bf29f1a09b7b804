//! A sink that keeps everything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_runtime::observe::{End, RunView, Sink};

/// Something that happened to a run, as a sink receives it.
#[derive(Clone, Debug)]
pub struct Entry {
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
pub struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    /// Everything so far, in order.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ends.
    pub fn ends(&self) -> Vec<End> {
        let end = |entry: &Entry| match entry.what {
            What::Ended(end) => Some(end),
            _ => None,
        };
        self.entries().iter().filter_map(end).collect()
    }

    /// How many runs were reported as late while they ran, or at their end if they were not tracked.
    pub fn overdue(&self) -> usize {
        self.entries().iter().filter(|entry| matches!(entry.what, What::Overdue(_))).count()
    }

    fn add(&self, run: &RunView<'_>, what: What) {
        let context = run.context().iter().map(|(name, value)| (*name, value.to_string())).collect();
        let entry = Entry {
            run: run.id(),
            parent: run.parent_id(),
            process: run.process().map(|process| process.id()),
            stage: run.stage().map(|stage| stage.id()),
            context,
            what,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
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
