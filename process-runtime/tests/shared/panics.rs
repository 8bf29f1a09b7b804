//! Panics that a test expects.

use std::any::Any;

/// Returns the text of a panic, or an empty text if its payload is not a text.
pub(crate) fn text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().map(|text| (*text).to_owned()).unwrap_or_default(),
    }
}
