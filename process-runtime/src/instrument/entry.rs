//! The context of a run: taken at entry, and recorded later by `record!`.

use crate::base::guard::{attempt, unharmed};
use crate::base::notices;
use crate::run::context::{NamedValues, Value, Values};
use crate::run::frame;
use crate::run::unit::{Site, Unit};

/// The context of one run, while it is taken.
#[derive(Debug)]
pub struct EntryContext {
    values: NamedValues,
}

impl EntryContext {
    /// What `take` puts. A value that panics is left out.
    pub(super) fn taken(unit: &'static Unit, take: &mut dyn FnMut(&mut EntryContext)) -> NamedValues {
        let mut capture = EntryContext { values: Values::room() };
        if attempt(|| take(&mut capture)).is_err() {
            notices::once(format!("an expression in the context of `{}` panicked", unit.name));
        }
        capture.values
    }

    /// What takes values once. Of what it moves the compiler then speaks as of any move.
    #[inline]
    pub fn once(take: impl FnOnce(&mut EntryContext)) -> impl FnMut(&mut EntryContext) {
        let mut take = Some(take);
        move |capture| {
            if let Some(take) = take.take() {
                take(capture);
            }
        }
    }

    /// Takes a value, if there is one.
    pub fn put(&mut self, name: &'static str, value: Option<Value>) {
        if let Some(value) = value {
            self.values.push((name, value));
        }
    }
}

/// A key that `later(…)` declared.
#[derive(Clone, Copy, Debug)]
pub struct LaterKey {
    site: &'static Site,
    name: &'static str,
}

impl LaterKey {
    /// Of the function at `site`.
    pub const fn new(site: &'static Site, name: &'static str) -> LaterKey {
        LaterKey { site, name }
    }

    /// Adds the value to the innermost run of the function, if some sink wants it.
    pub fn record(self, value: impl FnOnce() -> Option<Value>) {
        let Some(unit) = self.site.unit() else { return };
        let Some(observed) = frame::run_of(unit) else {
            return;
        };
        let mut recorded = None;
        if let Err(payload) = attempt(|| recorded = value()) {
            drop(payload);
            notices::once(format!("the value of `record!({} = …)` panicked", self.name));
        }
        if let Some(value) = recorded {
            unharmed(|| observed.record(self.name, value));
        }
    }
}
