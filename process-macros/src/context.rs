//! The entries of `context(…)`: what is recorded of a run, under which name, and where it comes from.

use proc_macro2::{Group, Ident, Punct, TokenStream};
use process_model::nearest;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Member, Result, Token, parenthesized};

use crate::entries;
use crate::errors::Errors;
use crate::words;

/// One declared key of context.
pub(crate) struct Entry {
    pub(crate) name: Ident,
    pub(crate) source: Source,
}

/// Where its value comes from.
pub(crate) enum Source {
    /// `name`, `%name`, `?name`: the argument of that name.
    Argument(Sigil),
    /// `name = expression`, evaluated at entry.
    Expression(Sigil, Expr),
    /// `inherit(name)`
    Inherit,
    /// `later(name)`
    Later,
}

/// How a value becomes one that can be recorded; the sigils are those of `tracing`.
#[derive(Clone, Copy)]
pub(crate) enum Sigil {
    /// None: as what it is.
    Plain,
    /// `%`: by `Display`.
    Display,
    /// `?`: by `Debug`.
    Debug,
}

// Input:  (who, n = who.len(), ?error, inherit(user_id), later(count, size))
// Output: one `Entry` for each name
pub(crate) fn read(list: &Group, errors: &Errors) -> Vec<Entry> {
    let refuse = |tokens: TokenStream, _| refuse(&tokens, errors);
    let entries: Vec<_> = entries::read(list, parse, refuse).into_iter().flatten().collect();
    for entry in &entries {
        if let Source::Expression(_, value) = &entry.source {
            check_does_not_wait(value, errors);
        }
    }
    entries
}

/// Values are taken by a closure before the body runs. An `async` block within it may wait.
fn check_does_not_wait(value: &Expr, errors: &Errors) {
    if words::find(value, "async").is_some() {
        return;
    }
    if let Some(keyword) = words::find(value, "await") {
        errors
            .at(keyword, "context is taken before the run begins, so it cannot wait")
            .help("declare the key as `later(name)`, and call `record!(name = value)` in the body");
    }
}

fn parse(input: ParseStream<'_>) -> Result<Vec<Entry>> {
    if input.peek(Ident::peek_any) && input.peek2(syn::token::Paren) {
        return parse_named_list(input);
    }
    let sigil: Sigil = input.parse()?;
    let name = input.call(Ident::parse_any)?;
    if input.peek(Token![=]) && !input.peek(Token![==]) && matches!(sigil, Sigil::Plain) {
        input.parse::<Token![=]>()?;
        let source = Source::Expression(input.parse()?, input.parse()?);
        return Ok(vec![Entry { name, source }]);
    }
    let source = Source::Argument(sigil);
    Ok(vec![Entry { name, source }])
}

fn parse_named_list(input: ParseStream<'_>) -> Result<Vec<Entry>> {
    let which = input.call(Ident::parse_any)?;
    let source = match which.to_string().as_str() {
        "inherit" => || Source::Inherit,
        "later" => || Source::Later,
        _ => return Err(syn::Error::new_spanned(which, "")),
    };
    let names;
    parenthesized!(names in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&names, Ident::parse_any)?;
    let entry = |name| Entry { name, source: source() };
    Ok(names.into_iter().map(entry).collect())
}

impl Parse for Sigil {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.parse::<Option<Token![%]>>()?.is_some() {
            Ok(Sigil::Display)
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Ok(Sigil::Debug)
        } else {
            Ok(Sigil::Plain)
        }
    }
}

fn refuse(tokens: &TokenStream, errors: &Errors) {
    let mistake = errors.at(tokens, "this is no entry of `context`");
    let mistake = match proposal(tokens) {
        Some(proposal) => mistake.help(proposal),
        None => mistake,
    };
    mistake.note(
        "the forms are `name`, `name = expression`, `%name`, `?name`, `inherit(name)` and `later(name)`",
    );
}

/// What was probably meant.
fn proposal(tokens: &TokenStream) -> Option<String> {
    if let Ok((sigil, name, value)) = misplaced_sigil.parse2(tokens.clone()) {
        return Some(format!("the sigil stands before the value: `{name} = {sigil}{value}`"));
    }
    let expression = syn::parse2::<Expr>(tokens.clone()).ok()?;
    let written = crate::text::written(tokens.clone());
    if let Some(word) = misspelt_list(&expression) {
        let rest = &written[written.find('(')?..];
        return Some(format!("did you mean `{word}{rest}`?"));
    }
    let name = proposed_name(&expression).unwrap_or_else(|| "some_name".to_owned());
    Some(format!("an expression needs a name: `{name} = {written}`"))
}

/// `%name = value`
fn misplaced_sigil(input: ParseStream<'_>) -> Result<(char, Ident, String)> {
    let sigil: Punct = input.parse()?;
    let name = input.call(Ident::parse_any)?;
    input.parse::<Token![=]>()?;
    Ok((sigil.as_char(), name, crate::text::written(input.parse()?)))
}

/// `latter(…)` is `later(…)`.
fn misspelt_list(expression: &Expr) -> Option<&'static str> {
    let Expr::Call(call) = expression else {
        return None;
    };
    let Expr::Path(function) = &*call.func else {
        return None;
    };
    let name = function.path.get_ident()?.to_string();
    nearest(&name, ["inherit", "later"])
}

/// `user.id` is `id`, `order.id()` is `id`, `truncate(query, 100)` is `query`.
fn proposed_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Field(field) => match &field.member {
            Member::Named(name) => Some(name.unraw().to_string()),
            Member::Unnamed(_) => proposed_name(&field.base),
        },
        Expr::MethodCall(call) => Some(call.method.unraw().to_string()),
        Expr::Call(call) => call.args.first().and_then(proposed_name),
        Expr::Reference(reference) => proposed_name(&reference.expr),
        Expr::Path(path) => path.path.get_ident().map(|name| name.unraw().to_string()),
        _ => None,
    }
}
