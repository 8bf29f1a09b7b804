//! What a test expects of a run. An expectation that does not hold panics with what was observed beside it.

use process_model::{Outcome, nearest};

use super::observation::{Observation, ObservedRun};

/// Expectations of one run, from [`Observation::expect`] or [`Observation::expect_of`]: each method panics where it does
/// not hold, with what was expected, what was found, and all that was observed.
#[derive(Debug)]
pub struct Expect<'o> {
    run: &'o ObservedRun,
    /// All that was observed, as text.
    observed: String,
}

impl<T> Observation<T> {
    /// Expectations of the run under test: of the process that the contract is of, or else of the only run that was
    /// inside of no other.
    ///
    /// # Panics
    /// Where there is not exactly one: say which with [`Observation::expect_of`].
    #[track_caller]
    #[must_use = "nothing is expected yet"]
    pub fn expect(&self) -> Expect<'_> {
        match self.process {
            Some(process) => self.expect_of(process),
            None => match &self.runs[..] {
                [run] => self.expect_run(run),
                runs => panic!(
                    "expected: one run, or `expect_of` to say which of {} is meant\nobserved: {self}",
                    runs.len()
                ),
            },
        }
    }

    /// Expectations of the only run called `name`: an id of a process, stage or dependency, or a whole name.
    ///
    /// # Panics
    /// Where there is not exactly one.
    #[track_caller]
    #[must_use = "nothing is expected yet"]
    pub fn expect_of(&self, name: &str) -> Expect<'_> {
        let named: Vec<_> = self.all().filter(|run| run.is_called(name)).collect();
        match named[..] {
            [run] => self.expect_run(run),
            [] => {
                let near = nearest(name, self.all().map(ObservedRun::id));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                panic!("expected: a run of `{name}`{near}\nobserved: {self}")
            }
            _ => panic!("expected: one run of `{name}`, not {}\nobserved: {self}", named.len()),
        }
    }

    /// How many runs are called `name`, as [`Observation::expect_of`] names them; 0 where none is.
    pub fn count(&self, name: &str) -> usize {
        self.all().filter(|run| run.is_called(name)).count()
    }

    fn expect_run<'o>(&'o self, run: &'o ObservedRun) -> Expect<'o> {
        Expect { run, observed: self.to_string() }
    }
}

impl Expect<'_> {
    #[track_caller]
    fn holds(self, holds: bool, expected: impl FnOnce() -> String, found: impl FnOnce() -> String) -> Self {
        if !holds {
            let Expect { run, observed } = &self;
            panic!(
                "of {}\nexpected: {}\nfound:    {}\nobserved: {observed}",
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
            let outcome = outcome.map_or("it goes on".to_owned(), |outcome| outcome.to_string());
            kind.map_or(outcome.clone(), |kind| format!("{outcome} ({kind})"))
        };
        self.holds(holds, || text(Some(outcome), error_type), || text(run.outcome(), run.error_type()))
    }

    /// It returned what it promised.
    #[track_caller]
    pub fn success(self) -> Self {
        self.ended(Outcome::Success, None)
    }

    /// It succeeded through its declared fallback.
    #[track_caller]
    pub fn degraded(self) -> Self {
        self.ended(Outcome::Degraded, None)
    }

    /// It was the caller's mistake (`rejects`), with this `error.type`.
    #[track_caller]
    pub fn rejected(self, error_type: &str) -> Self {
        self.ended(Outcome::Rejected, Some(error_type))
    }

    /// It failed with this `error.type`: the error's type with its path, `shop::CheckoutError`, unless `error_type` names it;
    /// `timeout` where [`timeout`](crate::timeout) stopped it.
    #[track_caller]
    pub fn failure(self, error_type: &str) -> Self {
        self.ended(Outcome::Failure, Some(error_type))
    }

    /// It panicked.
    #[track_caller]
    pub fn panic(self) -> Self {
        self.ended(Outcome::Panic, None)
    }

    /// It was dropped before it ended.
    #[track_caller]
    pub fn cancelled(self) -> Self {
        self.ended(Outcome::Cancelled, None)
    }

    /// It ended within its SLA, or has none.
    #[track_caller]
    pub fn within_sla(self) -> Self {
        let run = self.run;
        let took = || format!("late, after {:.1?}", run.duration().or(run.overdue()).unwrap_or_default());
        self.holds(run.outcome().is_some() && !run.is_late(), || "within its SLA".to_owned(), took)
    }

    /// It was past its SLA.
    #[track_caller]
    pub fn late(self) -> Self {
        let run = self.run;
        let took = || format!("on time, after {:.1?}", run.duration().unwrap_or_default());
        self.holds(run.is_late(), || "late".to_owned(), took)
    }

    /// It was told of as late while it still ran.
    #[track_caller]
    pub fn overdue(self) -> Self {
        let is_told = match (self.run.overdue(), self.run.duration()) {
            (Some(told), Some(took)) => told < took,
            (told, None) => told.is_some(),
            (None, Some(_)) => false,
        };
        self.holds(
            is_told,
            || "told of as late while it ran".to_owned(),
            || "told of at its end, or never".to_owned(),
        )
    }

    /// These stages ran directly inside of it, in this order, and no others.
    #[track_caller]
    pub fn stages<'s>(self, stages: impl IntoIterator<Item = &'s str>) -> Self {
        let ran = self.run.children().iter().filter_map(|run| run.stage()).map(|stage| stage.id()).collect();
        self.same(stages, ran)
    }

    /// These runs were directly inside of it, in the order in which they began, and no others: processes, stages and
    /// calls to dependencies, by their ids.
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

    /// These keys are in its business context, and on its span where it has one.
    #[track_caller]
    pub fn context<'s>(self, keys: impl IntoIterator<Item = &'s str>) -> Self {
        let run = self.run;
        keys.into_iter().fold(self, |expect, key| {
            let is_said = run.context().iter().any(|(name, _)| *name == key);
            #[cfg(feature = "tracing")]
            let is_said = is_said && run.span().is_none_or(|span| span.field(key).is_some());
            let found = || run.context().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            expect.holds(is_said, || format!("`{key}` in its context and on its span"), found)
        })
    }

    /// This key of its business context has this value, as text.
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

    /// No Sentry event was sent in it, nor in any run inside.
    #[cfg(feature = "sentry")]
    #[track_caller]
    pub fn no_event(self) -> Self {
        let sent = self.run.all().map(|run| run.events().len()).sum::<usize>();
        self.holds(sent == 0, || "no Sentry event".to_owned(), || format!("{sent}"))
    }

    /// One Sentry event was sent in it and the runs inside, and it has these tags.
    #[cfg(feature = "sentry")]
    #[track_caller]
    pub fn one_event<'s>(self, tags: impl IntoIterator<Item = (&'s str, &'s str)>) -> Self {
        let run = self.run;
        let events: Vec<_> = run.all().flat_map(ObservedRun::events).collect();
        let sent = events.len();
        let expect = self.holds(sent == 1, || "one Sentry event".to_owned(), || format!("{sent}"));
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
