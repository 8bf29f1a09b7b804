//! Captures the runs of a test's domain with a [`Sink`], their spans with a recorder, and their Sentry events with a
//! Sentry client. None of these is global. The recorder and the client are current on a thread only while the thread
//! is in the domain. Expectations do not belong here.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::ThreadId;
use std::time::Duration;

#[cfg(feature = "sentry")]
use super::events::Inbox;
use super::observation::ObservedRun;
#[cfg(feature = "tracing")]
use super::spans::Recorder;
use crate::base::lock::lock;
use crate::observe::{End, RunView, Sink};

/// Captures the runs, spans and Sentry events in one domain.
#[derive(Debug)]
pub(in crate::testing) struct Capture {
    runs: Mutex<Vec<Kept>>,
    /// The task or thread that polls the observed future.
    home: OnceLock<Place>,
    #[cfg(feature = "tracing")]
    spans: Recorder,
    #[cfg(feature = "sentry")]
    events: Inbox,
}

/// A captured run, with the ids by which its parent, span and events are found.
#[derive(Debug)]
struct Kept {
    id: u64,
    parent: Option<u64>,
    #[cfg(feature = "tracing")]
    span: Option<u64>,
    ends: usize,
    run: ObservedRun,
}

/// A task, or a thread outside all tasks.
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

/// Everything that was captured in a domain.
#[derive(Debug, Default)]
pub(in crate::testing) struct Captured {
    /// The runs that are not inside another run, in the order in which they began. Each has the runs inside it as
    /// children.
    pub(in crate::testing) runs: Vec<ObservedRun>,
    /// The names of runs that ended more than once, which is a defect of the toolkit.
    pub(in crate::testing) ended_again: Vec<&'static str>,
    /// The values that were recorded on spans and log events, as text.
    #[cfg(feature = "tracing")]
    pub(in crate::testing) lines: Vec<String>,
    /// The Sentry events that were sent outside all runs.
    #[cfg(feature = "sentry")]
    pub(in crate::testing) events: Vec<sentry_core::protocol::Event<'static>>,
}

impl Capture {
    pub(in crate::testing) fn new() -> Arc<Capture> {
        Arc::new(Capture {
            runs: Mutex::default(),
            home: OnceLock::new(),
            #[cfg(feature = "tracing")]
            spans: Recorder::new(),
            #[cfg(feature = "sentry")]
            events: Inbox::new(),
        })
    }

    /// Calls `f`. During the call, the recorder is this thread's subscriber, and the hub with the capturing client is
    /// this thread's Sentry hub.
    pub(in crate::testing) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        let _recorder = self.spans.enter();
        #[cfg(feature = "sentry")]
        let _inbox = self.events.enter();
        f()
    }

    /// Marks this task or thread as the one that polls the observed future.
    pub(in crate::testing) fn begin(&self) {
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

    /// Records that a fault was injected at the boundary of this run.
    pub(in crate::testing) fn injected(&self, run: u64, fault: &'static str) {
        if let Some(kept) = self.runs().iter_mut().rev().find(|kept| kept.id == run) {
            kept.run.faults.push(fault);
        }
    }

    /// Takes everything that was captured so far.
    pub(in crate::testing) fn take(&self) -> Captured {
        #[allow(unused_mut, reason = "only changed with tracing or Sentry")]
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
        Captured {
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

/// Builds the trees of runs by moving each run into its parent, in reverse order of their beginning. A parent begins
/// before its children, so all children are already in the parent when the parent itself is moved.
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
            span: run.span().and_then(|(dispatch, id)| super::spans::key(dispatch, id)),
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
