//! Collects all mistakes in an attribute, so that one compilation reports all of them. Only this file converts these
//! mistakes into compile errors.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes found so far. The owner must call [`into_tokens`](Errors::into_tokens). If the value is dropped
/// without that call, debug builds panic.
pub(crate) struct Errors {
    /// `None` after [`into_tokens`](Errors::into_tokens).
    found: RefCell<Option<Vec<syn::Error>>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Errors { found: RefCell::new(Some(Vec::new())) }
    }

    /// Creates a mistake. It is added to this collection when it is dropped. The compiler underlines the tokens of
    /// `place`.
    pub(crate) fn at(&self, place: impl ToTokens, problem: impl Display) -> Mistake<'_> {
        Mistake { errors: self, place: place.into_token_stream(), message: problem.to_string() }
    }

    /// Returns the mistakes as `compile_error!` items, or `None` if there are none.
    pub(crate) fn into_tokens(self) -> Option<TokenStream> {
        let found = self.found.take().unwrap_or_default();
        let all = found.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        });
        all.map(|all| all.into_compile_error())
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        let unread = self.found.get_mut().is_some();
        debug_assert!(!unread || std::thread::panicking(), "mistakes were collected but not reported");
    }
}

/// A mistake to which advice can be added. When it is dropped, it is added to [`Errors`].
pub(crate) struct Mistake<'errors> {
    errors: &'errors Errors,
    place: TokenStream,
    message: String,
}

impl Mistake<'_> {
    /// Adds a line with advice: the correct form, or an alternative.
    pub(crate) fn help(self, advice: impl Display) -> Self {
        self.line("help", advice)
    }

    /// Adds a line with background information.
    pub(crate) fn note(self, fact: impl Display) -> Self {
        self.line("note", fact)
    }

    fn line(mut self, label: &str, text: impl Display) -> Self {
        self.message.push_str(&format!("\n{label}: {text}"));
        self
    }
}

impl Drop for Mistake<'_> {
    fn drop(&mut self) {
        let error = syn::Error::new_spanned(&self.place, &self.message);
        if let Some(found) = self.errors.found.borrow_mut().as_mut() {
            found.push(error);
        }
    }
}
