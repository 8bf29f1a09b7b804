//! The sink for mistakes: it collects every one of an attribute, so that all of them come out in one
//! compile. Only this file turns a mistake into tokens.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// Collects mistakes. Dropping it unread is a bug in this crate, and panics in debug builds.
pub(crate) struct Errors {
    /// `None` once they were read.
    found: RefCell<Option<Vec<syn::Error>>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Errors { found: RefCell::new(Some(Vec::new())) }
    }

    /// Starts a mistake at `place`: the tokens that are underlined.
    pub(crate) fn at(&self, place: impl ToTokens, problem: impl Display) -> Mistake<'_> {
        Mistake { errors: self, place: place.into_token_stream(), message: problem.to_string() }
    }

    /// The mistakes as `compile_error!` items, or `None` where there are none.
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
        debug_assert!(!unread || std::thread::panicking(), "mistakes were collected and never told");
    }
}

/// One mistake; it is told when it is dropped, so that advice can follow the problem.
pub(crate) struct Mistake<'errors> {
    errors: &'errors Errors,
    place: TokenStream,
    message: String,
}

impl Mistake<'_> {
    /// Adds a line that says what to write instead.
    pub(crate) fn help(self, advice: impl Display) -> Self {
        self.line("help", advice)
    }

    /// Adds a line with what is good to know.
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
