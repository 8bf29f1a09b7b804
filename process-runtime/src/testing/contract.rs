//! What stands around the body of a test with `#[contract]`: every run that the body observes is weighed against the
//! contract's case, and the test passes only if one of them went that way.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use process_model::{Case, ContextSource, Outcome};

use super::evidence::{Evidence, Proof};
use super::fault;
use super::load::LoadReport;
use super::observation::{Ended, Observation, ObservedRun};
use super::observing::message;
use super::registered::{ContractDefinition, ContractSite};
use crate::base::lock::lock;
use crate::catalog::definition::ProcessDefinition;
use crate::catalog::registry;
use crate::run::ending::Ending;

/// A test that proves a case of a process, while its body runs.
#[derive(Debug)]
pub struct Contracted(Arc<Trial>);

/// What is known of it.
#[derive(Debug)]
pub(super) struct Trial {
    contract: &'static ContractDefinition,
    process: &'static ProcessDefinition,
    executions: Mutex<Vec<Execution>>,
}

/// One run of the process, as far as a case asks.
#[derive(Clone, Debug)]
struct Execution {
    outcome: Option<Outcome>,
    error_type: Option<&'static str>,
    late: bool,
    duration: Duration,
    /// How the test ended it, where it did and not what bounds it.
    by_test: Option<ByTest>,
    /// The boundaries inside at which a fault happened, each with what it was.
    faults: Vec<Injection>,
    /// Declared keys of its context that it did not record, or that are not on every span and event.
    lacks: Vec<String>,
    events: usize,
    is_load: bool,
}

/// How a test ends what it observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByTest {
    /// By a fault.
    Cancelled,
    /// When it had gone on for too long.
    Stopped,
}

/// A fault that happened inside of a run.
#[derive(Clone, Copy, Debug)]
struct Injection {
    at: &'static str,
    kind: &'static str,
    /// Whether that is something which the run's own process depends on.
    is_at_dependency: bool,
}

thread_local! {
    /// The tests around what this thread does: one, but where a test calls another.
    static CURRENT: RefCell<Vec<Arc<Trial>>> = const { RefCell::new(Vec::new()) };
}

/// The test that this thread is in, if it is a contract.
pub(super) fn current() -> Option<Arc<Trial>> {
    CURRENT.with_borrow(|current| current.last().cloned())
}

/// A contract has observed this.
pub(super) fn observed<T>(trial: Option<&Trial>, observation: &Observation<T>) {
    let Some(trial) = trial else { return };
    let by_test = match observation.ended {
        Ended::Returned(_) | Ended::Panicked(_) => None,
        Ended::Cancelled => Some(ByTest::Cancelled),
        Ended::Stopped(_) => Some(ByTest::Stopped),
    };
    let runs = observation.all().filter(|run| run.is_of(trial.process));
    trial.executions().extend(runs.map(|run| Execution::of(run, by_test)));
}

/// A contract has put a process under load, and what was asked of that held.
pub(super) fn loaded(trial: Option<Arc<Trial>>, report: &LoadReport) {
    if let Some(trial) = trial
        && report.is_bounded()
        && std::ptr::eq(report.process(), trial.process)
    {
        trial.executions().push(Execution::of_load(report.took()));
    }
}

impl Contracted {
    /// Before the body.
    ///
    /// # Panics
    /// Where the process of the contract was not linked, with the nearest id.
    pub fn new(site: &'static ContractSite) -> Contracted {
        let contract = site.definition().unwrap_or_else(|error| panic!("a contract cannot be read: {error}"));
        let process = registry::get(contract.process()).unwrap_or_else(|unknown| {
            panic!("contract `{}` at {}:{}: {unknown}", contract.case(), contract.file(), contract.line())
        });
        let trial = Trial { contract, process, executions: Mutex::default() };
        // Of a test that is killed this is what is left, and not what it proved before.
        trial.leave(Proof::Failed("the test did not end".to_owned()), None);
        Contracted(Arc::new(trial))
    }

    /// Polls the body of an `async fn`.
    pub async fn run<F: Future>(&self, body: F) -> F::Output {
        let mut body = pin!(body);
        poll_fn(|cx| self.within(|| body.as_mut().poll(cx))).await
    }

    /// Calls the body of a plain function.
    pub fn call<R>(&self, body: impl FnOnce() -> R) -> R {
        self.within(body)
    }

    fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        CURRENT.with_borrow_mut(|current| current.push(Arc::clone(&self.0)));
        let returned = catch_unwind(AssertUnwindSafe(f));
        CURRENT.with_borrow_mut(|current| current.pop());
        returned.unwrap_or_else(|payload| {
            self.0.leave(Proof::Failed(format!("the test panicked: {}", message(&*payload))), None);
            resume_unwind(payload)
        })
    }

    /// After a body that returned, with what its type says of the value.
    ///
    /// # Panics
    /// Where no run went the way of the case.
    pub fn finish(self, ending: Ending<'_>) {
        let trial = self.0;
        if ending.outcome != Outcome::Success {
            return trial.leave(Proof::Failed("the test returned an error".to_owned()), None);
        }
        let executions = trial.executions().clone();
        let case = trial.contract.case();
        if let Some(went_so) = executions.iter().find(|execution| execution.went(case)) {
            return trial.leave(Proof::Proven, Some(went_so));
        }
        let runs: Vec<_> = executions.iter().map(|execution| execution.told(case)).collect();
        let runs = if runs.is_empty() { "it observed none".to_owned() } else { runs.join("; ") };
        let what = wanted(case);
        let process = trial.contract.process();
        let reason = format!("no run of `{process}` that this test observed {what}: {runs}");
        trial.leave(Proof::Failed(reason.clone()), executions.last());
        panic!("{reason}");
    }
}

impl Trial {
    /// Id of the process.
    pub(super) fn process(&self) -> &'static str {
        self.process.id()
    }

    fn executions(&self) -> MutexGuard<'_, Vec<Execution>> {
        lock(&self.executions)
    }

    /// Leaves evidence. Where that is impossible the test fails: it would count for nothing.
    fn leave(&self, proof: Proof, execution: Option<&Execution>) {
        let is_proven = proof == Proof::Proven;
        let test = path_of_test(self.contract.handler());
        let mut evidence = Evidence::new(self.process, self.contract.case().clone(), &test, proof);
        evidence.source = self.contract.file().to_owned();
        if let Some(execution) = execution {
            evidence.outcome = execution.outcome;
            evidence.late = execution.late;
            evidence.duration = execution.duration;
        }
        if let Err(error) = evidence.write() {
            assert!(!is_proven, "{error}");
            eprintln!("{error}");
        }
    }
}

/// The full path of the test that runs: libtest names a test's thread by it, and a process of its own is told it.
fn path_of_test(handler: &str) -> String {
    let name = handler.rsplit("::").next().unwrap_or(handler);
    let is_it = |path: &str| path.split("::").any(|part| part == name);
    let thread = std::thread::current().name().map(str::to_owned);
    let mut told = thread.into_iter().chain(std::env::args().skip(1));
    told.find(|path| is_it(path)).unwrap_or_else(|| handler.to_owned())
}

impl ObservedRun {
    fn is_of(&self, process: &ProcessDefinition) -> bool {
        self.is_process() && self.process().is_some_and(|own| std::ptr::eq(own, process))
    }
}

/// The faults at the boundary of `one`, which is inside of `run`, or `run` itself.
fn injections(one: &ObservedRun, run: &ObservedRun) -> impl Iterator<Item = Injection> {
    let is_of_this = one.process().map(ProcessDefinition::id) == run.process().map(ProcessDefinition::id);
    let is_at_dependency =
        if one.is_process() { !is_of_this } else { one.dependency().is_some() && is_of_this };
    one.faults().iter().map(move |kind| Injection { at: one.id(), kind, is_at_dependency })
}

impl Execution {
    fn of(run: &ObservedRun, by_test: Option<ByTest>) -> Execution {
        Execution {
            outcome: run.outcome(),
            error_type: run.error_type(),
            late: run.is_late(),
            duration: run.duration().or(run.overdue()).unwrap_or_default(),
            by_test,
            faults: run.all().flat_map(|one| injections(one, run)).collect(),
            lacks: lacking(run, &declared(run)),
            #[cfg(feature = "sentry")]
            events: run.all().map(|one| one.events().len()).sum(),
            #[cfg(not(feature = "sentry"))]
            events: 0,
            is_load: false,
        }
    }

    fn of_load(duration: Duration) -> Execution {
        Execution {
            outcome: None,
            error_type: None,
            late: false,
            duration,
            by_test: None,
            faults: Vec::new(),
            lacks: Vec::new(),
            events: 0,
            is_load: true,
        }
    }

    fn has(&self, fault: &str) -> bool {
        self.faults.iter().any(|one| one.kind == fault)
    }

    /// Whether it went the way of a case.
    fn went(&self, case: &Case) -> bool {
        match case {
            Case::Load => self.is_load,
            _ if self.is_load => false,
            Case::Happy => self.outcome == Some(Outcome::Success) && !self.late,
            Case::Error(kind) => {
                matches!(self.outcome, Some(Outcome::Failure | Outcome::Rejected))
                    && self.error_type == Some(kind)
            }
            // Who drops it has a limit of his own, and the process has none.
            Case::Timeout => {
                let is_bounded = self.outcome.is_some_and(|outcome| outcome != Outcome::Cancelled);
                self.has(fault::HANG) && is_bounded && self.by_test.is_none()
            }
            Case::Dependency(id) => {
                let breaks = |one: &&Injection| one.is_at_dependency && one.at == id;
                // A delay that makes nothing late breaks nothing.
                self.faults.iter().filter(breaks).any(|one| one.kind != fault::DELAY || self.late)
            }
            Case::Cancelled => {
                self.outcome == Some(Outcome::Cancelled) && self.by_test != Some(ByTest::Stopped)
            }
            Case::Panic => self.outcome == Some(Outcome::Panic),
            Case::Sla => self.late && self.has(fault::DELAY),
            Case::Context => self.lacks.is_empty() && (self.events > 0 || cfg!(not(feature = "sentry"))),
            Case::Edge => self.outcome.is_some(),
        }
    }

    /// How it went, as far as the case asks.
    fn told(&self, case: &Case) -> String {
        if self.is_load {
            return "a load".to_owned();
        }
        let mut told = self.outcome.map_or("goes on".to_owned(), |outcome| outcome.to_string());
        for more in [self.error_type, self.late.then_some("late")].into_iter().flatten() {
            told = format!("{told}, {more}");
        }
        if self.by_test.is_some() && matches!(case, Case::Timeout | Case::Cancelled) {
            told.push_str(", ended by the test");
        }
        if matches!(case, Case::Timeout | Case::Dependency(_) | Case::Sla) {
            let faults: Vec<_> =
                self.faults.iter().map(|one| format!("{} at `{}`", one.kind, one.at)).collect();
            told = format!(
                "{told}, with {}",
                if faults.is_empty() { "no fault".to_owned() } else { faults.join(", ") }
            );
        }
        if *case == Case::Context {
            let events = self.events;
            told = format!(
                "{told}, {events} events, lacks {}",
                if self.lacks.is_empty() { "nothing".to_owned() } else { self.lacks.join(", ") }
            );
        }
        told
    }
}

/// What a case wants of a run.
fn wanted(case: &Case) -> String {
    match case {
        Case::Happy => "was a success on time".to_owned(),
        Case::Error(kind) => format!("was a failure or rejection with the `error.type` {kind}"),
        Case::Timeout => "reached an injected hang and was ended by what bounds it".to_owned(),
        Case::Dependency(id) => format!("reached a fault at `{id}`"),
        Case::Cancelled => "was cancelled".to_owned(),
        Case::Panic => "panicked".to_owned(),
        Case::Edge => "ended".to_owned(),
        Case::Sla => "was late under an injected delay".to_owned(),
        Case::Load => "was a load whose bounds held".to_owned(),
        Case::Context => "sent an event and has its declared context on every span and event".to_owned(),
    }
}

/// The keys that a process declares to have from its start.
fn declared(run: &ObservedRun) -> Vec<&'static str> {
    let keys = run.process().into_iter().flat_map(|process| process.context());
    let from_its_start = keys.filter(|key| key.source != ContextSource::Later);
    from_its_start.map(|key| key.name.as_str()).collect()
}

/// Where these keys are not on the run, its span, a span inside of it that is a run's, or an event.
fn lacking(run: &ObservedRun, keys: &[&'static str]) -> Vec<String> {
    let mut lacking = Vec::new();
    for key in keys {
        for one in run.all() {
            if one.context().iter().all(|(name, _)| name != key) {
                lacking.push(format!("`{key}` in the context of `{}`", one.name()));
                continue;
            }
            #[cfg(feature = "tracing")]
            if one.span().is_some_and(|span| span.field(key).is_none()) {
                lacking.push(format!("`{key}` on the span of `{}`", one.name()));
            }
            #[cfg(feature = "sentry")]
            if !one.events().iter().all(|event| is_on(event, key)) {
                lacking.push(format!("`{key}` on an event of `{}`", one.name()));
            }
        }
    }
    lacking
}

#[cfg(feature = "sentry")]
fn is_on(event: &sentry_core::protocol::Event<'_>, key: &str) -> bool {
    use sentry_core::protocol::Context;
    let block = event.contexts.get("process");
    let is_in_block = matches!(block, Some(Context::Other(block)) if block.contains_key(key));
    is_in_block || event.tags.contains_key(key)
}

/// Events of runs that lack what their run has recorded from its start.
pub(super) fn without_context<T>(observation: &Observation<T>) -> Vec<String> {
    let processes = observation.all().filter(|run| run.is_process());
    let lacks = processes.flat_map(|run| {
        let recorded = |key: &&str| run.context().iter().any(|(name, _)| name == key);
        let keys: Vec<_> = declared(run).into_iter().filter(recorded).collect();
        lacking(run, &keys)
    });
    lacks.map(|lacks| format!("it lacks {lacks}")).collect()
}

#[cfg(all(test, feature = "tracing", feature = "sentry"))]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::run::context::Value;
    use crate::testing::observe_call;

    #[test]
    fn a_key_that_a_span_an_event_or_a_part_lacks_is_told_of() {
        let inner = || crate::dependency_call("inner", || Ok::<_, Infallible>(()));
        let mut run = observe_call(|| crate::dependency_call("outer", inner)).run().runs.remove(0);
        assert_eq!(
            lacking(&run, &["key"]),
            ["`key` in the context of `outer`", "`key` in the context of `inner`"]
        );
        let value = || vec![("key", Value::I64(7))];
        run.context = value();
        run.children[0].context = value();
        run.children[0].events.push(sentry_core::protocol::Event::default());
        let on_spans =
            ["`key` on the span of `outer`", "`key` on the span of `inner`", "`key` on an event of `inner`"];
        assert_eq!(lacking(&run, &["key"]), on_spans);
        run.span.as_mut().unwrap().fields.append(&mut value());
        run.children[0].span.as_mut().unwrap().fields.append(&mut value());
        run.children[0].events[0].tags.insert("key".to_owned(), "7".to_owned());
        assert_eq!(lacking(&run, &["key"]), <[String; 0]>::default());
    }
}
