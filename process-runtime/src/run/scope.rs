//! Scopes. A scope is business context that an outer layer sets for all runs inside it. The types of values belong to
//! `context`.

use std::future::Future;
use std::sync::Arc;

use super::carrier::Carrier;
#[cfg(all(feature = "axum", feature = "metrics", feature = "tracing"))]
use super::context::NamedValues;
use super::context::{ContextValue, Value};
use super::domain::observed::Observed;
use super::frame;
use crate::base::foreign::guard::attempt;
use crate::base::notices;

/// Values of business context for all runs inside a future or a closure. An HTTP layer can, for example, set data of
/// the request.
///
/// A span shows a value only if its name is in a `context(…)` of the program or in a call of
/// [`declare`](crate::context::declare).
///
/// ```
/// use process_runtime::context::Scope;
///
/// let answer = Scope::new().set("request_id", "r-1").run(|| 42);
/// assert_eq!(answer, 42);
/// ```
#[derive(Debug, Default)]
#[must_use = "a scope does nothing until something runs in it"]
pub struct Scope {
    values: Vec<(&'static str, Value)>,
}

impl Scope {
    /// Creates a scope without values of its own.
    pub fn new() -> Scope {
        Scope::default()
    }

    /// Sets a value for the runs inside. The value replaces a value of the same name in this scope or an outer scope.
    /// If the value is `None`, nothing is set. If its `to_value` panics, nothing is set either, and this is reported
    /// once.
    pub fn set(mut self, name: &'static str, value: impl ContextValue) -> Scope {
        let converted = attempt(|| value.to_value()).unwrap_or_else(|_| {
            notices::once(format!("the value of `{name}` in `Scope::set` panicked; the value is not set"));
            None
        });
        if let Some(mut value) = converted {
            value.bound();
            self.values.retain(|(other, _)| *other != name);
            self.values.push((name, value));
        }
        self
    }

    /// Calls `f` in this scope.
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        self.into_carrier().run(f)
    }

    /// Polls `future` in this scope. At the first poll, the scope inherits the values of the run or scope around it.
    pub async fn in_scope<F: Future>(self, future: F) -> F::Output {
        self.into_carrier().carry(future).await
    }

    /// Returns a carrier of a scope with the values that a remote peer sent. A value is left out if the run or scope
    /// around the new scope already has a value of the same name.
    #[cfg(all(feature = "axum", feature = "metrics", feature = "tracing"))]
    pub(crate) fn below(mut values: NamedValues) -> Carrier {
        let outer = frame::nearest();
        let known = super::domain::observed::inherited(outer.as_ref());
        values.retain(|(name, _)| known.iter().all(|(other, _)| other != *name));
        Carrier::of(Arc::new(Observed::scope(outer.as_ref(), values)))
    }

    fn into_carrier(self) -> Carrier {
        Carrier::of(Arc::new(Observed::scope(frame::nearest().as_ref(), self.values)))
    }
}
