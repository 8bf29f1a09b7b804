//! Finds identifiers and keywords in unparsed tokens, at any depth. Without parsing, the meaning of a word is only a
//! guess. Therefore use this module only where a wrong guess inconveniences the user but does not make a result
//! incorrect.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;

/// Returns all identifiers and keywords, in order.
pub(crate) fn words(tokens: impl ToTokens) -> Vec<Ident> {
    fn collect(tokens: TokenStream, words: &mut Vec<Ident>) {
        for token in tokens {
            match token {
                TokenTree::Ident(word) => words.push(word),
                TokenTree::Group(group) => collect(group.stream(), words),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut words = Vec::new();
    collect(tokens.into_token_stream(), &mut words);
    words
}

/// Returns the first occurrence of a word.
pub(crate) fn find(tokens: impl ToTokens, word: &str) -> Option<Ident> {
    fn search(tokens: TokenStream, word: &str) -> Option<Ident> {
        tokens.into_iter().find_map(|token| match token {
            TokenTree::Ident(found) => Some(found).filter(|found| found == word),
            TokenTree::Group(group) => search(group.stream(), word),
            TokenTree::Punct(_) | TokenTree::Literal(_) => None,
        })
    }
    search(tokens.into_token_stream(), word)
}

/// Whether the tokens contain a macro call `name!(…)`. A keyword that is followed by `!` and a group also counts as
/// a macro call.
pub(crate) fn calls_a_macro(tokens: &TokenStream) -> bool {
    let tokens = Vec::from_iter(tokens.clone());
    let is_call = |window: &[TokenTree]| match window {
        [TokenTree::Ident(_), TokenTree::Punct(mark), TokenTree::Group(_)] => mark.as_char() == '!',
        _ => false,
    };
    let is_within = |token: &TokenTree| match token {
        TokenTree::Group(group) => calls_a_macro(&group.stream()),
        _ => false,
    };
    tokens.windows(3).any(is_call) || tokens.iter().any(is_within)
}

// Input:  "{name:?} and {other}"
// Output: true for `name` and `other`
/// Whether a string literal in the tokens names this variable in braces, as a format string does.
pub(crate) fn formats(tokens: &TokenStream, name: &Ident) -> bool {
    let opening = format!("{{{}", name.unraw());
    let is_named = |text: String| {
        let mut ends = text.match_indices(&opening).map(|(at, _)| &text[at + opening.len()..]);
        ends.any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    };
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Literal(literal) => is_named(literal.to_string()),
        TokenTree::Group(group) => formats(&group.stream(), name),
        TokenTree::Ident(_) | TokenTree::Punct(_) => false,
    })
}
