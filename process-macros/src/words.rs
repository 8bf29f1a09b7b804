//! The identifiers and keywords that stand in tokens, at any depth. This is as far as the crate looks into
//! code that it does not parse: it may take a word for what it is not, so nothing but comfort hangs on it.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;

/// Every word, in order.
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

/// The first place of a word.
pub(crate) fn find(tokens: impl ToTokens, word: &str) -> Option<Ident> {
    words(tokens).into_iter().find(|found| found == word)
}
