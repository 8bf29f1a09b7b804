//! What a test's domain keeps of its runs while they go on: a [`Sink`] beside a recorder of spans and a Sentry client of
//! its own. None of the three is global: whoever enters the domain, on whatever thread, makes them the thread's for so
//! long.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;
use std::time::Duration;

#[cfg(feature = "sentry")]
use super::observing::events::Inbox;
use super::observing::observation::ObservedRun;
#[cfg(feature = "tracing")]
use super::observing::spans::Recorder;
use crate::base::lock::lock;
use crate::observe::{End, RunView, Sink};

/// Everything that is kept of one domain.
#[derive(Debug)]
pub(crate) struct Capture {
    runs: Mutex<Vec<Kept>>,
    /// Where what is observed is polled.
    home: OnceLock<Place>,
    #[cfg(feature = "tracing")]
    spans: Recorder,
    #[cfg(feature = "sentry")]
    events: Inbox,
}

/// A run, and where it belongs.
#[derive(Debug)]
struct Kept {
    id: u64,
    parent: Option<u64>,
    #[cfg(feature = "tracing")]
    span: Option<u64>,
    ends: usize,
    run: ObservedRun,
}

/// A task, or a thread that is in none.
#[derive(Debug, PartialEq)]
enum Place {
    Task(tokio::task::Id),
    Thread(ThreadId),
}

impl Place {
    fn here() -> Place {
        let thread = || Place::Thread(std::thread::current().id());
        tokio::task::try_id().map_or_else(thread, Place::Task)
    }
}

/// What was kept of a domain.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Trees, in the order in which they began.
    pub(super) runs: Vec<ObservedRun>,
    /// The names of runs that ended more than once, which none may.
    pub(super) ended_again: Vec<&'static str>,
    /// What was logged.
    #[cfg(feature = "tracing")]
    pub(super) lines: Vec<String>,
    /// Events outside of any run.
    #[cfg(feature = "sentry")]
    pub(super) events: Vec<sentry_core::protocol::Event<'static>>,
}

impl Capture {
    pub(crate) fn new() -> Arc<Capture> {
        Arc::new(Capture {
            runs: Mutex::default(),
            home: OnceLock::new(),
            #[cfg(feature = "tracing")]
            spans: Recorder::new(),
            #[cfg(feature = "sentry")]
            events: Inbox::new(),
        })
    }

    /// Calls `f` with the recorder and the client as this thread's.
    pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        let _recorder = self.spans.enter();
        #[cfg(feature = "sentry")]
        let _inbox = self.events.enter();
        f()
    }

    /// What is observed begins here.
    pub(super) fn begin(&self) {
        let _ = self.home.set(Place::here());
    }

    fn runs(&self) -> MutexGuard<'_, Vec<Kept>> {
        lock(&self.runs)
    }

    fn with(&self, run: &RunView<'_>, f: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.runs().iter_mut().rev().find(|kept| kept.id == run.id()) {
            f(kept);
        }
    }

    /// A fault at this run's boundary was reached.
    pub(super) fn injected(&self, run: u64, fault: &'static str) {
        if let Some(kept) = self.runs().iter_mut().rev().find(|kept| kept.id == run) {
            kept.run.faults.push(fault);
        }
    }

    /// What was kept so far.
    pub(super) fn take(&self) -> Taken {
        #[allow(unused_mut, reason = "nobody changes it without tracing and Sentry")]
        let mut kept = std::mem::take(&mut *self.runs());
        #[cfg(feature = "tracing")]
        self.attach_spans(&mut kept);
        #[cfg(feature = "sentry")]
        let mut loose = Vec::new();
        #[cfg(feature = "sentry")]
        for (run, event) in self.events.take() {
            match kept.iter_mut().find(|kept| Some(kept.id) == run) {
                Some(kept) => kept.run.events.push(event),
                None => loose.push(event),
            }
        }
        Taken {
            ended_again: kept.iter().filter(|kept| kept.ends > 1).map(|kept| kept.run.name()).collect(),
            runs: nested(kept),
            #[cfg(feature = "tracing")]
            lines: self.spans.take_lines(),
            #[cfg(feature = "sentry")]
            events: loose,
        }
    }

    #[cfg(feature = "tracing")]
    fn attach_spans(&self, kept: &mut [Kept]) {
        for recorded in self.spans.take() {
            if let Some(kept) = kept.iter_mut().find(|kept| kept.span == Some(recorded.key)) {
                kept.run.span = Some(recorded.span);
            } else if let Some(kept) = kept.iter_mut().find(|kept| Some(kept.id) == recorded.run) {
                kept.run.spans.push(recorded.span);
            }
        }
    }
}

/// Runs by their parents, from the last to the first: a run begins after the one around it.
fn nested(mut kept: Vec<Kept>) -> Vec<ObservedRun> {
    let mut roots = Vec::new();
    while let Some(Kept { parent, run, .. }) = kept.pop() {
        match kept.iter_mut().find(|outer| Some(outer.id) == parent) {
            Some(outer) => outer.run.children.insert(0, run),
            None => roots.insert(0, run),
        }
    }
    roots
}

impl Sink for Capture {
    fn started(&self, run: &RunView<'_>) {
        let is_elsewhere = self.home.get().is_some_and(|home| *home != Place::here());
        self.runs().push(Kept {
            id: run.id(),
            parent: run.parent_id(),
            #[cfg(feature = "tracing")]
            span: run.span().and_then(|(dispatch, id)| super::observing::spans::key(dispatch, id)),
            ends: 0,
            run: ObservedRun::new(run, is_elsewhere),
        });
    }

    fn overdue(&self, run: &RunView<'_>, elapsed: Duration) {
        self.with(run, |kept| kept.run.overdue = Some(elapsed));
    }

    fn ended(&self, run: &RunView<'_>, end: &End) {
        let context = run.context();
        self.with(run, |kept| {
            kept.ends += 1;
            kept.run.end = Some(*end);
            kept.run.context = context;
        });
    }
}
