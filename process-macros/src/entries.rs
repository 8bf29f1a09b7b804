//! Reads comma-separated lists entry by entry. An invalid entry is reported and skipped up to the next comma, and the
//! entries after it are still read.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Result, Token};

/// Reads every entry of `list` with `parse`, and returns the valid ones. `refuse` receives the tokens of each invalid
/// entry and the error.
pub(crate) fn read<T>(
    list: &Group,
    parse: impl Fn(ParseStream<'_>) -> Result<T>,
    refuse: impl Fn(TokenStream, syn::Error),
) -> Vec<T> {
    let all = |input: ParseStream<'_>| {
        let mut entries = Vec::new();
        while !input.is_empty() {
            let ahead = input.fork();
            let entry = parse(&ahead).and_then(|entry| ends(&ahead).map(|()| entry));
            match entry {
                Ok(entry) => {
                    input.advance_to(&ahead);
                    entries.push(entry);
                }
                Err(error) => refuse(skip(input)?, error),
            }
            input.parse::<Option<Token![,]>>()?;
        }
        Ok(entries)
    };
    // The loop consumes every token, so parsing the list itself cannot fail.
    all.parse2(list.stream()).unwrap_or_default()
}

fn ends(input: ParseStream<'_>) -> Result<()> {
    if input.is_empty() || input.peek(Token![,]) { Ok(()) } else { Err(input.error("expected `,`")) }
}

fn skip(input: ParseStream<'_>) -> Result<TokenStream> {
    let mut skipped = TokenStream::new();
    while !input.is_empty() {
        skipped.extend([input.parse::<TokenTree>()?]);
        if input.peek(Token![,]) {
            break;
        }
    }
    Ok(skipped)
}
