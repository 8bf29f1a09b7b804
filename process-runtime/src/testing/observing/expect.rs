//! Checks the expectations of a test about an observed run. If an expectation does not hold, the check panics, and
//! the message has the expectation and the observation. Capturing does not belong here.

use process_model::{Outcome, nearest};

use super::observation::{Observation, ObservedRun};

/// Checks expectations about one run, which [`Observation::expect`] or [`Observation::expect_run`] selects. Each
/// method panics if its expectation does not hold. The message has the expectation, the actual value and the whole
/// observation.
#[derive(Debug)]
pub struct Expect<'o> {
    run: &'o ObservedRun,
    /// The whole observation, as text.
    observed: String,
}

impl<T> Observation<T> {
    /// Selects the run under test. In a contract, this is the run of the contract's process. Otherwise, it is the
    /// only run that was not inside another run.
    ///
    /// # Panics
    /// If there is not exactly one such run. Use [`Observation::expect_run`] to select one of several.
    #[track_caller]
    #[must_use = "nothing is expected yet"]
    pub fn expect(&self) -> Expect<'_> {
        match self.process {
            Some(process) => self.expect_run(process),
            None => match &self.runs[..] {
                [run] => self.expectations(run),
                [] => panic!(
                    "expected: exactly one run, but no run was observed; call the process in what `observe` or \
                     `observe_call` receives\nobserved: {self}"
                ),
                runs => panic!(
                    "expected: exactly one run, not {}; select one with `expect_run(\"…\")`\nobserved: {self}",
                    runs.len()
                ),
            },
        }
    }

    /// Selects the only run called `name`. A name is the id of a process, stage or dependency, or a full name such as
    /// `checkout.bank`.
    ///
    /// # Panics
    /// If there is not exactly one such run.
    #[track_caller]
    #[must_use = "nothing is expected yet"]
    pub fn expect_run(&self, name: &str) -> Expect<'_> {
        let named: Vec<_> = self.all().filter(|run| run.is_called(name)).collect();
        match named[..] {
            [run] => self.expectations(run),
            [] => {
                let near = nearest(name, self.all().map(ObservedRun::id));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                panic!("expected: a run of `{name}`{near}\nobserved: {self}")
            }
            _ => panic!("expected: exactly one run of `{name}`, not {}\nobserved: {self}", named.len()),
        }
    }

    /// Returns how many runs are called `name`. A name is an id or a full name, as in [`Observation::expect_run`].
    pub fn count(&self, name: &str) -> usize {
        self.all().filter(|run| run.is_called(name)).count()
    }

    fn expectations<'o>(&'o self, run: &'o ObservedRun) -> Expect<'o> {
        Expect { run, observed: self.to_string() }
    }
}

impl Expect<'_> {
    #[track_caller]
    fn holds(self, holds: bool, expected: impl FnOnce() -> String, found: impl FnOnce() -> String) -> Self {
        if !holds {
            let Expect { run, observed } = &self;
            panic!(
                "run of `{}`\nexpected: {}\nfound:    {}\nobserved: {observed}",
                run.name(),
                expected(),
                found()
            );
        }
        self
    }

    #[track_caller]
    fn ended(self, outcome: Outcome, error_type: Option<&str>) -> Self {
        let run = self.run;
        let holds =
            run.outcome() == Some(outcome) && error_type.is_none_or(|kind| run.error_type() == Some(kind));
        let text = |outcome: Option<Outcome>, kind: Option<&str>| {
            let outcome = outcome.map_or("still running".to_owned(), |outcome| outcome.to_string());
            kind.map_or(outcome.clone(), |kind| format!("{outcome} ({kind})"))
        };
        self.holds(holds, || text(Some(outcome), error_type), || text(run.outcome(), run.error_type()))
    }

    /// Expects the outcome `success`.
    #[track_caller]
    pub fn success(self) -> Self {
        self.ended(Outcome::Success, None)
    }

    /// Expects the outcome `degraded`, which means that the run succeeded with its declared fallback.
    #[track_caller]
    pub fn degraded(self) -> Self {
        self.ended(Outcome::Degraded, None)
    }

    /// Expects the outcome `rejected` with this `error.type`. This outcome means that the caller made a mistake.
    #[track_caller]
    pub fn rejected(self, error_type: &str) -> Self {
        self.ended(Outcome::Rejected, Some(error_type))
    }

    /// Expects the outcome `failure` with this `error.type`. If the attribute does not set `error_type`, the
    /// `error.type` is the path of the error's type, for example `shop::CheckoutError`. If
    /// [`timeout`](crate::timeout) stopped the run, the `error.type` is `timeout`.
    #[track_caller]
    pub fn failure(self, error_type: &str) -> Self {
        self.ended(Outcome::Failure, Some(error_type))
    }

    /// Expects the outcome `panic`.
    #[track_caller]
    pub fn panic(self) -> Self {
        self.ended(Outcome::Panic, None)
    }

    /// Expects the outcome `cancelled`, which means that the run was dropped before it ended.
    #[track_caller]
    pub fn cancelled(self) -> Self {
        self.ended(Outcome::Cancelled, None)
    }

    /// Expects that the run ended within its SLA. A run without an SLA only has to end.
    #[track_caller]
    pub fn within_sla(self) -> Self {
        let run = self.run;
        let took = || format!("late, after {:.1?}", run.duration().or(run.overdue()).unwrap_or_default());
        self.holds(run.outcome().is_some() && !run.is_late(), || "within its SLA".to_owned(), took)
    }

    /// Expects that the run exceeded its SLA.
    #[track_caller]
    pub fn late(self) -> Self {
        let run = self.run;
        let took = || format!("on time, after {:.1?}", run.duration().unwrap_or_default());
        self.holds(run.is_late(), || "late".to_owned(), took)
    }

    /// Expects that the run was reported as overdue while it was still running.
    #[track_caller]
    pub fn overdue(self) -> Self {
        let was_reported = match (self.run.overdue(), self.run.duration()) {
            (Some(overdue), Some(took)) => overdue < took,
            (overdue, None) => overdue.is_some(),
            (None, Some(_)) => false,
        };
        self.holds(
            was_reported,
            || "reported as overdue while it was running".to_owned(),
            || "reported at its end, or never".to_owned(),
        )
    }

    /// Expects that exactly these stages ran directly inside the run, in this order. Runs of processes and calls to
    /// dependencies are ignored.
    #[track_caller]
    pub fn stages<'s>(self, stages: impl IntoIterator<Item = &'s str>) -> Self {
        let ran = self.run.children().iter().filter_map(|run| run.stage()).map(|stage| stage.id()).collect();
        self.same(stages, ran)
    }

    /// Expects that exactly the processes, stages and dependencies with these ids ran directly inside the run, and
    /// that they began in this order.
    #[track_caller]
    pub fn calls<'s>(self, ids: impl IntoIterator<Item = &'s str>) -> Self {
        let ran = self.run.children().iter().map(ObservedRun::id).collect();
        self.same(ids, ran)
    }

    #[track_caller]
    fn same<'s>(self, expected: impl IntoIterator<Item = &'s str>, ran: Vec<&str>) -> Self {
        let expected: Vec<_> = expected.into_iter().collect();
        let text = |ids: &[&str]| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        self.holds(expected == ran, || text(&expected), || text(&ran))
    }

    /// Expects these keys in the business context and, if the run has a span, on the span.
    #[track_caller]
    pub fn context<'s>(self, keys: impl IntoIterator<Item = &'s str>) -> Self {
        let run = self.run;
        keys.into_iter().fold(self, |expect, key| {
            let is_there = run.context().iter().any(|(name, _)| *name == key);
            #[cfg(feature = "tracing")]
            let is_there = is_there && run.span().is_none_or(|span| span.field(key).is_some());
            let found = || run.context().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            expect.holds(is_there, || format!("`{key}` in the context and on the span"), found)
        })
    }

    /// Expects that this key of the business context has this value. The values are compared as text.
    #[track_caller]
    pub fn context_value(self, key: &str, value: impl ToString) -> Self {
        let run = self.run;
        let found = run.context().iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_string());
        let value = value.to_string();
        let is_same = found.as_ref() == Some(&value);
        self.holds(
            is_same,
            || format!("{key}={value}"),
            || found.map_or_else(|| format!("no `{key}`"), |found| format!("{key}={found}")),
        )
    }

    /// Expects that no Sentry event was sent in the run or in a run inside it.
    #[cfg(feature = "sentry")]
    #[track_caller]
    pub fn no_event(self) -> Self {
        let sent = self.run.all().map(|run| run.events().len()).sum::<usize>();
        self.holds(sent == 0, || "no Sentry event".to_owned(), || format!("{sent}"))
    }

    /// Expects that exactly one Sentry event was sent in the run and the runs inside it, and that this event has
    /// these tags.
    #[cfg(feature = "sentry")]
    #[track_caller]
    pub fn one_event<'s>(self, tags: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let run = self.run;
        let events: Vec<_> = run.all().flat_map(ObservedRun::events).collect();
        let sent = events.len();
        let expect = self.holds(sent == 1, || "exactly one Sentry event".to_owned(), || format!("{sent}"));
        tags.into_iter().fold(expect, |expect, (tag, value)| {
            let found = events.first().and_then(|event| event.tags.get(tag));
            expect.holds(
                found.is_some_and(|found| found == value),
                || format!("an event with the tag {tag}={value}"),
                || found.map_or_else(|| format!("no tag `{tag}`"), |found| format!("{tag}={found}")),
            )
        })
    }
}
