//! The records that expansions leave in the binary, and the definitions decoded from them. Processes, stages,
//! contracts and checks share this mechanism. The mechanism decodes each record at the record's first use, sorts the
//! definitions, and keeps the errors of records that cannot be decoded. If another macro copies an annotated
//! function, the function is still listed once.
//!
//! A registry implements [`Defined`] for its definition `D`, collects `Entry<D>` with [`inventory::collect!`], and
//! keeps a [`Catalogue<D>`] in a static. An expansion contains a static [`Linked<D>`]. `__linked!` creates the value
//! of the static and registers the static. Nothing that concerns a single kind of definition may go in here.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use process_model::Record;
use process_model::wire::{DecodeError, Problem, decode_text};

/// A definition that is decoded from a record in the binary.
pub trait Defined: Sized + Send + Sync + 'static {
    /// The data that an expansion provides in addition to the record.
    type With: Copy + Send + Sync;

    /// Creates the definition; returns `None` if the record belongs to another registry.
    fn define(record: Record, with: Self::With) -> Option<Self>;

    /// Returns the key by which a catalogue is sorted.
    fn order(&self) -> impl Ord + '_;
}

/// The record of one annotated function, and the definition decoded from it.
pub struct Linked<D: Defined> {
    text: &'static [u8],
    with: D::With,
    /// The box keeps the static small. There is a static for each record, and most programs decode only a few of
    /// them.
    definition: OnceLock<Result<Box<D>, DecodeError>>,
}

/// A reference to a [`Linked`] that is submitted to `inventory`. Through these references, `inventory` finds all
/// records of a kind.
#[derive(Debug)]
pub struct Entry<D: Defined>(pub &'static Linked<D>);

/// Puts a record into a section of the object file, and evaluates to the text of the record. The text consists of the
/// declaration, which the expansion contains, and the place of the function, which the compiler inserts.
/// `Record::to_text` of `process_model` writes the same text.
#[doc(hidden)]
#[macro_export]
macro_rules! __record_text {
    ($declaration:literal, $function:literal, $file:expr, $line:expr) => {{
        const TEXT: &::core::primitive::str = ::core::concat!(
            $declaration,
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

/// Evaluates to the value of a static [`Linked`], registers the static, and puts its record into a section of the
/// object file. This code is a macro of the runtime, because the compiler expands it many times faster than a
/// procedural macro. The static itself is declared by the expansion and not by this macro, so that a wrong path to
/// the runtime is reported as a single error.
#[doc(hidden)]
#[macro_export]
macro_rules! __linked {
    ($linked:ident: $ty:ident, $with:expr, $($parts:tt)*) => {
        {
            $crate::__private::inventory::submit! { $crate::__private::Entry(&$linked) }
            <$crate::__private::$ty>::new($crate::__private::record_text!($($parts)*), $with)
        }
    };
}

impl<D: Defined> Linked<D> {
    /// Creates the static's value from the text of the record.
    pub const fn new(text: &'static [u8], with: D::With) -> Linked<D> {
        Linked { text, with, definition: OnceLock::new() }
    }

    /// Returns the definition. The first call decodes the record.
    ///
    /// # Errors
    /// Returns an error if the record cannot be decoded or is of another kind. `registry::validate` reports the same
    /// error.
    pub(crate) fn definition(&'static self) -> Result<&'static D, &'static DecodeError> {
        let define = || {
            let definition = D::define(decode_text(self.text)?, self.with);
            definition.map(Box::new).ok_or(DecodeError { offset: 0, problem: Problem::Malformed("kind") })
        };
        self.definition.get_or_init(define).as_deref()
    }

    /// Returns every record of this kind. If another macro copies an annotated function, as `#[debug_handler]` does,
    /// the record of the function is returned once.
    pub(crate) fn all() -> impl Iterator<Item = &'static Linked<D>>
    where
        Entry<D>: inventory::Collect,
    {
        let mut seen = HashSet::new();
        let entries = inventory::iter::<Entry<D>>.into_iter().map(|entry| entry.0);
        entries.filter(move |linked| seen.insert(linked.text))
    }

    /// Returns the record in [`Linked::all`] that has the same text, and so represents the same function.
    pub(crate) fn first(&'static self) -> &'static Linked<D>
    where
        Entry<D>: inventory::Collect,
    {
        Linked::all().find(|linked| linked.text == self.text).unwrap_or(self)
    }
}

impl<D: Defined> fmt::Debug for Linked<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked").field("text", &String::from_utf8_lossy(self.text)).finish_non_exhaustive()
    }
}

/// The definitions of one kind that the binary contains.
#[derive(Debug)]
pub(crate) struct Catalogue<D: 'static> {
    /// The definitions, sorted by [`Defined::order`].
    pub(crate) definitions: Vec<&'static D>,
    /// The errors of the records that cannot be decoded, sorted.
    pub(crate) unreadable: Vec<String>,
}

impl<D: Defined> Catalogue<D>
where
    Entry<D>: inventory::Collect,
{
    /// Decodes all records of this kind and sorts the definitions.
    pub(crate) fn collect() -> Catalogue<D> {
        let mut catalogue = Catalogue { definitions: Vec::new(), unreadable: Vec::new() };
        for linked in Linked::<D>::all() {
            match linked.definition() {
                Ok(definition) => catalogue.definitions.push(definition),
                Err(error) => catalogue.unreadable.push(error.to_string()),
            }
        }
        // The order in which the linker lists records is arbitrary.
        catalogue.definitions.sort_by(|a, b| a.order().cmp(&b.order()));
        catalogue.unreadable.sort();
        catalogue
    }
}
