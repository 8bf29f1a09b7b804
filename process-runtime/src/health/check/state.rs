//! The application state that checks take as arguments, at most one value of each type. Calling checks does not belong
//! here.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;

/// The values that checks take as arguments, by type.
#[derive(Default)]
pub struct States {
    values: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl States {
    /// Adds a value, which replaces an earlier value of the same type.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        self.values.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// Returns a clone of the value of this type.
    ///
    /// # Errors
    /// Returns an error if no value of this type was provided.
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Result<T, MissingState> {
        let value = self.values.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref::<T>());
        value.cloned().ok_or(MissingState { type_name: type_name::<T>() })
    }
}

impl fmt::Debug for States {
    /// Omits the values, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States").field("values", &self.values.len()).finish()
    }
}

/// The error of a check that takes an argument of a type for which no value was passed to
/// [`Setup::with`](crate::health::Setup::with).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing state of type `{type_name}`; provide it with `health::Setup::with(…)`")]
pub struct MissingState {
    /// The name of the type, as the compiler writes it.
    pub type_name: &'static str,
}
