//! A body that ends in an async block, alone or boxed: what async-trait makes of a method, and what people
//! write by hand. Found by its last tokens, without reading the rest.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A body taken apart at its tail.
pub(crate) struct Tail {
    /// The statements before it.
    pub(crate) before: TokenStream,
    /// `Box::pin`, `Pin::from(Box::new`; empty for a bare block. One path for each pair of parentheses.
    pub(crate) wrappers: Vec<(TokenStream, Group)>,
    /// `async` or `async move`
    pub(crate) keywords: Vec<Ident>,
    /// The block itself.
    pub(crate) block: Group,
}

impl Tail {
    // Input:  let x = self.x; Box::pin(async move { x.await })
    // Output: before `let x = self.x;`, wrapper `Box::pin(…)`, keywords `async move`, block `{ x.await }`
    pub(crate) fn of(body: TokenStream) -> Option<Tail> {
        let mut tokens = Vec::from_iter(body);
        let mut wrappers = Vec::new();
        let (keywords, block) = loop {
            match tokens.pop()? {
                TokenTree::Group(block) if block.delimiter() == Delimiter::Brace => {
                    break (async_keywords(&mut tokens)?, block);
                }
                TokenTree::Group(call) if call.delimiter() == Delimiter::Parenthesis => {
                    let path = boxing_path(&mut tokens)?;
                    let inner = single_argument(&call);
                    let outside = std::mem::replace(&mut tokens, inner);
                    wrappers.push((outside, path, call));
                }
                _ => return None,
            }
        };
        Tail::assemble(tokens, wrappers, keywords, block)
    }

    fn assemble(
        innermost: Vec<TokenTree>,
        wrappers: Vec<(Vec<TokenTree>, TokenStream, Group)>,
        keywords: Vec<Ident>,
        block: Group,
    ) -> Option<Tail> {
        let mut rests = Vec::new();
        let mut calls = Vec::new();
        for (rest, path, call) in wrappers {
            rests.push(rest);
            calls.push((path, call));
        }
        rests.push(innermost);
        let mut rests = rests.into_iter();
        let before = rests.next()?;
        // Nothing may stand beside the block inside the parentheses.
        if !rests.all(|rest| rest.is_empty()) || !is_whole_statements(&before) || returns(&before) {
            return None;
        }
        Some(Tail { before: before.into_iter().collect(), wrappers: calls, keywords, block })
    }

    /// Prints the tail with another block.
    pub(crate) fn with_block(&self, block: TokenStream) -> TokenStream {
        self.wrappers.iter().rev().fold(block, |inner, (path, call)| {
            let mut group = Group::new(Delimiter::Parenthesis, inner);
            group.set_span(call.span());
            let mut tokens = path.clone();
            tokens.extend([TokenTree::Group(group)]);
            tokens
        })
    }
}

/// Takes `async` or `async move` off the end.
fn async_keywords(tokens: &mut Vec<TokenTree>) -> Option<Vec<Ident>> {
    let mut keywords = Vec::new();
    while let Some(TokenTree::Ident(ident)) =
        tokens.pop_if(|token| matches!(token, TokenTree::Ident(ident) if ident == "async" || ident == "move"))
    {
        keywords.insert(0, ident);
    }
    keywords.first().is_some_and(|first| first == "async").then_some(keywords)
}

/// Takes a path that ends in `Box::pin`, `Box::new` or `Pin::from` off the end.
fn boxing_path(tokens: &mut Vec<TokenTree>) -> Option<TokenStream> {
    let is_part = |token: &mut TokenTree| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == ':',
        _ => false,
    };
    let mut path = Vec::new();
    while let Some(token) = tokens.pop_if(is_part) {
        path.insert(0, token);
    }
    let text: String = path.iter().map(TokenTree::to_string).collect();
    ["Box::pin", "Box::new", "Pin::from"]
        .iter()
        .any(|known| text == *known || text.ends_with(&format!("::{known}")))
        .then(|| path.into_iter().collect())
}

/// The argument of a call, without a trailing comma.
fn single_argument(call: &Group) -> Vec<TokenTree> {
    let mut inner = Vec::from_iter(call.stream());
    inner.pop_if(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','));
    inner
}

/// Whether what stands before the tail is complete: nothing, `…;` or `… { … }`.
fn is_whole_statements(before: &[TokenTree]) -> bool {
    match before.last() {
        None => true,
        Some(TokenTree::Punct(punct)) => punct.as_char() == ';',
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        Some(_) => false,
    }
}

/// Whether the statements return by themselves: then the tail is not the only future.
fn returns(tokens: &[TokenTree]) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "return",
        TokenTree::Group(group) => returns(&Vec::from_iter(group.stream())),
        _ => false,
    })
}
