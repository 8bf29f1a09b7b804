//! Takes the values of a run's context: those of `context(…)` when the run begins, and those of `record!` later.
//! Storing and inheriting context do not belong here.

use crate::base::foreign::guard::{evaluate, evaluate_recorded};
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
    /// Calls `take`, and returns the values that it adds with [`EntryContext::put`]. If an expression in `take`
    /// panics, the value of this expression and all later values are missing. Inside such an expression, another run
    /// takes no values.
    pub(super) fn taken(unit: &'static Unit, take: &mut dyn FnMut(&mut EntryContext)) -> NamedValues {
        let mut capture = EntryContext { values: Values::room() };
        if let Some(Err(_)) = evaluate(|| take(&mut capture)) {
            notices::once(format!(
                "an expression in `context(…)` of `{}` panicked; its value and those after it are missing",
                unit.name
            ));
        }
        capture.values
    }

    /// Converts `take` into a closure that does nothing after the first call. Because `take` is `FnOnce`, an
    /// expression in `context(…)` may move a value out of the annotated function. If the function uses that value
    /// later, the compiler reports its usual error about a moved value.
    #[inline]
    pub fn once(take: impl FnOnce(&mut EntryContext)) -> impl FnMut(&mut EntryContext) {
        let mut take = Some(take);
        move |capture| {
            if let Some(take) = take.take() {
                take(capture);
            }
        }
    }

    /// Adds the value if it is `Some`.
    pub fn put(&mut self, name: &'static str, mut value: Option<Value>) {
        value.iter_mut().for_each(Value::bound);
        if let Some(value) = value {
            self.values.push((name, value));
        }
    }
}

/// A context key that an attribute declares with `later(…)`.
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

    /// Adds the value to the innermost run of the function on this thread. Does not call `value` without such a run,
    /// if the run is not observed, or inside of another recorded value.
    pub fn record(self, value: impl FnOnce() -> Option<Value>) {
        let Some(unit) = self.site.unit() else { return };
        let Some(observed) = frame::run_of(unit) else {
            return;
        };
        let mut recorded = None;
        if let Some(Err(_)) = evaluate_recorded(|| recorded = value()) {
            notices::once(format!(
                "evaluating the value of `record!({} = …)` in `{}` panicked; the value is not recorded",
                self.name, unit.name
            ));
        }
        if let Some(mut value) = recorded {
            value.bound();
            observed.record(self.name, value);
        }
    }
}
