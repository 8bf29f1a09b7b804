//! The record that an expansion leaves in the binary, decoded at its first use.

use std::collections::HashSet;
use std::sync::OnceLock;

use process_model::wire::{DecodeError, decode_text};

use super::definition::Definition;

/// The record of one annotated function.
#[derive(Debug)]
pub struct Linked {
    text: &'static [u8],
    definition: OnceLock<Result<Definition, DecodeError>>,
}

/// An inventory item, which keeps a record in the binary.
#[derive(Debug)]
pub struct Entry(pub &'static Linked);

inventory::collect!(Entry);

/// Leaves a record behind in the object file's section, and is its text: the definition, and after it what only the
/// compiler knows, in `process_model`'s wire form.
#[doc(hidden)]
#[macro_export]
macro_rules! __record_text {
    ($definition:literal, $function:literal, $file:expr, $line:expr) => {{
        const TEXT: &::core::primitive::str = ::core::concat!(
            $definition,
            "handler\u{1f}",
            ::core::module_path!(),
            "::",
            $function,
            "\u{1e}file\u{1f}",
            $file,
            "\u{1e}line\u{1f}",
            $line,
            "\u{1e}"
        );
        #[used]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__critproc"))]
        #[cfg_attr(
            not(any(target_vendor = "apple", target_family = "wasm")),
            unsafe(link_section = "critproc")
        )]
        static RECORD: $crate::__private::SectionFrame<{ TEXT.len() }> =
            $crate::__private::SectionFrame::new(TEXT);
        RECORD.text()
    }};
}

impl Linked {
    /// Creates it from the text of the record.
    pub const fn new(text: &'static [u8]) -> Linked {
        Linked { text, definition: OnceLock::new() }
    }

    /// Returns the records of all annotated functions. A function that another macro emits several times
    /// (`#[debug_handler]` does) is one function.
    pub(crate) fn all() -> impl Iterator<Item = &'static Linked> {
        let mut seen = HashSet::new();
        let entries = inventory::iter::<Entry>.into_iter().map(|entry| entry.0);
        entries.filter(move |linked| seen.insert(linked.text))
    }

    /// Returns the one among [`Linked::all`] that stands for the same function.
    pub(crate) fn first(&'static self) -> &'static Linked {
        Linked::all().find(|linked| linked.text == self.text).unwrap_or(self)
    }

    /// Returns the definition, which is decoded at the first call.
    pub(crate) fn definition(&self) -> Result<Definition, &DecodeError> {
        self.definition.get_or_init(|| decode_text(self.text).and_then(Definition::keep)).as_ref().copied()
    }
}
