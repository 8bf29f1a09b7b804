//! Splits the tokens of an attribute at commas into [`Slot`]s. A slot is one entry: `key`, `key = tokens` or
//! `key(tokens)`. The names of the keys do not belong here.

use proc_macro2::{Delimiter, Group, Ident, Punct, TokenStream, TokenTree};

use crate::errors::Errors;
use crate::keys::AttributeKind;

/// One entry of an attribute.
pub(crate) struct Slot {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// The tokens after a key.
pub(crate) enum Value {
    /// `key`
    Absent,
    /// `key = tokens`
    Assigned(Punct, TokenStream),
    /// `key(tokens)`
    List(Group),
    /// Any other tokens. They are already reported.
    Unreadable,
}

/// Splits the tokens of an attribute into slots.
// Input:  id = "greet", sla = "2s", context(who)
// Output: [id | = | "greet"], [sla | = | "2s"], [context | (who)]
pub(crate) fn split(tokens: TokenStream, kind: AttributeKind, errors: &Errors) -> Vec<Slot> {
    let mut slots = Vec::new();
    for part in Parts::new(tokens) {
        slots.extend(read(part, kind, errors));
    }
    slots
}

fn read(part: Part, kind: AttributeKind, errors: &Errors) -> Option<Slot> {
    if let Some(semicolon) = part.semicolon {
        errors
            .at(semicolon, "expected `,`, found `;`")
            .help("separate the entries of an attribute with commas");
    }
    let mut tokens = part.tokens.into_iter();
    let first = tokens.next()?;
    let TokenTree::Ident(key) = first else {
        report_missing_key(&first, kind, errors);
        return None;
    };
    if part.comma_is_missing {
        errors
            .at(&key, format!("missing `,` before `{key}`"))
            .help("separate the entries of an attribute with commas");
    }
    let value = match tokens.next() {
        None => Value::Absent,
        Some(TokenTree::Punct(equals)) if equals.as_char() == '=' => {
            return Some(Slot { key, value: Value::Assigned(equals, tokens.collect()) });
        }
        Some(TokenTree::Group(list)) if list.delimiter() == Delimiter::Parenthesis => Value::List(list),
        Some(other) => {
            let rest = Vec::from_iter(tokens.clone());
            match name_with_dashes(&key, &other, tokens) {
                Some(name) => {
                    drop(errors.at(&other, "unexpected `-` in a key").help(format!("write `{name}`")))
                }
                None => report_unexpected(&other, &key, meant(&key, &other, &rest, kind), errors),
            }
            return Some(Slot { key, value: Value::Unreadable });
        }
    };
    if let Some(rest) = tokens.next() {
        report_unexpected(&rest, &key, None, errors);
    }
    Some(Slot { key, value })
}

fn report_missing_key(first: &TokenTree, kind: AttributeKind, errors: &Errors) {
    errors
        .at(first, format!("expected a key, found `{first}`"))
        .help(format_args!("begin every entry with a key, for example `{}`", kind.example()))
        .note(format_args!("valid keys are {}", kind.key_list()));
}

/// Reports a token after a key. `meant` is the entry that the user probably meant.
fn report_unexpected(token: &TokenTree, key: &Ident, meant: Option<String>, errors: &Errors) {
    errors.at(token, format!("unexpected `{token}` after `{key}`")).help(match meant {
        Some(meant) => format!("write `{meant}`"),
        None => "write `key = value` or `key(values)`, and a comma after each entry".to_owned(),
    });
}

// Input:  context | [name], id | : "greet", checkout | ::owner = "…"
// Output: context(name), id = "greet", None
/// Returns the entry that the user probably meant by a key, a token after it and the rest of the entry.
fn meant(key: &Ident, token: &TokenTree, rest: &[TokenTree], kind: AttributeKind) -> Option<String> {
    let example = kind.example_of(kind.key(&key.to_string())?);
    let is_punct =
        |token: &TokenTree, mark| matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark);
    let is_list = example.contains('(');
    match (token, rest) {
        (TokenTree::Group(list), []) if is_list && !list.stream().is_empty() => {
            Some(format!("{key}({})", crate::text::written(list.stream())))
        }
        (colon, [value]) if is_punct(colon, ':') && !is_list => {
            let is_text = value.to_string().starts_with('"');
            (is_text == example.contains('"')).then(|| format!("{key} = {value}"))
        }
        (colon, [equals, value]) if is_punct(colon, ':') && is_punct(equals, '=') => {
            meant(key, colon, std::slice::from_ref(value), kind)
        }
        _ => None,
    }
}

// Input:  error - type = …
// Output: error_type
fn name_with_dashes(
    key: &Ident,
    second: &TokenTree,
    mut rest: impl Iterator<Item = TokenTree>,
) -> Option<String> {
    let is_dash = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '-');
    let mut name = key.to_string();
    let mut next = Some(second.clone());
    while next.as_ref().is_some_and(is_dash) {
        let TokenTree::Ident(word) = rest.next()? else { return None };
        name.push_str(&format!("_{word}"));
        next = rest.next();
    }
    (*key != name).then_some(name)
}

/// The tokens between two commas.
struct Part {
    tokens: Vec<TokenTree>,
    comma_is_missing: bool,
    /// The semicolon after the tokens, if there is one instead of a comma.
    semicolon: Option<TokenTree>,
}

/// The parts of an attribute. The tokens are split at the commas outside of all brackets and `<…>`, and at
/// semicolons. They are also split where an entry clearly begins although the comma before it is missing.
struct Parts {
    tokens: std::iter::Peekable<std::vec::IntoIter<TokenTree>>,
    ahead: Option<TokenTree>,
}

impl Parts {
    fn new(tokens: TokenStream) -> Self {
        let tokens: Vec<_> = tokens.into_iter().collect();
        Parts { tokens: tokens.into_iter().peekable(), ahead: None }
    }

    /// Whether `ident` begins an entry. It does if `= …` follows it and the tokens before it are a complete entry.
    fn begins_an_entry(&mut self, ident: &TokenTree, before: &[TokenTree]) -> bool {
        let whole = !matches!(before.last(), None | Some(TokenTree::Punct(_)));
        let equals = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == '=' && p.spacing() == proc_macro2::Spacing::Alone);
        whole
            && before.len() > 1
            && matches!(ident, TokenTree::Ident(_))
            && self.tokens.peek().is_some_and(equals)
    }
}

impl Iterator for Parts {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        let mut part = Part {
            comma_is_missing: self.ahead.is_some(),
            tokens: Vec::from_iter(self.ahead.take()),
            semicolon: None,
        };
        let mut angles = Angles::default();
        while let Some(token) = self.tokens.next() {
            if angles.is_comma_outside(&token) {
                return Some(part);
            }
            if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ';') {
                part.semicolon = Some(token);
                return Some(part);
            }
            if self.begins_an_entry(&token, &part.tokens) {
                self.ahead = Some(token);
                return Some(part);
            }
            part.tokens.push(token);
        }
        (!part.tokens.is_empty()).then_some(part)
    }
}

/// Counts how many `<…>` are open. A `<` counts only if it must be a bracket: after `::`, after `=`, and inside
/// another pair.
#[derive(Default)]
struct Angles {
    depth: usize,
    last: Option<char>,
}

impl Angles {
    fn is_comma_outside(&mut self, token: &TokenTree) -> bool {
        let this = match token {
            TokenTree::Punct(punct) => Some(punct.as_char()),
            _ => None,
        };
        match this {
            Some('<') if self.depth > 0 || matches!(self.last, Some(':' | '=')) => self.depth += 1,
            Some('>') if self.last != Some('-') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.last = this;
        this == Some(',') && self.depth == 0
    }
}
