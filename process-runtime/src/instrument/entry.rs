//! Takes the context of a run: at entry, and later for `record!`. Storing and inheriting context must not go in here.

use crate::base::guard::{attempt, unharmed};
use crate::base::notices;
use crate::run::context::{NamedValues, Value, Values};
use crate::run::frame;
use crate::run::unit::{Site, Unit};

/// Collects the context of one run at entry.
#[derive(Debug)]
pub struct EntryContext {
    values: NamedValues,
}

impl EntryContext {
    /// Returns the values that `take` puts. If an expression panics, its value and those after it are missing.
    pub(super) fn taken(unit: &'static Unit, take: &mut dyn FnMut(&mut EntryContext)) -> NamedValues {
        let mut capture = EntryContext { values: Values::room() };
        if attempt(|| take(&mut capture)).is_err() {
            notices::once(format!(
                "an expression in `context(…)` of `{}` panicked; its value and those after it are missing",
                unit.name
            ));
        }
        capture.values
    }

    /// Turns `take` into a closure that does nothing after the first call. Because `take` is `FnOnce`, a value that is
    /// moved into it causes the usual compile error for a move.
    #[inline]
    pub fn once(take: impl FnOnce(&mut EntryContext)) -> impl FnMut(&mut EntryContext) {
        let mut take = Some(take);
        move |capture| {
            if let Some(take) = take.take() {
                take(capture);
            }
        }
    }

    /// Adds a value, if there is one.
    pub fn put(&mut self, name: &'static str, value: Option<Value>) {
        if let Some(value) = value {
            self.values.push((name, value));
        }
    }
}

/// A context key that `later(…)` declares.
#[derive(Clone, Copy, Debug)]
pub struct LaterKey {
    site: &'static Site,
    name: &'static str,
}

impl LaterKey {
    /// Creates a key of the function at `site`.
    pub const fn new(site: &'static Site, name: &'static str) -> LaterKey {
        LaterKey { site, name }
    }

    /// Adds the value to the innermost run of the function, if a destination receives that run.
    pub fn record(self, value: impl FnOnce() -> Option<Value>) {
        let Some(unit) = self.site.unit() else { return };
        let Some(observed) = frame::run_of(unit) else {
            return;
        };
        let mut recorded = None;
        if let Err(payload) = attempt(|| recorded = value()) {
            drop(payload);
            notices::once(format!(
                "the value of `record!({} = …)` in `{}` panicked and is not recorded",
                self.name, unit.name
            ));
        }
        if let Some(value) = recorded {
            unharmed(|| observed.record(self.name, value));
        }
    }
}
