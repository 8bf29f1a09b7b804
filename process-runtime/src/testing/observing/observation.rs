//! What was observed: each run with how it ended, its context, spans and events, as a tree.

use std::fmt;
use std::time::Duration;

use process_model::Outcome;

#[cfg(feature = "metrics")]
use super::metrics::Change;
#[cfg(feature = "tracing")]
use super::spans::Span;
use crate::catalog::definition::{ProcessDefinition, StageDefinition};
use crate::observe::{End, RunView};
use crate::run::context::Value;

/// One run as it went: of a process, of a stage, or of a call to a dependency.
#[derive(Debug)]
pub struct ObservedRun {
    name: &'static str,
    process: Option<&'static ProcessDefinition>,
    stage: Option<&'static StageDefinition>,
    dependency: Option<&'static str>,
    pub(in crate::testing) end: Option<End>,
    pub(in crate::testing) overdue: Option<Duration>,
    pub(in crate::testing) context: Vec<(&'static str, Value)>,
    pub(in crate::testing) faults: Vec<&'static str>,
    pub(in crate::testing) children: Vec<ObservedRun>,
    /// Whether it began in another task or thread than what is observed, and thus outlives that.
    pub(in crate::testing) is_elsewhere: bool,
    #[cfg(feature = "tracing")]
    pub(in crate::testing) span: Option<Span>,
    #[cfg(feature = "tracing")]
    pub(in crate::testing) spans: Vec<Span>,
    #[cfg(feature = "sentry")]
    pub(in crate::testing) events: Vec<sentry_core::protocol::Event<'static>>,
}

impl ObservedRun {
    pub(in crate::testing) fn new(run: &RunView<'_>, is_elsewhere: bool) -> ObservedRun {
        ObservedRun {
            name: run.name(),
            process: run.process(),
            stage: run.stage(),
            dependency: run.dependency(),
            end: None,
            overdue: None,
            context: run.context(),
            faults: Vec::new(),
            children: Vec::new(),
            is_elsewhere,
            #[cfg(feature = "tracing")]
            span: None,
            #[cfg(feature = "tracing")]
            spans: Vec::new(),
            #[cfg(feature = "sentry")]
            events: Vec::new(),
        }
    }

    /// `<process>`, or `<process>.<stage or dependency>`, as its span is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its id alone: of the process, the stage or the dependency.
    pub fn id(&self) -> &'static str {
        match (self.stage, self.dependency, self.process) {
            (Some(stage), ..) => stage.id(),
            (None, Some(dependency), _) => dependency,
            (None, None, Some(process)) => process.id(),
            (None, None, None) => self.name,
        }
    }

    /// The process that ran, or for which the stage or call ran.
    pub fn process(&self) -> Option<&'static ProcessDefinition> {
        self.process
    }

    /// The stage, where it is one.
    pub fn stage(&self) -> Option<&'static StageDefinition> {
        self.stage
    }

    /// The id of the dependency, where it is a call to one.
    pub fn dependency(&self) -> Option<&'static str> {
        self.dependency
    }

    /// Whether it is a run of a process, and not of a part of one.
    pub fn is_process(&self) -> bool {
        self.stage.is_none() && self.dependency.is_none()
    }

    /// How it ended; `None` where it has not.
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.map(|end| end.outcome)
    }

    /// Whether it was past its SLA, at its end or told of before; never, where it has no SLA.
    pub fn is_late(&self) -> bool {
        self.overdue.is_some() || self.end.is_some_and(|end| end.late)
    }

    /// How long it had run when it was told of as late.
    pub fn overdue(&self) -> Option<Duration> {
        self.overdue
    }

    /// How long it took; `None` where it has not ended.
    pub fn duration(&self) -> Option<Duration> {
        self.end.map(|end| end.duration)
    }

    /// The `error.type` of a failure, panic or rejection.
    pub fn error_type(&self) -> Option<&'static str> {
        self.end.and_then(|end| end.error_type)
    }

    /// Its business context at its end: inherited, taken at entry, recorded since.
    pub fn context(&self) -> &[(&'static str, Value)] {
        &self.context
    }

    /// The faults that were reached at its own boundary: `error`, `delay`, `hang`, `panic` or `cancel`.
    pub fn faults(&self) -> &[&'static str] {
        &self.faults
    }

    /// The runs inside, in the order in which they began.
    pub fn children(&self) -> &[ObservedRun] {
        &self.children
    }

    /// Its own span.
    #[cfg(feature = "tracing")]
    pub fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }

    /// The spans that its body and libraries opened in it, outside of any run inside.
    #[cfg(feature = "tracing")]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The Sentry events that were sent in it, outside of any run inside.
    #[cfg(feature = "sentry")]
    pub fn events(&self) -> &[sentry_core::protocol::Event<'static>] {
        &self.events
    }

    /// This run and all inside of it, each before those inside of it.
    pub fn all(&self) -> impl Iterator<Item = &ObservedRun> {
        let mut next = vec![self];
        std::iter::from_fn(move || {
            let run = next.pop()?;
            next.extend(run.children.iter().rev());
            Some(run)
        })
    }

    /// Whether it is called so: by its whole name, or its id alone.
    pub(in crate::testing) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.id() == name
    }

    fn went_wrong(&self) -> bool {
        self.outcome().is_none_or(|outcome| !matches!(outcome, Outcome::Success | Outcome::Degraded))
    }
}

/// How the future or closure that was observed came to its end.
#[derive(Debug)]
pub(in crate::testing) enum Ended<T> {
    /// It returned this.
    Returned(T),
    /// It panicked; the message, where it is a text.
    Panicked(String),
    /// A fault cancelled it.
    Cancelled,
    /// It went on for longer than it was given.
    Stopped(Duration),
}

/// What came of [`observe`](crate::testing::observe()): the value that was returned, and every run on the way to it. Its `Display`
/// is what a failed expectation shows.
///
/// ```
/// use process_runtime::testing::observe_call;
/// use process_runtime::{critical_process, dependency_call};
///
/// #[critical_process(id = "print_label", version = "1.0.0", sla = "1s", context(parcel), depends_on("printer"))]
/// fn print(parcel: u64) -> Result<(), std::fmt::Error> {
///     dependency_call("printer", || Ok(()))
/// }
///
/// let run = observe_call(|| print(7)).run();
/// let names: Vec<_> = run.all().map(|one| one.name()).collect();
/// assert_eq!(names, ["print_label", "print_label.printer"]);
/// assert!(run.runs()[0].context().iter().any(|(key, value)| *key == "parcel" && value.to_string() == "7"));
/// ```
#[derive(Debug)]
#[must_use = "what was observed proves nothing until something is expected of it"]
pub struct Observation<T> {
    pub(in crate::testing) ended: Ended<T>,
    /// The process that the contract is of.
    pub(in crate::testing) process: Option<&'static str>,
    pub(in crate::testing) runs: Vec<ObservedRun>,
    /// What was logged.
    #[cfg(feature = "tracing")]
    pub(in crate::testing) lines: Vec<String>,
    #[cfg(feature = "sentry")]
    pub(in crate::testing) events: Vec<sentry_core::protocol::Event<'static>>,
    #[cfg(feature = "metrics")]
    pub(in crate::testing) changes: Vec<Change>,
}

impl<T> Observation<T> {
    /// What was returned.
    ///
    /// # Panics
    /// Where nothing was, with the runs so far: it panicked, or was cancelled or ended by the test.
    #[track_caller]
    pub fn value(&self) -> &T {
        match &self.ended {
            Ended::Returned(value) => value,
            _ => panic!("expected: a value\nobserved: {self}"),
        }
    }

    /// What was returned.
    ///
    /// # Panics
    /// As [`Observation::value`].
    #[track_caller]
    pub fn into_value(self) -> T {
        match self.ended {
            Ended::Returned(value) => value,
            _ => panic!("expected: a value\nobserved: {self}"),
        }
    }

    /// The message of the panic that came out; `None` where none did.
    pub fn panic(&self) -> Option<&str> {
        match &self.ended {
            Ended::Panicked(message) => Some(message),
            _ => None,
        }
    }

    /// The runs that were inside of no other.
    pub fn runs(&self) -> &[ObservedRun] {
        &self.runs
    }

    /// Every run, each before those inside of it.
    pub fn all(&self) -> impl Iterator<Item = &ObservedRun> {
        self.runs.iter().flat_map(ObservedRun::all)
    }

    /// Everything that was captured, as text.
    pub(in crate::testing) fn told(&self) -> String {
        let told = format!("{:?}", self.runs);
        #[cfg(feature = "tracing")]
        let told = format!("{told}{}", self.lines.join("\n"));
        #[cfg(feature = "sentry")]
        let told = format!("{told}{:?}", self.events);
        #[cfg(feature = "metrics")]
        let told = format!("{told}{:?}", self.changes);
        told
    }

    /// What a reader would have collected of the counters and gauges; what stayed at nothing is left out.
    #[cfg(feature = "metrics")]
    pub fn metrics(&self) -> &[Change] {
        &self.changes
    }

    /// Every Sentry event: those of runs in their order, then those that were sent outside of any.
    #[cfg(feature = "sentry")]
    pub fn events(&self) -> impl Iterator<Item = &sentry_core::protocol::Event<'static>> {
        self.all().flat_map(|run| run.events.iter()).chain(&self.events)
    }
}

impl<T> fmt::Display for Observation<T> {
    /// The end, then a line for each run: what went wrong first has a `!`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ended {
            Ended::Returned(_) => f.write_str("a value was returned")?,
            Ended::Panicked(message) => write!(f, "it panicked: {message}")?,
            Ended::Cancelled => f.write_str("a fault cancelled it")?,
            Ended::Stopped(limit) => write!(f, "nothing ended it for {limit:?}, so the test did")?,
        }
        f.write_str("\n\n")?;
        if self.runs.is_empty() {
            return f.write_str("no process ran\n");
        }
        let mut rows = Vec::new();
        self.runs.iter().for_each(|run| collect(run, 0, &mut rows));
        let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
        let (names, ends, took) = (width(|row| &row.name), width(|row| &row.end), width(|row| &row.took));
        for Row { mark, name, end, took: duration, rest } in &rows {
            let line = format!("{mark} {name:names$}  {end:ends$}  {duration:>took$}  {rest}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// One line of a tree.
struct Row {
    mark: char,
    name: String,
    end: String,
    took: String,
    rest: String,
}

fn collect(run: &ObservedRun, depth: usize, rows: &mut Vec<Row>) {
    let mut end = match run.outcome() {
        Some(outcome) => outcome.to_string(),
        None => "goes on".to_owned(),
    };
    for more in [run.error_type(), run.is_late().then_some("late")].into_iter().flatten() {
        end.push_str(", ");
        end.push_str(more);
    }
    let faults = run.faults.iter().map(|fault| format!("[{fault}]"));
    let values = run.context.iter().map(|(name, value)| format!("{name}={value}"));
    #[cfg(feature = "sentry")]
    let events = (!run.events.is_empty()).then(|| format!("({} events)", run.events.len()));
    #[cfg(not(feature = "sentry"))]
    let events = None;
    let rest = faults.chain(values).chain(events).collect::<Vec<_>>().join(" ");
    rows.push(Row {
        mark: if run.went_wrong() { '!' } else { ' ' },
        name: format!("{}{}", "  ".repeat(depth), if depth == 0 { run.name } else { run.id() }),
        end,
        took: run.duration().map(|took| format!("{took:.1?}")).unwrap_or_default(),
        rest,
    });
    run.children.iter().for_each(|child| collect(child, depth + 1, rows));
}
