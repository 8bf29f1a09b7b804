//! Recognises a body that ends in an async block, plain or boxed. `async_trait` generates such bodies, and people
//! write them by hand. The statements before the block are not parsed.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

use crate::words;

/// A body, split before the expression at its end.
pub(crate) struct Tail {
    /// The statements before the expression.
    pub(crate) before: TokenStream,
    pub(crate) future: Future,
}

/// An expression that creates a future.
pub(crate) enum Future {
    /// `async move { … }`
    Block { keywords: Vec<Ident>, block: Group },
    /// `Box::pin(…)`, `Pin::from(Box::new(…))`
    Boxed { path: TokenStream, call: Group, inner: Box<Future> },
}

impl Tail {
    // Input:  let x = self.x; Box::pin(async move { x.await })
    // Output: before `let x = self.x;`, path `Box::pin`, keywords `async move`, block `{ x.await }`
    pub(crate) fn of(body: TokenStream) -> Option<Tail> {
        let mut tokens = Vec::from_iter(body);
        let future = Future::take_off(&mut tokens)?;
        if !is_whole_statements(&tokens) {
            return None;
        }
        let before: TokenStream = tokens.into_iter().collect();
        // A `return` in the statements could return a different future from the expression at the end.
        words::find(&before, "return").is_none().then_some(Tail { before, future })
    }
}

impl Future {
    /// Removes an expression that creates a future from the end of `tokens`. Returns `None` if the end of
    /// `tokens` has no such expression.
    fn take_off(tokens: &mut Vec<TokenTree>) -> Option<Future> {
        let TokenTree::Group(last) = tokens.pop()? else { return None };
        match last.delimiter() {
            Delimiter::Brace => Some(Future::Block { keywords: keywords(tokens)?, block: last }),
            Delimiter::Parenthesis => {
                let path = boxing_path(tokens)?;
                let mut argument = single_argument(&last);
                let inner = Box::new(Future::take_off(&mut argument)?);
                argument.is_empty().then_some(Future::Boxed { path, call: last, inner })
            }
            Delimiter::Bracket | Delimiter::None => None,
        }
    }

    /// Returns the keywords and the braces of the async block.
    pub(crate) fn block(&self) -> (&[Ident], &Group) {
        match self {
            Future::Block { keywords, block } => (keywords, block),
            Future::Boxed { inner, .. } => inner.block(),
        }
    }

    /// Returns the same expression with another block in place of the async block.
    pub(crate) fn around(&self, block: TokenStream) -> TokenStream {
        match self {
            Future::Block { .. } => block,
            Future::Boxed { path, call, inner } => {
                let mut group = Group::new(Delimiter::Parenthesis, inner.around(block));
                group.set_span(call.span());
                let mut tokens = path.clone();
                tokens.extend([TokenTree::Group(group)]);
                tokens
            }
        }
    }
}

/// Removes `async` or `async move` from the end.
fn keywords(tokens: &mut Vec<TokenTree>) -> Option<Vec<Ident>> {
    let is_keyword =
        |token: &mut TokenTree| matches!(token, TokenTree::Ident(word) if word == "async" || word == "move");
    let mut keywords = Vec::new();
    while let Some(TokenTree::Ident(keyword)) = tokens.pop_if(is_keyword) {
        keywords.insert(0, keyword);
    }
    keywords.first().is_some_and(|first| first == "async").then_some(keywords)
}

/// Removes a path that ends in `Box::pin`, `Box::new` or `Pin::from` from the end.
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

/// Returns the tokens in the parentheses of a call, without a trailing comma.
fn single_argument(call: &Group) -> Vec<TokenTree> {
    let mut inner = Vec::from_iter(call.stream());
    inner.pop_if(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','));
    inner
}

/// Whether the tokens before the expression are complete statements. They are if there are none, or if they end with
/// `;` or a block.
fn is_whole_statements(before: &[TokenTree]) -> bool {
    match before.last() {
        None => true,
        Some(TokenTree::Punct(punct)) => punct.as_char() == ';',
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        Some(_) => false,
    }
}
