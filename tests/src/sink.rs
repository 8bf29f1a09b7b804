//! A sink that keeps everything that it receives.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_runtime::observe::{End, RunView, Sink};

/// Something that happened to a run, as a sink receives it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The id of the run.
    pub run: u64,
    /// The id of the run around this run, if there is one.
    pub parent: Option<u64>,
    /// The id of the process, if the run belongs to one.
    pub process: Option<&'static str>,
    /// The id of the stage, if the run is one.
    pub stage: Option<&'static str>,
    /// The business context of the run at that time.
    pub context: Vec<(&'static str, String)>,
    /// What happened.
    pub what: What,
}

/// What happened to a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// The run started.
    Started,
    /// The run passed its SLA. It had then been running for this time.
    Overdue(Duration),
    /// The run ended.
    Ended(End),
}

/// A sink that keeps everything that it receives.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    /// Returns everything that was received so far, in order.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the ends of all runs so far.
    pub fn ends(&self) -> Vec<End> {
        let end = |entry: &Entry| match entry.what {
            What::Ended(end) => Some(end),
            _ => None,
        };
        self.entries().iter().filter_map(end).collect()
    }

    /// Returns how many runs were reported as late. A tracked run is reported while it runs, and an untracked run
    /// when it ends.
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
