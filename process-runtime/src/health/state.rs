//! What checks take as arguments: one value of each type, cloned for every check that takes it.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;

/// The values that checks take, by their types.
#[derive(Default)]
pub struct States {
    values: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl States {
    /// Keeps a value, instead of an earlier one of its type.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        self.values.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// A clone of the value of this type.
    ///
    /// # Errors
    /// With the name of the type, where there is none of it.
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Result<T, MissingState> {
        let value = self.values.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref::<T>());
        value.cloned().ok_or(MissingState { ty: type_name::<T>() })
    }
}

impl fmt::Debug for States {
    /// Without the values, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States").field("values", &self.values.len()).finish()
    }
}

/// A check takes what nobody gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it takes a `{ty}`, which nobody gave: `health::Setup::with(…)`")]
pub struct MissingState {
    /// The type's name, as the compiler writes it.
    pub ty: &'static str,
}
