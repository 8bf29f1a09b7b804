//! The result of an observation. It is a tree of runs, each with its end, context, spans and events. Expectations
//! do not belong here.

use std::fmt;
use std::time::Duration;

use process_model::Outcome;

#[cfg(feature = "metrics")]
use super::metrics::Series;
#[cfg(feature = "tracing")]
use super::spans::Span;
use crate::catalog::definition::{ProcessDefinition, StageDefinition};
use crate::observe::{End, RunView};
use crate::run::context::Value;

/// An observed run of a process, of a stage, or of a call to a dependency.
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
    /// Whether the run began in another task or thread than the observed future. Such a run can outlive the future.
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

    /// Returns the name of the run, which is also the name of its span: `<process>`, or
    /// `<process>.<stage or dependency>`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the id of the process, the stage or the dependency.
    pub fn id(&self) -> &'static str {
        match (self.stage, self.dependency, self.process) {
            (Some(stage), ..) => stage.id(),
            (None, Some(dependency), _) => dependency,
            (None, None, Some(process)) => process.id(),
            (None, None, None) => self.name,
        }
    }

    /// Returns the process that ran. For a stage or a call to a dependency, returns the process that it belongs to;
    /// `None` outside of a process.
    pub fn process(&self) -> Option<&'static ProcessDefinition> {
        self.process
    }

    /// Returns the stage; `None` if this is not a run of a stage.
    pub fn stage(&self) -> Option<&'static StageDefinition> {
        self.stage
    }

    /// Returns the id of the dependency; `None` if this is not a call to a dependency.
    pub fn dependency(&self) -> Option<&'static str> {
        self.dependency
    }

    /// Returns whether this is a run of a process. Returns `false` for a stage and for a call to a dependency.
    pub fn is_process(&self) -> bool {
        self.stage.is_none() && self.dependency.is_none()
    }

    /// Returns the outcome; `None` if the run has not ended.
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.map(|end| end.outcome)
    }

    /// Returns whether the run exceeded its SLA. A run without an SLA is never late.
    pub fn is_late(&self) -> bool {
        self.overdue.is_some() || self.end.is_some_and(|end| end.late)
    }

    /// Returns how long the run had been running when it was reported as overdue; `None` if it was not reported.
    pub fn overdue(&self) -> Option<Duration> {
        self.overdue
    }

    /// Returns the duration; `None` if the run has not ended.
    pub fn duration(&self) -> Option<Duration> {
        self.end.map(|end| end.duration)
    }

    /// Returns the `error.type` of a failure, panic or rejection; `None` for any other outcome.
    pub fn error_type(&self) -> Option<&'static str> {
        self.end.and_then(|end| end.error_type)
    }

    /// Returns the business context at the end of the run. It consists of the values that the run inherited, took at
    /// its start or recorded later. If the run has not ended, returns the context at its start.
    pub fn context(&self) -> &[(&'static str, Value)] {
        &self.context
    }

    /// Returns the faults that were injected at the boundary of this run: `error`, `delay`, `hang`, `panic` or
    /// `cancel`.
    pub fn faults(&self) -> &[&'static str] {
        &self.faults
    }

    /// Returns the runs directly inside this run, in the order in which they began.
    pub fn children(&self) -> &[ObservedRun] {
        &self.children
    }

    /// Returns the span of the run; `None` if the run has no span.
    #[cfg(feature = "tracing")]
    pub fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }

    /// Returns the spans that were opened directly in the run, without the span of the run itself. Spans that were
    /// opened in a run inside this run are not included.
    #[cfg(feature = "tracing")]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Returns the Sentry events that were sent directly in the run. Events that were sent in a run inside this run
    /// are not included.
    #[cfg(feature = "sentry")]
    pub fn events(&self) -> &[sentry_core::protocol::Event<'static>] {
        &self.events
    }

    /// Returns this run and all runs inside it. Each run comes before the runs inside it.
    pub fn all(&self) -> impl Iterator<Item = &ObservedRun> {
        let mut next = vec![self];
        std::iter::from_fn(move || {
            let run = next.pop()?;
            next.extend(run.children.iter().rev());
            Some(run)
        })
    }

    /// Returns whether `name` is the name or the id of the run.
    pub(in crate::testing) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.id() == name
    }

    fn went_wrong(&self) -> bool {
        self.outcome().is_none_or(|outcome| !matches!(outcome, Outcome::Success | Outcome::Degraded))
    }
}

/// How the observed future or closure ended.
#[derive(Debug)]
pub(in crate::testing) enum Ended<T> {
    /// The future or closure returned a value.
    Returned(T),
    /// The future or closure panicked with this message.
    Panicked(String),
    /// A fault cancelled the future.
    Cancelled,
    /// The future was still running at this limit, so the test dropped it.
    Stopped(Duration),
}

/// The result of [`observe`](crate::testing::observe()), with the value that the observed future or closure returned,
/// and every run inside the future or closure. Its `Display` prints the tree of runs, as a failed expectation does.
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
#[must_use = "an observation proves nothing without an expectation, for example `run.expect().success()`"]
pub struct Observation<T> {
    pub(in crate::testing) ended: Ended<T>,
    /// The id of the contract's process; `None` outside of a contract.
    pub(in crate::testing) process: Option<&'static str>,
    pub(in crate::testing) runs: Vec<ObservedRun>,
    /// The values that were recorded on spans and log events, as text.
    #[cfg(feature = "tracing")]
    pub(in crate::testing) lines: Vec<String>,
    #[cfg(feature = "sentry")]
    pub(in crate::testing) events: Vec<sentry_core::protocol::Event<'static>>,
    #[cfg(feature = "metrics")]
    pub(in crate::testing) metrics: Vec<Series>,
}

impl<T> Observation<T> {
    /// Returns the value that the observed future or closure returned.
    ///
    /// # Panics
    /// If the value is missing, because the future or closure panicked, was cancelled or was stopped by the test. The
    /// message has the observed runs.
    #[track_caller]
    pub fn value(&self) -> &T {
        match &self.ended {
            Ended::Returned(value) => value,
            _ => panic!("expected: a returned value\nobserved: {self}"),
        }
    }

    /// Consumes the observation and returns the value that the observed future or closure returned.
    ///
    /// # Panics
    /// As [`Observation::value`].
    #[track_caller]
    pub fn into_value(self) -> T {
        match self.ended {
            Ended::Returned(value) => value,
            _ => panic!("expected: a returned value\nobserved: {self}"),
        }
    }

    /// Returns the panic message of the observed future or closure; `None` if it did not panic.
    pub fn panic(&self) -> Option<&str> {
        match &self.ended {
            Ended::Panicked(message) => Some(message),
            _ => None,
        }
    }

    /// Returns the runs that were not inside another run.
    pub fn runs(&self) -> &[ObservedRun] {
        &self.runs
    }

    /// Returns every run. Each run comes before the runs inside it.
    pub fn all(&self) -> impl Iterator<Item = &ObservedRun> {
        self.runs.iter().flat_map(ObservedRun::all)
    }

    /// Returns everything that was captured, as text.
    pub(in crate::testing) fn captured_text(&self) -> String {
        let text = format!("{:?}", self.runs);
        #[cfg(feature = "tracing")]
        let text = format!("{text}{}", self.lines.join("\n"));
        #[cfg(feature = "sentry")]
        let text = format!("{text}{:?}", self.events);
        #[cfg(feature = "metrics")]
        let text = format!("{text}{:?}", self.metrics);
        text
    }

    /// Returns the counters and gauges, as a metrics collector reads them at the end of the observation. Series with
    /// the value 0 are not included.
    #[cfg(feature = "metrics")]
    pub fn metrics(&self) -> &[Series] {
        &self.metrics
    }

    /// Returns every Sentry event. The events of runs come first, in the order of the runs. The events outside all
    /// runs follow.
    #[cfg(feature = "sentry")]
    pub fn events(&self) -> impl Iterator<Item = &sentry_core::protocol::Event<'static>> {
        self.all().flat_map(|run| run.events.iter()).chain(&self.events)
    }
}

impl<T> fmt::Display for Observation<T> {
    /// Prints how the future or closure ended, then a line for each run. The line of a run that did not succeed
    /// starts with `!`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ended {
            Ended::Returned(_) => f.write_str("it returned a value")?,
            Ended::Panicked(message) => write!(f, "it panicked: {message}")?,
            Ended::Cancelled => f.write_str("a fault cancelled it")?,
            Ended::Stopped(limit) => {
                write!(f, "it was still running after {limit:?}, so the test stopped it")?;
            }
        }
        f.write_str("\n\n")?;
        if self.runs.is_empty() {
            return f.write_str("no process ran\n");
        }
        let mut rows = Vec::new();
        self.runs.iter().for_each(|run| collect(run, 0, &mut rows));
        let width = |column: fn(&TreeLine) -> &str| {
            rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
        };
        let (names, ends, took) = (width(|row| &row.name), width(|row| &row.end), width(|row| &row.took));
        for TreeLine { mark, name, end, took: duration, rest } in &rows {
            let line = format!("{mark} {name:names$}  {end:ends$}  {duration:>took$}  {rest}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// One line of a tree.
struct TreeLine {
    mark: char,
    name: String,
    end: String,
    took: String,
    rest: String,
}

fn collect(run: &ObservedRun, depth: usize, rows: &mut Vec<TreeLine>) {
    let mut end = match run.outcome() {
        Some(outcome) => outcome.to_string(),
        None => "running".to_owned(),
    };
    for more in [run.error_type(), run.is_late().then_some("late")].into_iter().flatten() {
        end.push_str(", ");
        end.push_str(more);
    }
    let faults = run.faults.iter().map(|fault| format!("[{fault}]"));
    let values = run.context.iter().map(|(name, value)| format!("{name}={value}"));
    #[cfg(feature = "sentry")]
    let events = match run.events.len() {
        0 => None,
        1 => Some("(1 event)".to_owned()),
        events => Some(format!("({events} events)")),
    };
    #[cfg(not(feature = "sentry"))]
    let events = None;
    let rest = faults.chain(values).chain(events).collect::<Vec<_>>().join(" ");
    rows.push(TreeLine {
        mark: if run.went_wrong() { '!' } else { ' ' },
        name: format!("{}{}", "  ".repeat(depth), if depth == 0 { run.name } else { run.id() }),
        end,
        took: run.duration().map(|took| format!("{took:.1?}")).unwrap_or_default(),
        rest,
    });
    run.children.iter().for_each(|child| collect(child, depth + 1, rows));
}
