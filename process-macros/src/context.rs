//! Reads the entries of `context(…)` into the name and the source of each recorded value.

use proc_macro2::{Group, Ident, Punct, TokenStream, TokenTree};
use process_model::{grammar, nearest};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, Member, Result, Token, parenthesized};

use crate::entries;
use crate::errors::Errors;
use crate::words;

/// A declared key of the business context.
pub(crate) struct Entry {
    pub(crate) name: Ident,
    pub(crate) source: Source,
}

/// The source of an entry's value.
pub(crate) enum Source {
    /// `name`, `%name`, `?name`: the value of the argument with this name.
    Argument(Sigil),
    /// `name = expression`: the expression, evaluated before the body runs.
    Expression(Sigil, Expr),
    /// `inherit(name)`: an outer run or scope, which records the value.
    Inherit,
    /// `later(name)`: a call of `record!` in the body.
    Later,
}

/// How a value is converted for recording. The sigils are those of `tracing`.
#[derive(Clone, Copy)]
pub(crate) enum Sigil {
    /// No sigil: the type of the value decides.
    Plain,
    /// `%`: with `Display`.
    Display,
    /// `?`: with `Debug`.
    Debug,
}

// Input:  (who, n = who.len(), ?error, inherit(user_id), later(count, size))
// Output: one `Entry` for each name
pub(crate) fn read(list: &Group, errors: &Errors) -> Vec<Entry> {
    let refuse = |tokens: TokenStream, _| refuse(&tokens, errors);
    let entries: Vec<_> = entries::read(list, parse, refuse).into_iter().flatten().collect();
    for entry in &entries {
        if let Source::Expression(_, value) = &entry.source {
            check_stays(&entry.name, value, errors);
        }
    }
    entries
}

/// Reports a context expression that contains `await`, or that leaves the function with `?`, `return`, `break` or
/// `continue`. The expansion evaluates context expressions in a separate closure before the body runs, and this
/// closure can neither await nor leave the function. An expression that contains `async` is not checked. In an
/// expression that contains a closure, a loop or a macro call, only `await` is checked, because `return` and `break`
/// may be valid there. The compiler reports the mistakes that this function does not find.
fn check_stays(name: &Ident, value: &Expr, errors: &Errors) {
    let tokens = value.to_token_stream();
    if words::find(&tokens, "async").is_some() {
        return;
    }
    if let Some(keyword) = words::find(&tokens, "await") {
        errors
            .at(keyword, "`await` is not allowed in `context`, whose values are taken before the run begins")
            .help(format!(
                "declare the key with `later({name})`, and call `record!({name} = value)` in the body"
            ));
    } else if !has_code_of_its_own(&tokens)
        && let Some(way_out) = find(tokens, &is_way_out)
    {
        errors
            .at(&way_out, format!("`{way_out}` is not allowed in `context`, where it cannot leave the function"))
            .help("make the value an `Option` instead, for example with `result.ok()`: a `None` is not recorded");
    }
}

/// Whether the tokens seem to contain a closure, a function, a loop, a labelled block or a macro call. Inside these,
/// `?`, `return`, `break` and `continue` can be valid.
fn has_code_of_its_own(tokens: &TokenStream) -> bool {
    let is_keyword = |word: &Ident| ["fn", "for", "loop", "while"].iter().any(|keyword| word == keyword);
    words::calls_a_macro(tokens)
        || words::words(tokens).iter().any(is_keyword)
        || find(tokens.clone(), &|token| is_punct(token, '|') || is_punct(token, '\'')).is_some()
}

fn is_way_out(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => ["return", "break", "continue"].iter().any(|keyword| word == keyword),
        token => is_punct(token, '?'),
    }
}

fn find(tokens: TokenStream, is_meant: &dyn Fn(&TokenTree) -> bool) -> Option<TokenTree> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Group(group) => find(group.stream(), is_meant),
        token => is_meant(&token).then_some(token),
    })
}

fn is_punct(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
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

impl Sigil {
    /// Returns the sigil as the user wrote it.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Sigil::Plain => "",
            Sigil::Display => "%",
            Sigil::Debug => "?",
        }
    }
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
    let mistake = errors.at(tokens, "invalid entry in `context`");
    let mistake = match proposal(tokens) {
        Some(proposal) => mistake.help(proposal),
        None => mistake,
    };
    mistake.note(
        "valid entries are `name`, `name = expression`, `%name`, `?name`, `inherit(name)` and `later(name)`",
    );
}

/// Returns advice with the entry that the user probably meant. Returns `None` if the tokens resemble neither an entry
/// nor an expression.
fn proposal(tokens: &TokenStream) -> Option<String> {
    if let Ok((sigil, name, value)) = misplaced_sigil.parse2(tokens.clone()) {
        return Some(format!("put `{sigil}` before the value: `{name} = {sigil}{value}`"));
    }
    if let Some((name, value)) = name_of_several_words(tokens) {
        return Some(format!("write the key as one name: `{name} = {value}`"));
    }
    let expression = syn::parse2::<Expr>(tokens.clone()).ok()?;
    if let Some(proposal) = list_of_names(&expression) {
        return Some(proposal);
    }
    let name = proposed_name(&expression).unwrap_or_else(|| "some_name".to_owned());
    let written = crate::text::written(tokens.clone());
    Some(format!("give the expression a name: `{name} = {written}`"))
}

/// Reads `%name = value`, in which the user put the sigil before the name instead of before the value.
fn misplaced_sigil(input: ParseStream<'_>) -> Result<(char, Ident, String)> {
    let sigil: Punct = input.parse()?;
    let name = input.call(Ident::parse_any)?;
    input.parse::<Token![=]>()?;
    Ok((sigil.as_char(), name, crate::text::written(input.parse()?)))
}

// Input:  user.id = value | user-id = value | "user id" = value
// Output: user_id, value
fn name_of_several_words(tokens: &TokenStream) -> Option<(String, String)> {
    let tokens = Vec::from_iter(tokens.clone());
    let equals = tokens.iter().position(|token| is_punct(token, '='))?;
    let (name, value) = (&tokens[..equals], &tokens[equals + 1..]);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_part = |token: &TokenTree| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Literal(literal) => literal.to_string().chars().all(|c| is_word(c) || "\" .-".contains(c)),
        token => ['.', '-', ':'].iter().any(|mark| is_punct(token, *mark)),
    };
    if !name.iter().all(is_part) || value.is_empty() {
        return None;
    }
    let name = name.iter().map(TokenTree::to_string).collect::<String>();
    let words: Vec<_> = name.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let name = words.join("_");
    let value = crate::text::written(value.iter().cloned().collect());
    name.starts_with(char::is_alphabetic).then_some((name, value))
}

// Input:  latter(user_id) | later("user_id") | inherit(user.id)
// Output: did you mean `later(user_id)`? | write plain names: `later(user_id)` | …`inherit(id)`…`id = user.id`
fn list_of_names(expression: &Expr) -> Option<String> {
    let Expr::Call(call) = expression else {
        return None;
    };
    let Expr::Path(function) = &*call.func else {
        return None;
    };
    let written = function.path.get_ident()?.to_string();
    let word = nearest(&written, ["inherit", "later"])?;
    if let ("inherit", Some(value @ (Expr::Field(_) | Expr::MethodCall(_)))) =
        (written.as_str(), call.args.first())
        && call.args.len() == 1
        && let Some(name) = proposed_name(value).filter(|name| name != "self")
    {
        let value = crate::text::written(value.into_token_stream());
        return Some(format!(
            "to inherit a value, write its name: `inherit({name})`; to record this one, write `{name} = {value}`"
        ));
    }
    let names: Option<Vec<_>> = call.args.iter().map(proposed_name).collect();
    let names = names.filter(|names| !names.is_empty()).map_or("name".to_owned(), |names| names.join(", "));
    Some(if written == word {
        format!("write plain names: `{word}({names})`")
    } else {
        format!("did you mean `{word}({names})`?")
    })
}

/// Proposes a name for an expression, for example `id` for `user.id` and `order.id()`, `query` for
/// `truncate(query, 100)`, and `size` for `"size"`. Returns `None` if the expression suggests no name.
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
        Expr::Assign(assign) => proposed_name(&assign.left),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            let text = text.value();
            grammar::check_id(&text).is_ok().then_some(text)
        }
        _ => None,
    }
}
